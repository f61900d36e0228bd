//! The matrix: every boundary, and some of the times that it is reached.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::thread::ScopedJoinHandle;

use axiomatic_coordination::outbox::history::Consumer;

use super::place::Place;

/// Boundaries that there are at least. If one is renamed or gone, so is what
/// the matrix shows of it.
const EXPECTED: [&str; 26] = [
    "postgres.attend.asked",
    "postgres.attend.done",
    "postgres.claim.asked",
    "postgres.claim.done",
    "postgres.fetch.asked",
    "postgres.fetch.done",
    "postgres.settle.asked",
    "postgres.settle.done",
    "postgres.release.asked",
    "postgres.release.done",
    "postgres.enqueue.asked",
    "postgres.enqueue.done",
    "relay.fetched",
    "relay.publishing",
    "relay.published",
    "relay.settling",
    "relay.settled",
    "broker.taking",
    "broker.taken",
    "broker.confirming",
    "producer.written",
    "producer.enqueued",
    "producer.sqlx_enqueued",
    "producer.committed",
    "consumer.handled",
    "consumer.acknowledged",
];

/// Boundaries that are reached only by those who come after a crash.
const EXPECTED_AFTERWARDS: [&str; 2] = ["relay.started", "postgres.start.done"];

/// Where the process before those ends: something is in flight then.
const IN_FLIGHT: &str = "broker.taken:3";

/// The names that are reached by a process that works to the end, after
/// others have ended at these boundaries.
fn boundaries(place: &Place, before: &[&str]) -> Vec<String> {
    place.clear();
    for at in before {
        let ended = place.run("all", &[("AXIOMATIC_CRASH_AT", at)]);
        assert_eq!(ended.as_deref(), Some(*at));
    }
    let log = place.path().join("boundaries");
    let log = log.to_str().unwrap();
    assert_eq!(place.run("all", &[("AXIOMATIC_CRASH_LOG", log)]), None);
    place.check(Consumer::Once);
    let boundaries = fs::read_to_string(log).unwrap();
    boundaries.lines().map(str::to_owned).collect()
}

/// Processes that end at these boundaries, one after the other, and one that
/// works to the end. Returns at how many of them one ended: the last may not
/// be reached so often.
fn crash_at(place: &Place, boundaries: &[&str]) -> usize {
    place.clear();
    let mut ended = 0;
    for at in boundaries {
        match place.run("all", &[("AXIOMATIC_CRASH_AT", at)]) {
            Some(ended_at) => {
                assert_eq!(ended_at, *at);
                ended += 1;
            }
            None => break,
        }
    }
    assert_eq!(place.run("all", &[]), None);
    place.check(Consumer::Once);
    ended
}

/// Several at a time: they wait for the server, and for each other.
fn for_each(cases: Vec<Vec<String>>) -> usize {
    let cases = Mutex::new(cases.into_iter());
    let work = || {
        let place = Place::find().expect("there was a PostgreSQL");
        let mut deaths = 0;
        loop {
            let case = cases.lock().unwrap().next();
            let Some(case) = case else {
                return deaths;
            };
            let names: Vec<_> = case.iter().map(String::as_str).collect();
            let crash = AssertUnwindSafe(|| crash_at(&place, &names));
            let ended = std::panic::catch_unwind(crash);
            let ended = ended.unwrap_or_else(|_| panic!("crashed at {case:?}"));
            // The first time that it is reached is always reached.
            assert!(
                ended == case.len() || !case[ended].ends_with(":1"),
                "{case:?}"
            );
            deaths += ended;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        let deaths = workers.into_iter().map(ScopedJoinHandle::join);
        deaths.map(|deaths| deaths.expect("it says why")).sum()
    })
}

#[test]
fn wherever_a_process_ends_nothing_is_lost_and_nothing_happens_twice() {
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let Some(place) = Place::find() else {
        return;
    };
    let first = boundaries(&place, &[]);
    for expected in EXPECTED {
        assert!(first.iter().any(|name| name == expected), "{expected}");
    }
    let afterwards = boundaries(&place, &[IN_FLIGHT]);
    for expected in EXPECTED_AFTERWARDS {
        assert!(afterwards.iter().any(|name| name == expected), "{expected}");
    }
    let times: &[u32] = if is_deep {
        &[1, 2, 3, 5, 8, 13]
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
            others.map(|other| vec![at(one, &3), at(other, &2)])
        });
        cases.extend(pairs);
    }
    let processes = cases.iter().map(Vec::len).sum::<usize>();
    let deaths = for_each(cases);
    println!(
        "{} boundaries, {} more after a crash; {deaths} of {processes} processes ended early",
        first.len(),
        afterwards
            .iter()
            .filter(|name| !first.contains(name))
            .count()
    );
    assert!(deaths >= EXPECTED.len() + 2 * EXPECTED_AFTERWARDS.len());
}
