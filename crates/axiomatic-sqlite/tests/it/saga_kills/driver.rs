//! What the children do, and the parent when it takes over from one.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::saga::{
    Append, Appended, BUCKETS, Change, Departing, ExecutorId, Kind, Lease, Loaded, Lock,
    LockRequest, Locked, Posted, Record, SagaId, Stage, Start, Started, Store, Swept, Wake, Worked,
};
use axiomatic_core::BoxError;
use axiomatic_sqlite::saga::{SagaWork, Sagas};
use axiomatic_sqlite::{Database, Durability, Options};
use uuid::Uuid;

use super::story::{Begins, How, SAGAS};
use crate::sagas::start;
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

    /// The lines of this saga, without its name.
    pub(super) fn of(self, name: &str, file: &str) -> Vec<String> {
        let lines = self.lines(file);
        let of = |line: &String| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
        lines.iter().filter_map(of).collect()
    }
}

/// One that has ended long ago.
const FORGOTTEN: SagaId = SagaId(Uuid::from_u128(99));

/// One that is kept.
const KEPT: SagaId = SagaId(Uuid::from_u128(98));

pub(super) struct Driver<'a> {
    files: Files<'a>,
    sagas: Sagas,
    executor: ExecutorId,
}

impl<'a> Driver<'a> {
    pub(super) async fn open(place: &'a Path) -> Self {
        // A process that ends takes nothing with it that it has written.
        let options = Options::new().durability(Durability::ProcessCrash);
        let database = Database::open(place.join("test.db"), options).unwrap();
        let tables = "CREATE TABLE IF NOT EXISTS effect (what TEXT NOT NULL); \
                      CREATE TABLE IF NOT EXISTS account (name TEXT NOT NULL)";
        let made = database.writer().run(|tx| tx.execute_batch(tables)).await;
        made.unwrap();
        Driver {
            files: Files(place),
            sagas: Sagas::new(&database).unwrap(),
            executor: ExecutorId::new("driver"),
        }
    }

    /// Runs all sagas to their ends.
    pub(super) async fn run(&self) {
        self.sagas.attend(&self.executor, HOUR).await.unwrap();
        let all: Vec<_> = BUCKETS.all().collect();
        let leases = self.sagas.claim(&self.executor, &all, HOUR).await.unwrap();
        assert_eq!(leases.len(), all.len());
        let attended = self.sagas.attend(&self.executor, HOUR).await.unwrap();
        assert_eq!(attended.leases, leases);
        if !self.begin(&leases).await {
            return self.write_late(&leases).await;
        }
        self.keep(&leases).await;
        self.forget(&leases).await;
        for round in 0.. {
            assert!(round < 1000, "somebody waits for ever");
            let taken = self.sagas.take(&leases, 2, Duration::ZERO).await.unwrap();
            let [running, unwinding, stuck, parked, ..] = self.sagas.count().await.unwrap();
            let open = running + unwinding + stuck + parked;
            assert_eq!(taken.sagas.is_empty(), open == 0, "what is open is due");
            for loaded in taken.sagas {
                if !self.drive(&loaded.unwrap()).await {
                    return self.write_late(&leases).await;
                }
            }
            if open == 0 {
                break;
            }
        }
        let release = self.sagas.release(&self.executor, &leases, Departing::Yes);
        release.await.unwrap();
        self.sweep().await;
    }

    /// Throws away what is gone.
    pub(super) async fn sweep(&self) {
        let swept = self.sagas.sweep(HOUR, Swept::Deleted, 10).await;
        swept.unwrap();
    }

    /// Begins what has not begun, and posts what may have been posted. Returns
    /// whether its leases were held.
    async fn begin(&self, leases: &[Lease]) -> bool {
        for (name, story) in SAGAS {
            let mut start = start(story.saga());
            start.input = name.into();
            match story.begins {
                Begins::Held => {
                    let lease = lease_of(leases, start.saga).clone();
                    start.held = Some((lease, story.change(&story.writes[0])));
                    if self.sagas.start(&start).await.unwrap() == Started::Held {
                        let loaded = self.sagas.load(lease_of(leases, start.saga), start.saga);
                        let loaded = loaded.await.unwrap().expect("it is held");
                        if !self.drive(&loaded).await {
                            return false;
                        }
                    }
                }
                Begins::Waiting => {
                    let started = self.sagas.start(&start).await.unwrap();
                    assert_ne!(started, Started::Other);
                }
                Begins::WithBusiness => self.order(&start).await,
            }
            if let Some(mail) = story.mail() {
                let posted = self.sagas.post(start.saga, &mail).await.unwrap();
                assert_eq!(posted, Posted::Accepted);
            }
        }
        true
    }

    /// A saga begins with a row of the business.
    async fn order(&self, start: &Start) {
        let (sagas, start) = (self.sagas.clone(), start.clone());
        let order = self.sagas.database().writer().run(move |tx| {
            if sagas.start_in(tx, &start)? == Started::Waits {
                tx.execute("INSERT INTO account (name) VALUES ('ordered')", ())?;
            }
            Ok::<_, BoxError>(())
        });
        order.await.unwrap();
    }

    /// A saga that has ended long ago is archived: once, whatever happens.
    async fn keep(&self, leases: &[Lease]) {
        if self.files.lines("kept").is_empty() {
            self.begin_ended(leases, KEPT).await;
            self.files.append("kept", "begun");
        }
        // Another may be left to be forgotten; it comes behind.
        if self.age(KEPT, 1).await {
            let swept = self.sagas.sweep(HOUR, Swept::Archived, 1).await;
            assert_eq!(swept.unwrap(), 1);
        }
        let found = self.sagas.find(KEPT).await.unwrap().expect("is kept");
        assert_eq!(found.records.len(), 2);
    }

