//! Calls that arrive expired, and how many of them are refused.

use std::time::Duration;

use axiomatic_core::context::Deadline;
use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Mode, Ratio, Reason};
use axiomatic_latency::timeout::{Config, ConfigError, Expired, Timeout};
use proptest::prelude::*;
use tower::Layer;

use super::{MILLI, answers_after, call, now, typed};

const STEP: Duration = Duration::from_millis(10);

fn start() -> Instant {
    Instant::from_nanos(50_000_000_000)
}

fn refusing(expired: Expired) -> Timeout {
    Config::after(50 * MILLI).expired(expired).build().unwrap()
}

fn share(percent: u16) -> Timeout {
    refusing(Expired::RefuseAtMost(Ratio::percent(percent)))
}

/// So many calls one after the other, of which each `every`th is expired.
/// Whether each was refused.
fn calls(timeout: &Timeout, calls: u32, every: u32) -> Vec<bool> {
    let refused = |call: u32| {
        let now = start() + call * STEP;
        let left = if call % every == 0 { 0 } else { 20 };
        let inherited = Deadline::at(now + left * MILLI);
        let answer = timeout.admit(now, Some(inherited));
        if let Err(rejected) = &answer {
            assert_eq!(rejected.reason(), Reason::Expired);
            assert_eq!(left, 0, "it had time left");
        }
        answer.is_err()
    };
    (0..calls).map(refused).collect()
}

fn count(refused: &[bool]) -> usize {
    refused.iter().filter(|refused| **refused).count()
}

#[test]
fn no_more_than_a_share_of_the_calls_is_refused_as_expired() {
    for (percent, refused) in [(0, 0), (1, 10), (20, 200), (100, 1_000), (150, 1_000)] {
        let timeout = share(percent);
        assert_eq!(count(&calls(&timeout, 1_000, 1)), refused, "{percent} %");
        let snapshot = timeout.snapshot();
        assert_eq!(snapshot.refused(), refused as u64);
        assert_eq!(snapshot.let_through(), 1_000 - refused as u64);
    }
}

#[test]
fn while_they_are_fewer_all_expired_calls_are_refused() {
    let timeout = share(20);
    let refused = calls(&timeout, 1_000, 10);
    // Of the first ones there is no share yet.
    assert!(count(&refused) >= 99, "{}", count(&refused));
    assert!(refused.iter().skip(10).step_by(10).all(|refused| *refused));
}

#[test]
fn by_default_all_are_refused_and_none_if_so_configured() {
    for (expired, refused) in [(Expired::Refuse, 100), (Expired::Serve, 0)] {
        let timeout = refusing(expired);
        assert_eq!(count(&calls(&timeout, 1_000, 10)), refused);
        assert_eq!(timeout.snapshot().refused(), refused as u64);
        assert_eq!(timeout.snapshot().let_through(), 100 - refused as u64);
    }
    assert_eq!(count(&calls(&Timeout::after(MILLI), 100, 1)), 100);
    assert_eq!(
        share(0).snapshot().to_string(),
        "timeout unnamed: 50ms, enforce"
    );
    let timeout = share(10);
    calls(&timeout, 100, 1);
    assert_eq!(
        timeout.snapshot().to_string(),
        "timeout unnamed: 50ms, enforce; expired: 10 refused, 90 let through"
    );
}

proptest! {
    /// Whatever comes when, at no time were more refused than their share of
    /// all that had come.
    #[test]
    fn refused_as_expired_never_exceeds_its_share(
        thousandths in 0..=1_000u16,
        script in prop::collection::vec((0..2_000u32, any::<bool>()), 1..300),
    ) {
        let share = Ratio::per_mille(thousandths);
        let timeout = refusing(Expired::RefuseAtMost(share));
        let (mut at, mut refused, mut all) = (start(), 0, 0);
        for (wait, is_expired) in script {
            at = at + wait * MILLI;
            let left = if is_expired { Duration::ZERO } else { MILLI };
            all += 1;
            refused += u64::from(timeout.admit(at, Some(Deadline::at(at + left))).is_err());
            prop_assert!(refused * 1_000 <= u64::from(thousandths) * all);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_served_although_expired_has_the_timeouts_own_time() {
    let expired = Context::default().with_deadline(Deadline::at(now()));
    let outer = typed(&refusing(Expired::Serve));
    // Further in nobody takes it for expired, nor sets a timer.
    let inner = Timeout::after(80 * MILLI);
    let service = outer.layer(typed(&inner).layer(answers_after(20 * MILLI)));
    let began = now();
    let context = call(service, expired.clone()).await.unwrap();
    let told = context.deadline().unwrap();
    assert_eq!(told.instant(), began + 50 * MILLI);
    assert!(told.is_armed());
    assert_eq!(inner.snapshot().refused(), 0);

    let service = outer.layer(answers_after(80 * MILLI));
    let (began, context) = (now(), expired.clone().with_attempt(2));
    let rejected = call(service, context).await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::Elapsed);
    assert_eq!(now() - began, 50 * MILLI);
}

#[tokio::test(start_paused = true)]
async fn in_shadow_expired_calls_are_counted_and_off_they_are_not() {
    for (mode, counted) in [(Mode::Shadow, 1), (Mode::Off, 0)] {
        for expired in [
            Expired::Refuse,
            Expired::RefuseAtMost(Ratio::percent(10)),
            Expired::Serve,
        ] {
            let timeout = refusing(expired);
            timeout.set_mode(mode);
            let context = Context::default().with_deadline(Deadline::at(now()));
            let service = typed(&timeout).layer(answers_after(MILLI));
            assert_eq!(call(service, context.clone()).await, Ok(context));
            let snapshot = timeout.snapshot();
            assert_eq!((snapshot.refused(), snapshot.let_through()), (0, counted));
        }
    }
}

#[test]
fn a_share_that_cannot_be_counted_is_refused_as_the_timeout_is_built() {
    let share = Ratio::parts_per_million(1_500);
    let config = Config::after(MILLI).expired(Expired::RefuseAtMost(share));
    assert_eq!(config.build().unwrap_err(), ConfigError::Share(share));
    assert_eq!(
        ConfigError::Share(share).to_string(),
        "a share is a multiple of 0.1 %, which 0.15 % is not"
    );
}
