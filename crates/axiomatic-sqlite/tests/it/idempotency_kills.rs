//! A service that is killed at every boundary, and started again for clients
//! who ask until they are answered; and one that stands still for longer than
//! its lease.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{
    Adopt, Claim, Claimed, DerivedKey, Fence, Kind, Lease, Mine, Name, Owner, PhaseError, Phases,
    Step, Store, StoredRequest, StoredResponse,
};
use axiomatic_coordination::outbox::Message;
use axiomatic_core::BoxError;
use axiomatic_sqlite::idempotency::{AtomicPhase, Idempotency};
use axiomatic_sqlite::{Database, Durability, Options, Transaction};

use crate::idempotency::{claim, name};
use crate::scene::HOUR;
use crate::support::Place;

/// Where the child finds its files.
const PLACE: &str = "AXIOMATIC_IDEMPOTENCY_KILLS";

/// What clients ask for until they are answered. The second fails at first.
const KEYS: [&str; 3] = ["one", "fails", "three"];

/// Whose client does not wait for the answer.
const ORPHAN: &str = "orphan";

/// Answers the requests in a file. Nothing unless a parent says where.
#[test]
fn the_child() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let service = Service::open(Path::new(&place));
    block_on(service.serve());
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Files of a place, which are written line by line.
#[derive(Clone, Copy)]
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn append(self, file: &str, line: &str) {
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.0.join(file));
        let line = format!("{line}\n");
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }

    fn lines(self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The lines of this key, without it.
    fn of(self, key: &str, file: &str) -> Vec<String> {
        let lines = self.lines(file);
        let of = |line: &String| Some(line.strip_prefix(key)?.strip_prefix(' ')?.to_owned());
        lines.iter().filter_map(of).collect()
    }
}

struct Service<'a> {
    files: Files<'a>,
    store: Idempotency,
}

