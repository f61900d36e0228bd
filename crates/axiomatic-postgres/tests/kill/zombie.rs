//! A relay that stands still for longer than its lease, and goes on.

use std::collections::HashMap;
use std::fs;

use axiomatic_coordination::outbox::history::{Consumer, Event};

use super::place::{Place, until};

const WAITING: &str = "SELECT count(*) FROM {schema}.outbox";

/// A relay that stands still at a boundary; one that takes its buckets and
/// publishes what waits; the first goes on, and both do. Also how many late
/// writes of the first were refused.
fn stop_at(boundary: &str) -> Option<(Place, u64)> {
    let place = Place::find()?;
    assert_eq!(place.run("produce", &[]), None);
    // From here on, since on a busy machine so short a lease may be lost to
    // other things as well.
    place.record(&Event::LeaseLost);
    let first = place.start("first", &[("AXIOMATIC_STOP_AT", boundary)]);
    until("the first stands still", || first.is_stopped());
    let second = place.start("second", &[]);
    until("the second has all buckets", || {
        let held = "SELECT count(*) FROM {schema}.outbox_lease WHERE owner LIKE 'second/%'";
        place.number(held) == 4
    });
    until("the second has published what waited", || {
        place.number(WAITING) == 0
    });
    first.signal("-CONT");
    assert_eq!(place.run("produce", &[]), None);
    until("both have published the rest", || {
        place.number(WAITING) == 0
    });
    until("the first is among the relays again", || {
        let there = "SELECT count(*) FROM {schema}.outbox_relay \
                     WHERE relay LIKE 'first/%' AND until > clock_timestamp()";
        place.number(there) == 1
    });
    fs::write(place.path().join("stop"), "").unwrap();
    first.succeed();
    second.succeed();
    let counted = fs::read_to_string(place.path().join("counted-first")).unwrap();
    let (fenced, lost) = counted.trim().split_once(' ').unwrap();
    assert!(lost.parse::<u64>().unwrap() > 0, "it has lost its leases");
    Some((place, fenced.parse().unwrap()))
}

#[test]
fn a_late_write_of_a_zombie_is_refused_and_counted() {
    let Some((place, fenced)) = stop_at("relay.settling:1") else {
        return;
    };
    assert!(fenced > 0, "what it was about to settle was refused");
    place.check(Consumer::None);
}

#[test]
fn a_message_that_a_zombie_publishes_late_has_the_epoch_of_the_dead() {
    let Some((place, _)) = stop_at("broker.taking:4") else {
        return;
    };
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
