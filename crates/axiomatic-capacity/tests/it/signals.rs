//! Signals of overload: of the limiters, of the runtime, of files that a test
//! laid out and of those of this machine, and what is decided by several.

mod files;
mod lag;
mod machine;
mod overload;

use std::time::Duration;

use axiomatic_capacity::bulkhead::{Ask, Config, Order};
use axiomatic_capacity::load_shed::signal::{InFlight, QueueDelay, Watched};
use axiomatic_core::Ratio;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::{Clock, Instant, ManualClock};

use crate::support::{MILLI, place, slots, waiting};

const START: Instant = Instant::from_nanos(3_600_000_000_000);

#[test]
fn what_is_in_flight_is_measured_against_a_share_of_the_limit() {
    let bulkhead = Config::new(slots(10)).build().unwrap();
    let in_flight = InFlight::of(bulkhead.clone(), Ratio::percent(80));
    assert_eq!(in_flight.name(), "in flight");
    let mut permits = Vec::new();
    for taken in 0..=10 {
        let is = in_flight.pressure(START);
        assert_eq!(
            is,
            Pressure::percent(taken * 100 / 8 * 10 / 10).max(is),
            "{taken}"
        );
        assert_eq!(is.is_full(), taken >= 8, "{taken} of 8: {is}");
        permits.extend(bulkhead.admit());
    }
    drop(permits);
    assert_eq!(in_flight.pressure(START), Pressure::NONE);
    let any = InFlight::of(bulkhead.clone(), Ratio::ZERO);
    assert_eq!(any.pressure(START), Pressure::NONE);
    let _permit = bulkhead.admit().unwrap();
    assert_eq!(any.pressure(START), Pressure::MOST);
}

#[test]
fn the_queues_delay_is_measured_by_the_limiters_clock() {
    let clock = ManualClock::new();
    let bulkhead = Config::new(slots(1))
        .when_full(waiting(Order::Fifo))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let delay = QueueDelay::of(bulkhead.clone(), 20 * MILLI);
    let permit = bulkhead.admit().unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(delay.pressure(clock.now()), Pressure::NONE, "nobody waits");
    let waiter = place(&bulkhead, Ask::default());
    clock.advance(15 * MILLI);
    assert_eq!(delay.pressure(clock.now()), Pressure::percent(75));
    clock.advance(15 * MILLI);
    assert_eq!(delay.pressure(clock.now()), Pressure::percent(150));
    drop((waiter, permit));
    assert_eq!(delay.pressure(clock.now()), Pressure::NONE);
}

#[test]
fn a_limiter_without_a_queue_has_no_delay() {
    let bulkhead = Config::new(slots(1)).build().unwrap();
    let delay = QueueDelay::of(bulkhead.clone(), Duration::ZERO);
    let _permit = bulkhead.admit().unwrap();
    assert!(bulkhead.admit().is_err());
    assert_eq!(delay.pressure(START), Pressure::NONE);
}

#[test]
fn anything_can_be_watched() {
    let watched = Watched::new("age", |now| {
        Pressure::of_times(now - START, Duration::from_secs(2))
    });
    assert_eq!(watched.name(), "age");
    assert_eq!(format!("{watched:?}"), r#"Watched { name: "age", .. }"#);
    let later = START + Duration::from_secs(1);
    assert_eq!(watched.pressure(later), Pressure::percent(50));
}
