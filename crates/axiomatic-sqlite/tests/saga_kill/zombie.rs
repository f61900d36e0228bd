//! An executor that stands still for longer than its lease, and goes on.

use std::fs;

use axiomatic_coordination::saga::history::{Answer, Call, Ledger};
use axiomatic_coordination::saga::{Recorded, Store};

use super::checking::check_all;
use super::child::HELD;
use super::place::Place;
use super::running::{Running, until};
use super::stories::{FINE, REFUSED};

/// An executor that stands still at a boundary, and nowhere else.
///
/// If another thread of it stands still within a transaction that locks what
/// others need, no zombie does anything late: it is begun anew then.
fn standing_still_at(wrong: u8, boundary: &str) -> Option<(Place, Running)> {
    for _ in 0..20 {
        let place = Place::find()?;
        let role = format!("first {wrong}");
        let first = place.start(&role, &[("AXIOMATIC_STOP_AT", boundary)]);
        until("the first stands still", || first.is_stopped());
        if place.can_be_written() {
            until("its lease has ended", || place.is_nobody_there());
            return Some((place, first));
        }
    }
    panic!("it always stands still within a transaction");
}

/// What is written of the saga, and what was done in the database.
fn written(place: &Place) -> (Vec<Recorded>, Vec<Call>) {
    let found = place.with(async |store| store.find(HELD).await.unwrap());
    (found.expect("it has begun").records, place.seen())
}

/// Lets a zombie go on until it has done all that it will.
fn go_on(place: &Place, first: Running) {
    first.go_on();
    fs::write(place.path().join("stop"), "").unwrap();
    let ended = first.wait();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
}

#[test]
fn what_a_zombie_does_elsewhere_has_an_old_token_and_it_writes_nothing() {
    let cases = [
        (FINE, "saga.launching:1"),
        (FINE, "saga.launching:3"),
        (FINE, "ledger.asked:2"),
        (REFUSED, "saga.undo_launching:1"),
    ];
    let mut late = 0;
    for (wrong, boundary) in cases {
        let Some((place, first)) = standing_still_at(wrong, boundary) else {
            return;
        };
        let second = place.start("second", &[]).wait();
        assert!(second.status.success(), "{boundary}");
        let before = written(&place);
        go_on(&place, first);
        assert_eq!(written(&place), before, "{boundary}");
        let calls = Ledger::read(place.path().join("ledger")).unwrap();
        let last = calls.last().expect("the zombie's");
        assert_eq!(last.answer, Answer::TooLate, "{boundary}");
        let found = check_all(&place, [HELD]);
        assert_eq!(found.late, 1, "{boundary}");
        late += found.late;
    }
    println!("{late} calls of zombies were refused");
}

/// Who has followed has not written anything either, so that the log is as
/// long as the zombie thinks: the lease alone says who may write.
#[test]
fn what_a_zombie_writes_is_refused_where_the_log_stands_as_it_left_it() {
    let cases = [
        (FINE, "saga.working", 1),
        (FINE, "saga.appending", 1),
        (FINE, "saga.appending", 2),
        (FINE, "saga.working", 2),
        (REFUSED, "saga.undo_working", 1),
    ];
    for (wrong, boundary, nth) in cases {
        let at = format!("{boundary}:{nth}");
        let (place, first, second) = loop {
            let Some((place, first)) = standing_still_at(wrong, &at) else {
                return;
            };
            let stops = format!("{boundary}:1");
            let second = place.start("second", &[("AXIOMATIC_STOP_AT", &stops)]);
            until("the second stands still", || second.is_stopped());
            if place.can_be_written() {
                break (place, first, second);
            }
        };
        let before = written(&place);
        go_on(&place, first);
        assert_eq!(written(&place), before, "{at}");
        second.go_on();
        let ended = second.wait();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{said}");
        assert!(written(&place).0.len() > before.0.len(), "{at}");
        check_all(&place, [HELD]);
    }
}
