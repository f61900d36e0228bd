//! Processes that are killed at any time, in the middle of whatever it is.

use std::time::Duration;

use axiomatic_coordination::outbox::history::{Consumer, Event};
use axiomatic_testbed::chance::Chance;

use super::place::{Place, until};

const ROLES: [&str; 4] = ["first", "second", "produce for ever", "produce for ever"];

#[test]
fn relays_and_producers_that_are_killed_at_any_time_lose_nothing() {
    let Some(place) = Place::find() else {
        return;
    };
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let kills = if is_deep { 200 } else { 12 };
    // Their leases are short, so that somebody takes over.
    place.record(&Event::LeaseLost);
    let mut children = ROLES.map(|role| Some(place.start(role, &[])));
    let mut chance = Chance::of(11);
    for _ in 0..kills {
        let which = chance.below(4) as usize;
        std::thread::sleep(Duration::from_millis(20 + chance.below(300)));
        let child = children[which].take().expect("each is started again");
        child.signal("-KILL");
        child.wait();
        place.record(&Event::Crash);
        children[which] = Some(place.start(ROLES[which], &[]));
    }
    until("something is published by those who came last", || {
        let first = place.number("SELECT count(*) FROM {schema}.outbox_archive");
        std::thread::sleep(Duration::from_millis(10));
        place.number("SELECT count(*) FROM {schema}.outbox_archive") > first
    });
    std::fs::write(place.path().join("stop"), "").unwrap();
    for child in children {
        child.expect("all run").succeed();
    }
    place.bury_sessions();
    place.let_leases_expire();
    assert_eq!(place.run("all", &[]), None);
    let history = place.check(Consumer::Once);
    let published = |event: &&Event| matches!(event, Event::Published { .. });
    let published = history.events().iter().filter(published).count();
    println!("{kills} kills, {published} publications");
    assert!(published > kills);
}