impl<'a> Service<'a> {
    fn open(place: &'a Path) -> Self {
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

    async fn serve(&self) {
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
    async fn ask(&self, key: &str) -> bool {
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

/// A child, which does not outlive its test.
struct Running(Option<Child>);

impl Running {
    fn start(place: &Place, requests: &[&str], variables: &[(&str, &str)]) -> Self {
        let lines = requests.iter().map(|key| format!("{key}\n"));
        fs::write(place.dir().join("requests"), lines.collect::<String>()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "idempotency_kills::the_child", "--nocapture"]);
        child
            .env(PLACE, place.dir())
            .envs(variables.iter().copied());
        child.stdout(Stdio::null()).stderr(Stdio::piped());
        Running(Some(child.spawn().unwrap()))
    }

    fn id(&self) -> String {
        self.0.as_ref().expect("nobody has waited").id().to_string()
    }

    fn wait(mut self) -> Output {
        let child = self.0.take().expect("nobody has waited");
        child.wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The clock goes on for as long as the dead would be missed.
fn let_leases_end(place: &Place) {
    // The table may not have been made.
    let end = "UPDATE idempotency SET lease_until = 1";
    let _ = place.look().execute(end, ());
}

/// Starts children until all clients are answered, the first of them with this
/// variable. Returns whether it ended before its time.
fn serve_all(place: &Place, variable: (&str, &str)) -> bool {
    let files = Files(place.dir());
    let mut has_ended = false;
    loop {
        let is_open = |key: &&str| files.of(key, "answers").is_empty();
        let mut requests: Vec<_> = KEYS.into_iter().filter(is_open).collect();
        requests.extend(["one", ORPHAN]);
        let first: &[_] = if has_ended { &[] } else { &[variable] };
        let ended = Running::start(place, &requests, first).wait();
        if ended.status.success() {
            return has_ended;
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        let is_planned = said.contains("the process ends at ");
        assert!(is_planned && !has_ended, "{}: {said}", ended.status);
        has_ended = true;
        let_leases_end(place);
    }
}

/// Each effect once, each call under one key, one answer to each client.
fn check(place: &Place, keys: &[&str]) {
    let files = Files(place.dir());
    let all = |sql: &str| {
        let look = place.look();
        let mut select = look.prepare(sql).unwrap();
        let rows = select.query_map((), |row| row.get(0)).unwrap();
        rows.collect::<Result<Vec<String>, _>>().unwrap()
    };
    let phases = ["book", "place"];
    let effects = phases.map(|phase| keys.iter().map(move |key| format!("{phase} {key}")));
    let mut effects: Vec<_> = effects.into_iter().flatten().collect();
    effects.sort();
    assert_eq!(all("SELECT what FROM effect ORDER BY 1"), effects);
    let messages = all("SELECT CAST(body AS TEXT) FROM outbox ORDER BY 1");
    assert_eq!(messages, effects);
    for key in keys {
        let calls: BTreeSet<_> = files.of(key, "calls").into_iter().collect();
        assert_eq!(calls.len(), 1, "{key}: {calls:?}");
        let answers: BTreeSet<_> = files.of(key, "answers").into_iter().collect();
        if *key == ORPHAN {
            assert!(answers.is_empty());
            continue;
        }
        assert_eq!(answers.len(), 1, "{key}: {answers:?}");
        assert!(answers.first().unwrap().starts_with(calls.first().unwrap()));
    }
    let states = all("SELECT state FROM idempotency");
    assert_eq!(states, vec!["completed"; keys.len()]);
}

fn kill_at(boundary: &str, nth: u32) -> bool {
    let place = Place::new();
    let at = format!("{boundary}:{nth}");
    let killed = std::panic::catch_unwind(|| {
        let killed = serve_all(&place, ("AXIOMATIC_CRASH_AT", &at));
        check(&place, &["one", "fails", "three", ORPHAN]);
        assert!(!place.dir().join("late").exists(), "nobody was followed");
        killed
    });
    killed.unwrap_or_else(|_| panic!("killed at {at}"))
}

#[test]
fn a_service_killed_at_any_boundary_has_each_effect_once() {
    let place = Place::new();
    let log = place.dir().join("boundaries");
    let killed = serve_all(&place, ("AXIOMATIC_CRASH_LOG", log.to_str().unwrap()));
    assert!(!killed);
    check(&place, &["one", "fails", "three", ORPHAN]);
    let boundaries = fs::read_to_string(log).unwrap();
    let boundaries: BTreeSet<_> = boundaries.lines().collect();
    for step in [
        "claimed",
        "followed",
        "forgotten",
        "renewed",
        "fenced",
        "worked",
        "recorded",
        "completed",
        "released",
        "adopted",
        "swept",
    ] {
        let expected = format!("sqlite.idempotency.{step}");
        assert!(boundaries.contains(&*expected), "{expected}");
    }
    let cases = boundaries
        .iter()
        .flat_map(|boundary| [1, 2, 3, 5, 8, 13].map(|nth| (boundary, nth)));
    let cases: Vec<_> = cases.collect();
    let killed = std::thread::scope(|scope| {
        let threads = cases.chunks(cases.len().div_ceil(4));
        let threads = threads.map(|cases| {
            let kill = |(boundary, nth): &(&&str, u32)| usize::from(kill_at(boundary, *nth));
            scope.spawn(move || cases.iter().map(kill).sum::<usize>())
        });
        let threads: Vec<_> = threads.collect();
        let killed = threads.into_iter().map(|thread| thread.join().unwrap());
        killed.sum::<usize>()
    });
    println!("{} boundaries, {killed} children killed", boundaries.len());
    assert!(killed >= boundaries.len(), "only {killed} were killed");
}

#[test]
fn a_service_that_stood_still_beyond_its_lease_writes_nothing() {
    let place = Place::new();
    let files = Files(place.dir());
    let stop = ("AXIOMATIC_STOP_AT", "service.charging:1");
    let child = Running::start(&place, &["one"], &[stop]);
    until("the child stands still", || {
        let mut ps = Command::new("ps");
        let state = ps.args(["-o", "state=", "-p", &child.id()]).output();
        state.unwrap().stdout.starts_with(b"T")
    });
    let_leases_end(&place);
    let service = Service::open(place.dir());
    assert!(block_on(service.ask("one")), "another has it");
    let mut kill = Command::new("kill");
    let went_on = kill.args(["-CONT", &child.id()]).status();
    assert!(went_on.unwrap().success());
    let ended = child.wait();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert_eq!(files.lines("late"), ["true"; 5], "all of it is refused");
    assert_eq!(files.of("one", "calls").len(), 2, "the late call was made");
    assert_eq!(files.of("one", "answers").len(), 2);
    check(&place, &["one"]);
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
