//! Processes which run sagas by hand and are killed at every boundary, and
//! started again until all sagas have ended; and one that stands still for
//! longer than its leases.
//!
//! They write what an executor would, but are none: what is tried here is that
//! logs have neither gap nor double, and that local work is done as often as
//! its line is there.

mod driver;
mod story;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use self::driver::{Driver, Files};
use self::story::SAGAS;
use crate::support::Place;

/// Where the child finds its files.
const PLACE: &str = "AXIOMATIC_SAGA_KILLS";

/// Runs all sagas. Nothing unless a parent says where.
#[test]
fn the_child() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    block_on(async {
        Driver::open(Path::new(&place)).await.run().await;
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// A child, which does not outlive its test.
struct Running(Option<Child>);

impl Running {
    fn start(place: &Place, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "saga_kills::the_child", "--nocapture"]);
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
    let end = "UPDATE saga_lease SET until = 1";
    let _ = place.look().execute(end, ());
}

/// Starts children until all sagas have ended, the first of them with this
/// variable. Returns whether it ended before its time.
fn run_all(place: &Place, variable: (&str, &str)) -> bool {
    let mut has_ended = false;
    loop {
        let first: &[_] = if has_ended { &[] } else { &[variable] };
        let ended = Running::start(place, first).wait();
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

/// Each saga's log is its story, and local work was done as often as it says.
fn check(place: &Place) {
    let texts = |sql: &str| {
        let look = place.look();
        let mut select = look.prepare(sql).unwrap();
        let rows = select.query_map((), |row| row.get(0)).unwrap();
        rows.collect::<Result<Vec<String>, _>>().unwrap()
    };
    let mut effects = Vec::new();
    let mut stages = Vec::new();
    for (name, story) in SAGAS {
        let id = story.saga().0.simple();
        let log = texts(&format!(
            "SELECT kind || ' ' || step FROM saga_event WHERE saga = x'{id}' ORDER BY seq"
        ));
        assert_eq!(log, story.lines(), "{name}");
        let seqs = texts(&format!(
            "SELECT CAST(seq AS TEXT) FROM saga_event WHERE saga = x'{id}' ORDER BY seq"
        ));
        let counted: Vec<_> = (1..=log.len()).map(|seq| seq.to_string()).collect();
        assert_eq!(seqs, counted, "{name}");
        let length = texts(&format!(
            "SELECT CAST(length AS TEXT) FROM saga WHERE saga = x'{id}'"
        ));
        assert_eq!(length, [log.len().to_string()], "{name}");
        effects.extend(story.effects(name));
        stages.push(format!("{name} {}", story.end().as_str()));
        let calls: BTreeSet<_> = Files(place.dir()).of(name, "calls").into_iter().collect();
        assert_eq!(calls, story.calls(), "{name}");
    }
    effects.sort();
    assert_eq!(texts("SELECT what FROM effect ORDER BY 1"), effects);
    let messages = "SELECT CAST(body AS TEXT) FROM outbox ORDER BY 1";
    assert_eq!(texts(messages), effects);
    stages.sort();
    let found = "SELECT CAST(input AS TEXT) || ' ' || stage FROM saga ORDER BY 1";
    assert_eq!(texts(found), stages, "and nothing else is there");
    let orders = texts("SELECT name FROM account");
    assert_eq!(orders, ["ordered"], "with the saga that it began with");
    let orphans = "(SELECT saga FROM saga_event WHERE saga NOT IN (SELECT saga FROM saga) \
                   UNION ALL SELECT saga FROM saga_mail WHERE name <> 'lock' \
                   UNION ALL SELECT saga FROM saga_lock)";
    assert_eq!(place.count(orphans), 0);
    let told = texts("SELECT CAST(input AS TEXT) FROM saga JOIN saga_mail USING (saga) ORDER BY 1");
    assert_eq!(told, ["patient", "turned"], "each once");
    assert_eq!(place.count("saga_archive"), 1);
    // Both lock the stock: what one asks of others comes behind all of the
    // other's.
    let calls = Files(place.dir()).lines("calls");
    let calls = calls.iter().filter_map(|call| call.split_once(' '));
    let mut turns: Vec<_> = calls.map(|(name, _)| name).collect();
    turns.retain(|name| ["patient", "turned"].contains(name));
    turns.dedup();
    assert_eq!(turns.len(), 2, "{turns:?}");
    assert_eq!(place.count("saga_executor"), 0);
    let held = "(SELECT * FROM saga_lease WHERE owner IS NOT NULL)";
    assert_eq!(place.count(held), 0);
}

fn kill_at(boundary: &str, nth: u32) -> bool {
    let place = Place::new();
    let at = format!("{boundary}:{nth}");
    let killed = std::panic::catch_unwind(|| {
        let killed = run_all(&place, ("AXIOMATIC_CRASH_AT", &at));
        // Who was killed is here until its time is over.
        let gone = "UPDATE saga_executor SET until = 1";
        place.look().execute(gone, ()).unwrap();
        block_on(async { Driver::open(place.dir()).await.sweep().await });
        check(&place);
        assert!(!place.dir().join("late").exists(), "nobody was followed");
        killed
    });
    killed.unwrap_or_else(|_| panic!("killed at {at}"))
}

#[test]
fn sagas_whose_process_is_killed_at_any_boundary_have_each_line_once() {
    let place = Place::new();
    let log = place.dir().join("boundaries");
    let killed = run_all(&place, ("AXIOMATIC_CRASH_LOG", log.to_str().unwrap()));
    assert!(!killed);
    check(&place);
    let boundaries = fs::read_to_string(log).unwrap();
    let boundaries: BTreeSet<_> = boundaries.lines().collect();
    for step in [
        "attended",
        "prolonged",
        "claimed",
        "handed_over",
        "released",
        "departed",
        "starting",
        "started",
        "taken",
        "fenced",
        "worked",
        "changed",
        "recorded",
        "read",
        "posted",
        "locked",
        "unlocked",
        "told",
        "archived",
        "log_swept",
        "swept",
    ] {
        let expected = format!("sqlite.saga.{step}");
        assert!(boundaries.contains(&*expected), "{expected}");
    }
    let cases = boundaries
        .iter()
        .flat_map(|boundary| [1, 2, 3, 5, 8, 13, 21].map(|nth| (boundary, nth)));
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
fn a_process_that_stood_still_beyond_its_leases_writes_nothing() {
    let place = Place::new();
    let stop = ("AXIOMATIC_STOP_AT", "driver.calling:1");
    let child = Running::start(&place, &[stop]);
    until("the child stands still", || {
        let mut ps = Command::new("ps");
        let state = ps.args(["-o", "state=", "-p", &child.id()]).output();
        state.unwrap().stdout.starts_with(b"T")
    });
    let_leases_end(&place);
    block_on(async { Driver::open(place.dir()).await.run().await });
    let mut kill = Command::new("kill");
    let went_on = kill.args(["-CONT", &child.id()]).status();
    assert!(went_on.unwrap().success());
    let ended = child.wait();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let files = Files(place.dir());
    assert_eq!(files.lines("late"), ["true"; 6], "all of it is refused");
    let gone = "DELETE FROM saga_executor WHERE until > 1";
    place.look().execute(gone, ()).unwrap();
    check(&place);
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