    /// Another is thrown away, whole.
    async fn forget(&self, leases: &[Lease]) {
        self.begin_ended(leases, FORGOTTEN).await;
        assert!(self.age(FORGOTTEN, 2).await);
        let swept = self.sagas.sweep(HOUR, Swept::Deleted, 10).await;
        assert_eq!(swept.unwrap(), 1);
        assert_eq!(self.sagas.find(FORGOTTEN).await.unwrap(), None);
    }

    async fn begin_ended(&self, leases: &[Lease], saga: SagaId) {
        let mut ended = start(saga);
        let lines = [(Kind::Began, "book"), (Kind::Done, "book")];
        let lines = lines.map(|(kind, step)| Record {
            kind,
            ..crate::sagas::line(step)
        });
        let mut change = crate::sagas::change(lines);
        change.stage = Stage::Done;
        ended.held = Some((lease_of(leases, saga).clone(), change));
        let started = self.sagas.start(&ended).await.unwrap();
        assert!(matches!(started, Started::Held | Started::Before));
    }

    /// It has ended long ago. Returns whether it is there.
    async fn age(&self, saga: SagaId, ended: i64) -> bool {
        let age = self.sagas.database().writer().run(move |tx| {
            let age = "UPDATE saga SET ended = ?2 WHERE saga = ?1";
            tx.execute(age, (saga.0.as_bytes(), ended))
        });
        age.await.unwrap() == 1
    }

    /// Goes on with a saga until it sleeps or ends. Returns whether its lease
    /// was held.
    async fn drive(&self, loaded: &Loaded) -> bool {
        let stories = SAGAS
            .into_iter()
            .find(|(_, story)| story.saga() == loaded.saga);
        let (name, story) = stories.expect("it is one of those");
        if let Some(request) = story.request() {
            match self.sagas.lock(&loaded.lease, &request).await.unwrap() {
                Locked::Held => {}
                Locked::Waits => return true,
                Locked::Lost => return false,
                Locked::Busy => panic!("{name} does not wait"),
            }
        }
        let mut after = loaded.records.len() as u64;
        for write in story.next(loaded) {
            if write.how == How::Reads && !story.has_letter(loaded) {
                // Until it comes.
                return true;
            }
            if let How::Calls(what) = write.how {
                reach("driver.calling");
                self.files.append("calls", &format!("{name} {what}"));
            }
            let change = story.change(write);
            if !self.write(loaded, name, after, write.how, change).await {
                return false;
            }
            after += write.lines.len() as u64;
            if write.wake != Wake::Held {
                return true;
            }
        }
        true
    }

    async fn write(
        &self,
        loaded: &Loaded,
        name: &str,
        after: u64,
        how: How,
        change: Change,
    ) -> bool {
        if let How::Works(what) = how {
            let work = effect(format!("{name} {what}"), change);
            let worked = self
                .sagas
                .append_with(&loaded.lease, loaded.saga, after, work);
            return match worked.await.unwrap() {
                Worked::Done(_) => true,
                Worked::Lost => false,
                other => panic!("{name} after {after}: {other:?}"),
            };
        }
        let append = Append {
            saga: loaded.saga,
            after,
            change,
            read: u32::from(how == How::Reads),
        };
        // The second is as if the answer to the first had been lost.
        for _ in 0..2 {
            match self.sagas.append(&loaded.lease, &append).await.unwrap() {
                Appended::Held => {}
                Appended::Lost => return false,
                Appended::Conflict => panic!("{name} after {after}: a conflict"),
            }
        }
        true
    }

    /// All that can be done for leases, by one who has noticed nothing.
    async fn write_late(&self, leases: &[Lease]) {
        let saga = SAGAS[0].1.saga();
        let lease = lease_of(leases, saga);
        let late = crate::sagas::change([crate::sagas::line("late")]);
        let append = crate::sagas::append(saga, 0, late.clone());
        let append = self.sagas.append(lease, &append).await.unwrap();
        let work = effect("late".to_owned(), late);
        let work = self.sagas.append_with(lease, saga, 0, work).await.unwrap();
        let request = LockRequest {
            saga,
            name: "late".into(),
            locks: vec![Lock::exclusive("stock")],
            waits: true,
        };
        let locked = self.sagas.lock(lease, &request).await.unwrap();
        let loaded = self.sagas.load(lease, saga).await.unwrap();
        let taken = self.sagas.take(leases, 10, HOUR).await.unwrap();
        let attended = self.sagas.attend(&self.executor, HOUR).await.unwrap();
        for is_refused in [
            append == Appended::Lost,
            matches!(work, Worked::Lost),
            locked == Locked::Lost,
            loaded.is_none(),
            taken.sagas.is_empty(),
            attended.leases.is_empty(),
        ] {
            self.files.append("late", &is_refused.to_string());
        }
    }
}

fn lease_of(leases: &[Lease], saga: SagaId) -> &Lease {
    let of = |lease: &&Lease| lease.bucket == saga.bucket();
    leases.iter().find(of).expect("all are held")
}

/// Work that leaves a row and a message.
fn effect(what: String, change: Change) -> SagaWork {
    SagaWork::new(move |tx| {
        tx.execute("INSERT INTO effect (what) VALUES (?1)", [&what])?;
        tx.enqueue(Message::new("effects", what))?;
        Ok(change)
    })
}
