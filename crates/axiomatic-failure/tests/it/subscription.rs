//! Whoever wants to know of transitions.
#![cfg(feature = "subscribe")]

use std::time::Duration;

use axiomatic_core::time::ManualClock;
use axiomatic_core::{Outcome, Ratio};
use axiomatic_failure::circuit_breaker::{Missed, Ramp, State};

use crate::circuit_breaker::{call, config};

#[tokio::test]
async fn a_subscriber_hears_of_every_transition() {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    let mut transitions = breaker.subscribe();
    assert_eq!(transitions.try_next(), None);

    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    let opened = transitions.next().await.unwrap().unwrap();
    assert_eq!((opened.from(), opened.to()), (State::Closed, State::Open));
    assert_eq!(opened.name().as_str(), "payment");
    assert_eq!(opened.admitting(), Ratio::ZERO);
    let line = opened.to_string();
    assert!(
        line.starts_with("circuit breaker payment: open after"),
        "{line}"
    );

    breaker.reset();
    let reset = transitions.next().await.unwrap().unwrap();
    assert_eq!((reset.from(), reset.to()), (State::Open, State::Closed));
    assert!(reset.number() > opened.number());

    drop(breaker);
    assert_eq!(transitions.next().await, None, "the breaker is gone");
}

#[test]
fn a_subscriber_hears_of_every_stage_of_a_ramp() {
    let clock = ManualClock::new();
    let config = config(&clock).ramp(Ramp::over(Duration::from_secs(8)));
    let breaker = config.build().unwrap();
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    let mut transitions = breaker.subscribe();
    for _ in 0..6 {
        clock.advance(Duration::from_secs(3));
        call(&breaker, Outcome::Success);
    }
    let heard = std::iter::from_fn(|| transitions.try_next()).map(Result::unwrap);
    let shares: Vec<_> = heard.map(|transition| transition.admitting()).collect();
    assert_eq!(shares, [0, 5, 10, 25, 50, 100].map(Ratio::percent));
}

#[test]
fn a_subscriber_that_does_not_listen_is_told_how_many_it_missed() {
    let breaker = config(&ManualClock::new()).build().unwrap();
    let mut deaf = breaker.subscribe();
    // Nobody waits for it, however much there is to tell.
    (0..1_000).for_each(|_| breaker.reset());
    assert_eq!(deaf.try_next(), Some(Err(Missed(1_000 - 64))));
    let heard = std::iter::from_fn(|| deaf.try_next()).filter(Result::is_ok);
    assert_eq!(heard.count(), 64);
}

/// No listener under a lock: it may ask the breaker, or change it.
#[test]
fn a_subscriber_may_call_the_breaker_back() {
    let breaker = config(&ManualClock::new()).build().unwrap();
    let mut transitions = breaker.subscribe();
    breaker.force_open();
    while let Some(Ok(transition)) = transitions.try_next() {
        if transition.to() == State::ForcedOpen {
            breaker.reset();
        }
    }
    assert_eq!(breaker.state(), State::Closed);
}
