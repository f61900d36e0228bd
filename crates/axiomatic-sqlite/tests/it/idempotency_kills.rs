//! A service that is killed at every boundary, and started again for clients
//! who ask until they are answered; and one that stands still for longer than
//! its lease.

mod service;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use self::service::{Files, Service};
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
