//! The matrix: every boundary, and some of the times that it is reached.

use std::fs;
use std::sync::Mutex;

use super::checking::{Found, check_all};
use super::child::ALL;
use super::place::{EXPECTED_OF_ENGINE, Place};

/// Boundaries that there are at least. If one is renamed or gone, so is what
/// the matrix shows of it.
const EXPECTED: [&str; 25] = [
    "saga.attended",
    "saga.claiming",
    "saga.claimed",
    "saga.taken",
    "saga.starting",
    "saga.started",
    "saga.appending",
    "saga.appended",
    "saga.locking",
    "saga.locked",
    "saga.launching",
    "saga.landed",
    "saga.undo_launching",
    "saga.undo_landed",
    "saga.working",
    "saga.worked",
    "saga.undo_working",
    "saga.undo_worked",
    "saga.mail_answered",
    "saga.left",
    "saga.ended",
    "saga.releasing",
    "saga.released",
    "ledger.asked",
    "ledger.answered",
];

/// Where the process before the second row of the matrix ends: something has
/// happened of which nothing is written.
const IN_FLIGHT: &str = "ledger.answered:9";

/// Executors that end at these boundaries, one after the other, and one that
/// works to the end. Returns at how many of them one ended: the last may not
/// be reached so often.
fn crash_at(place: &Place, boundaries: &[&str], log: Option<&str>) -> (usize, Found) {
    let mut ended = 0;
    for at in boundaries {
        match place.start("all", &[("AXIOMATIC_CRASH_AT", at)]).ended_at() {
            Some(ended_at) => {
                assert_eq!(ended_at, *at);
                ended += 1;
            }
            None => break,
        }
        place.let_leases_expire();
    }
    let log = log.map(|log| ("AXIOMATIC_CRASH_LOG", log));
    let last = place.start("all", log.as_slice());
    assert_eq!(last.ended_at(), None);
    let found = check_all(place, ALL);
    assert_eq!((found.done, found.compensated), (4, 2));
    (ended, found)
}

/// The names that are reached by a process that works to the end, after
/// others have ended at these boundaries.
fn boundaries(place: &Place, before: &[&str]) -> Vec<String> {
    let log = place.path().join("boundaries");
    let log = log.to_str().unwrap();
    let (ended, _) = crash_at(place, before, Some(log));
    assert_eq!(ended, before.len());
    let boundaries = fs::read_to_string(log).unwrap();
    boundaries.lines().map(str::to_owned).collect()
}

/// What is found in sum.
#[derive(Default)]
struct Sum {
    deaths: usize,
    again: usize,
}

/// Several at a time: they wait for the disk, and for each other.
fn for_each(cases: Vec<Vec<String>>) -> Sum {
    let cases = Mutex::new(cases.into_iter());
    let sum = Mutex::new(Sum::default());
    let work = || {
        loop {
            let case = cases.lock().unwrap().next();
            let Some(case) = case else { return };
            let names: Vec<_> = case.iter().map(String::as_str).collect();
            let ended = std::panic::catch_unwind(|| {
                let place = Place::find().expect("it was there before");
                crash_at(&place, &names, None)
            });
            let (ended, found) = ended.unwrap_or_else(|_| panic!("crashed at {case:?}"));
            // The first time that it is reached is always reached.
            assert!(
                ended == case.len() || !case[ended].ends_with(":1"),
                "{case:?}"
            );
            let mut sum = sum.lock().unwrap();
            sum.deaths += ended;
            sum.again += found.again;
        }
    };
    std::thread::scope(|scope| {
        for worker in [(); 3].map(|()| scope.spawn(work)) {
            worker.join().unwrap();
        }
    });
    sum.into_inner().unwrap()
}

#[test]
fn wherever_an_executor_ends_each_saga_ends_with_all_effects_once_or_none() {
    let Some(place) = Place::find() else { return };
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let first = boundaries(&place, &[]);
    drop(place);
    for expected in EXPECTED.iter().chain(EXPECTED_OF_ENGINE) {
        assert!(first.iter().any(|name| name == expected), "{expected}");
    }
    let place = Place::find().expect("it was there before");
    let afterwards = boundaries(&place, &[IN_FLIGHT]);
    drop(place);
    let times: &[u32] = if is_deep {
        &[1, 2, 3, 5, 8, 13, 21]
    } else {
        &[1, 4]
    };
    let at = |name: &String, nth| format!("{name}:{nth}");
    let mut cases: Vec<Vec<String>> = Vec::new();
    for nth in times {
        cases.extend(first.iter().map(|name| vec![at(name, nth)]));
        let then = afterwards.iter();
        let then = then.filter(|name| is_deep || !first.contains(name));
        cases.extend(then.map(|name| vec![IN_FLIGHT.to_owned(), at(name, nth)]));
    }
    if is_deep {
        // Every pair: the second process ends where it cleans up behind the
        // first.
        let pairs = first.iter().flat_map(|one| {
            let others = first.iter();
            others.map(|other| vec![at(one, &4), at(other, &2)])
        });
        cases.extend(pairs);
    }
    let processes = cases.iter().map(Vec::len).sum::<usize>();
    let sum = for_each(cases);
    println!(
        "{} boundaries, {} more after a crash; {} of {processes} processes ended early; \
         {} calls came again",
        first.len(),
        afterwards
            .iter()
            .filter(|name| !first.contains(name))
            .count(),
        sum.deaths,
        sum.again,
    );
    assert!(sum.deaths >= first.len());
    assert!(sum.again > 0, "nothing was in doubt");
}
