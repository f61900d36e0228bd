//! What the children do, and the parent when it takes over from one.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{
    Adopt, Claim, Claimed, DerivedKey, Fence, Kind, Lease, Mine, Name, Owner, PhaseError, Phases,
    Step, Store, StoredRequest, StoredResponse,
};
use axiomatic_coordination::outbox::Message;
use axiomatic_core::BoxError;
use axiomatic_sqlite::idempotency::{AtomicPhase, Idempotency};
use axiomatic_sqlite::{Database, Durability, Options, Transaction};

use super::ORPHAN;
use crate::idempotency::{claim, name};
use crate::scene::HOUR;

/// Files of a place, which are written line by line.
#[derive(Clone, Copy)]
pub(super) struct Files<'a>(pub(super) &'a Path);

impl Files<'_> {
    fn append(self, file: &str, line: &str) {
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.0.join(file));
        let line = format!("{line}\n");
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }

    pub(super) fn lines(self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The lines of this key, without it.
    pub(super) fn of(self, key: &str, file: &str) -> Vec<String> {
        let lines = self.lines(file);
        let of = |line: &String| Some(line.strip_prefix(key)?.strip_prefix(' ')?.to_owned());
        lines.iter().filter_map(of).collect()
    }
}

pub(super) struct Service<'a> {
    files: Files<'a>,
    store: Idempotency,
}

impl<'a> Service<'a> {
    pub(super) fn open(place: &'a Path) -> Self {
        // A process that ends takes nothing with it that it has written.
        let options = Options::new().durability(Durability::ProcessCrash);
        let database = Database::open(place.join("test.db"), options).unwrap();
        let table = "CREATE TABLE IF NOT EXISTS effect (what TEXT NOT NULL)";
        let made = database.writer().run_blocking(|tx| tx.execute_batch(table));
        made.unwrap();
        Service {
            files: Files(place),
            store: Idempotency::new(&database).unwrap(),
        }
    }

    pub(super) async fn serve(&self) {
        self.use_a_key_that_is_forgotten().await;
        for key in self.files.lines("requests") {
            match key.as_str() {
                ORPHAN => self.leave_alone().await,
                key => while !self.ask(key).await {},
            }
        }
        self.adopt().await;
        self.store.sweep(10).await.unwrap();
    }

    /// Answers a client, or fails to.
    pub(super) async fn ask(&self, key: &str) -> bool {
        let name = name(key);
        let response = match self.store.claim(&claim(&name)).await.unwrap() {
            Claimed::Completed(response) => response,
            Claimed::Mine(mine) => {
                let lease = mine.lease;
                match self.run(&name, mine).await {
                    Ok(response) => response,
                    Err(PhaseError::Lost) => {
                        self.write_late(&name, &lease).await;
                        return false;
                    }
                    Err(_) => {
                        let given_up = self.store.release(&lease).await;
                        assert_eq!(given_up.unwrap(), Fence::Held);
                        return false;
                    }
                }
            }
            other => panic!("{key}: {other:?}"),
        };
        let body = std::str::from_utf8(&response.body).unwrap();
        reach("service.answering");
        self.files.append("answers", &format!("{key} {body}"));
        reach("service.answered");
        true
    }

    async fn run(&self, name: &Name, mine: Mine) -> Result<StoredResponse, PhaseError<BoxError>> {
        let (lease, key) = (mine.lease, name.key.as_str());
        let phases = Phases::new(self.store.clone(), name.clone(), mine);
        let renewed = self.store.renew(&lease, HOUR).await;
        assert_eq!(renewed.unwrap(), Fence::Held);
        let order = phases.phase("place").atomic(effect("place", key)).await?;
        let charge = phases.phase("charge");
        let receipt = charge.foreign(|derived| self.charge(key, derived)).await?;
        let entry = phases.phase("book").atomic(effect("book", key)).await?;
        let response = StoredResponse {
            status: 201,
            headers: Vec::new(),
            body: format!("{receipt} {order} {entry}").into(),
        };
        let completed = self.store.complete(&lease, &response, HOUR).await;
        match completed.map_err(PhaseError::Store)? {
            Fence::Held => Ok(response),
            Fence::Lost => Err(PhaseError::Lost),
        }
    }

