//! A relay that stands still for longer than its lease, and goes on.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use axiomatic_coordination::outbox::history::{Consumer, Event};

use super::place::{Place, Running};

/// A relay that stands still at a boundary, and nowhere else.
///
/// If its other thread stands still within a transaction, SQLite's lock is
/// held, and no other process writes before it goes on: no zombie does
/// anything late then, so it is begun anew.
fn standing_still_at(boundary: &str) -> (Place, Running) {
    for _ in 0..20 {
        let place = Place::new();
        assert_eq!(place.run("produce", &[]), None);
        // From here on, since on a busy machine so short a lease may be lost
        // to other things as well.
        place.record(&Event::LeaseLost);
        let first = place.start("first", &[("AXIOMATIC_STOP_AT", boundary)]);
        until("the first stands still", || is_stopped(&first));
        if place.can_be_written() {
            return (place, first);
        }
    }
    panic!("it always stands still within a transaction");
}

/// A relay that stands still; one that takes its buckets and publishes what
/// waits; the first goes on, and both do. Also how many late writes of the
/// first were refused.
fn stop_at(boundary: &str) -> (Place, u64) {
    let (place, first) = standing_still_at(boundary);
    let second = place.start("second", &[]);
    until("the second has all buckets", || {
        place.number("SELECT count(*) FROM outbox_lease WHERE owner LIKE 'second/%'") == 4
    });
    until("the second has published what waited", || {
        place.number("SELECT messages FROM outbox_backlog") == 0
    });
    signal(&first, "-CONT");
    assert_eq!(place.run("produce", &[]), None);
    until("both have published the rest", || {
        place.number("SELECT messages FROM outbox_backlog") == 0
    });
    until("the first is among the relays again", || {
        let now = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
        let there = "SELECT count(*) FROM outbox_relay WHERE relay LIKE 'first/%' AND until >";
        place.number(&format!("{there} {now}")) == 1
    });
    fs::write(place.path().join("stop"), "").unwrap();
    for child in [first, second] {
        let ended = child.wait();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{said}");
    }
    let counted = fs::read_to_string(place.path().join("counted-first")).unwrap();
    let (fenced, lost) = counted.trim().split_once(' ').unwrap();
    assert!(lost.parse::<u64>().unwrap() > 0, "it has lost its leases");
    (place, fenced.parse().unwrap())
}

#[test]
fn a_late_write_of_a_zombie_is_refused_and_counted() {
    let (place, fenced) = stop_at("relay.settling:1");
    assert!(fenced > 0, "what it was about to settle was refused");
    place.check(Consumer::None);
}

#[test]
fn a_message_that_a_zombie_publishes_late_has_the_epoch_of_the_dead() {
    let (place, _) = stop_at("broker.taking:4");
    let history = place.check(Consumer::None);
    let mut newest = HashMap::new();
    let is_late = |event: &Event| {
        let Event::Published { id, epoch } = event else {
            return false;
        };
        let newest = newest.entry(*id).or_insert(*epoch);
        *newest = (*newest).max(*epoch);
        *epoch < *newest
    };
    assert!(history.events().iter().any(is_late));
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_stopped(child: &Running) -> bool {
    let mut ps = Command::new("ps");
    let state = ps.args(["-o", "state=", "-p", &child.id()]).output();
    state.unwrap().stdout.starts_with(b"T")
}

fn signal(child: &Running, signal: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, &child.id()]).status();
    assert!(sent.unwrap().success());
}
