//! What announcing and hearing a limit allocate. A binary of its own, because
//! it counts the allocations of the thread.

#[path = "../../axiomatic-core/tests/counting/mod.rs"]
mod counting;

use std::hint::black_box;
use std::time::Duration;

use axiomatic_core::Plain;
use axiomatic_core::allowance::{Allowance, Announce, Heed, Policy};
use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_http::Http;
use counting::ALLOCATIONS;
use http::Response;

fn allocations(operation: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    operation();
    ALLOCATIONS.get() - before
}

fn left() -> Allowance {
    let policy = Policy::new("search".into(), 100, Duration::from_secs(60));
    Allowance::new(policy, 50, Duration::from_millis(600))
}

#[test]
fn who_announces_nothing_and_who_hears_nothing_allocates_nothing() {
    let mut response = Response::new(());
    let plain = allocations(|| {
        Plain.announce(&mut response, || panic!("nobody listens"));
        assert_eq!(Heed::heed(&Plain, black_box(&response)), None);
    });
    assert_eq!(plain, 0);
    // Nor does an answer that speaks of no limit.
    response
        .headers_mut()
        .insert("content-length", "7".parse().unwrap());
    let silent = allocations(|| assert_eq!(Http.heed(black_box(&response)), None));
    assert_eq!(silent, 0);
}

#[test]
fn each_field_that_is_announced_is_one_allocation() {
    let mut response = Response::new(());
    response.headers_mut().reserve(4);
    let alone = allocations(|| Http.announce(&mut response, left));
    assert_eq!(alone, 2);
    // A list that is continued is written anew.
    let continued = allocations(|| Http.announce(&mut response, left));
    assert_eq!(continued, 4);
}

#[test]
fn what_is_heard_is_one_allocation_a_field() {
    let mut response = Response::new(());
    Http.announce(&mut response, left);
    let heard = allocations(|| {
        let heard = Http.heed(black_box(&response));
        assert_eq!(heard.and_then(|heard| heard.remaining()), Some(50));
    });
    assert_eq!(heard, 2);
}

#[test]
fn a_level_is_one_allocation_where_it_is_written_and_none_elsewhere() {
    let level = |refused| AdmissionLevel::at(Priority::CRITICAL, refused);
    let mut response = Response::new(());
    let quiet = allocations(|| {
        Plain.announce_level(&mut response, || panic!("nobody listens"));
        Http.announce_level(&mut response, || AdmissionLevel::ALL);
        assert_eq!(Http.heed_level(black_box(&response)), None);
    });
    assert_eq!(quiet, 0);
    response.headers_mut().reserve(2);
    let written = allocations(|| Http.announce_level(&mut response, || level(65_535)));
    assert_eq!(written, 1);
    let heard = allocations(|| {
        let heard = Http.heed_level(black_box(&response));
        assert_eq!(heard, Some(level(65_535)));
        // Further out, where less is refused.
        Http.announce_level(&mut response, || level(7));
    });
    assert_eq!(heard, 0);
}