    /// The other side, which knows a key again.
    async fn charge(&self, key: &str, derived: DerivedKey) -> Result<String, BoxError> {
        reach("service.charging");
        self.files.append("calls", &format!("{key} {derived}"));
        reach("service.charged");
        if key == "fails" && self.files.of(key, "calls").len() == 1 {
            return Err("at first it does".into());
        }
        Ok(derived.to_string())
    }

    /// All that can be written for a lease, by one who has noticed nothing.
    async fn write_late(&self, name: &Name, lease: &Lease) {
        let mine = Mine {
            lease: *lease,
            steps: Vec::new(),
            attempts: 1,
        };
        let step = Step {
            name: "late".into(),
            kind: Kind::Foreign,
            value: "late".into(),
        };
        let response = StoredResponse {
            status: 500,
            headers: Vec::new(),
            body: "late".into(),
        };
        let phases = Phases::new(self.store.clone(), name.clone(), mine);
        let late = phases.phase("late").atomic(effect("late", "late")).await;
        let late = matches!(late, Err(PhaseError::Lost));
        self.files.append("late", &format!("{late}"));
        for fence in [
            self.store.renew(lease, HOUR).await,
            self.store.record(lease, &step).await,
            self.store.complete(lease, &response, HOUR).await,
            self.store.release(lease).await,
        ] {
            let late = fence.unwrap() == Fence::Lost;
            self.files.append("late", &format!("{late}"));
        }
    }

    /// The client goes away when a part is done.
    async fn leave_alone(&self) {
        let (name, request) = (name(ORPHAN), request());
        let claim = Claim {
            request: Some(&request),
            ..claim(&name)
        };
        let Claimed::Mine(mine) = self.store.claim(&claim).await.unwrap() else {
            return;
        };
        let lease = mine.lease;
        let phases = Phases::new(self.store.clone(), name.clone(), mine);
        let placed = phases.phase("place").atomic(effect("place", ORPHAN));
        placed.await.unwrap();
        let given_up = self.store.release(&lease).await;
        assert_eq!(given_up.unwrap(), Fence::Held);
    }

    /// Completes what clients have left alone.
    async fn adopt(&self) {
        let adopt = || Adopt {
            owner: Owner::unique(),
            lease: HOUR,
            abandoned_for: Duration::ZERO,
            attempts: 100,
        };
        while let Some(adopted) = self.store.adopt(&adopt()).await.unwrap() {
            assert_eq!(
                (&adopted.name, &adopted.request),
                (&name(ORPHAN), &request())
            );
            self.run(&adopted.name, adopted.mine).await.unwrap();
        }
    }

    async fn use_a_key_that_is_forgotten(&self) {
        let name = name("forgotten");
        for _ in 0..2 {
            let claim = Claim {
                lease: Duration::ZERO,
                retention: Duration::ZERO,
                ..claim(&name)
            };
            let Claimed::Mine(mine) = self.store.claim(&claim).await.unwrap() else {
                panic!("it is forgotten");
            };
            assert_eq!(mine.attempts, 1);
        }
    }
}

/// A row and a message; returns the row's number.
fn effect(
    phase: &'static str,
    key: &str,
) -> impl FnOnce(&mut Transaction<'_>) -> Result<i64, BoxError> + Send + 'static {
    let what = format!("{phase} {key}");
    move |tx| {
        tx.execute("INSERT INTO effect (what) VALUES (?1)", [&what])?;
        let row = tx.last_insert_rowid();
        tx.enqueue(Message::new("effects", what))?;
        Ok(row)
    }
}

fn request() -> StoredRequest {
    StoredRequest {
        method: "POST".into(),
        uri: "/payments".into(),
        headers: Vec::new(),
        body: "20".into(),
    }
}
