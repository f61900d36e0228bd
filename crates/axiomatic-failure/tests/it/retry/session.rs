//! The mechanism alone: time is an argument, and nobody waits.

use super::*;

use axiomatic_core::budget::Model;
use axiomatic_core::budget::{Costs, InFlight, Throttle};
use axiomatic_failure::retry::{Ended, Verdict};
use proptest::prelude::*;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(50_000_000_000) + Duration::from_millis(millis)
}

#[test]
fn a_session_needs_neither_tower_nor_a_runtime() {
    let retry = config().build().unwrap();
    let mut call = retry.begin(&Context::default(), at(0));
    let failed = Ended::with(Outcome::Transient);
    assert_eq!(
        call.record(at(0), &failed),
        Verdict::Again { after: SECOND }
    );
    assert!(call.start_attempt(at(1_000)));
    assert_eq!(call.attempt(), 2);
    let good = Ended::with(Outcome::Success);
    assert_eq!(call.record(at(1_100), &good), Verdict::Return);
}

#[test]
fn an_attempt_that_was_not_allowed_does_not_start() {
    let retry = config().build().unwrap();
    let mut call = retry.begin(&Context::default(), at(0));
    assert!(!call.start_attempt(at(0)));
    let _ = call.record(at(0), &Ended::with(Outcome::Permanent));
    assert!(!call.start_attempt(at(0)));
    assert_eq!(call.attempt(), 1);
}

#[test]
fn a_seed_repeats_the_waits_of_the_first_call_and_of_the_second() {
    let waits = || {
        let backoff = Backoff::exponential(SECOND, 60 * SECOND);
        let retry = config().backoff(backoff).seed(7).build().unwrap();
        let mut waits = Vec::new();
        for _ in 0..3 {
            let mut call = retry.begin(&Context::default(), at(0));
            let failed = Ended::with(Outcome::Transient);
            while let Verdict::Again { after } = call.record(at(0), &failed) {
                waits.push(after);
                assert!(call.start_attempt(at(0)));
            }
        }
        waits
    };
    assert_eq!(waits(), waits());
    let mut apart = waits();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), 6, "no two calls wait alike");
}

/// Whatever the budget counts by, the retry asks it before each extra attempt
/// and tells it each attempt's outcome once.
#[test]
fn every_model_of_a_budget_bounds_a_retry() {
    fn added<M: Model>(model: M, calls: u64) -> u64 {
        let budget = RetryBudget::new("test", model).unwrap();
        let retry = Config::new(budget).attempts(10).build().unwrap();
        for millis in 0..calls {
            let mut call = retry.begin(&Context::default(), at(millis));
            let failed = Ended::with(Outcome::Transient);
            while let Verdict::Again { .. } = call.record(at(millis), &failed) {
                assert!(call.start_attempt(at(millis)));
            }
        }
        let budget = retry.budget().snapshot(at(calls));
        assert_eq!(
            budget.granted() - budget.returned(),
            retry.snapshot().retried()
        );
        retry.snapshot().retried()
    }
    let deposits = Deposits::of(Ratio::percent(20)).floor(0);
    assert_eq!(added(deposits, 1_000), 200);
    assert_eq!(added(Throttle::of(10, Ratio::percent(10)), 1_000), 4);
    assert_eq!(added(Costs::of(500), 1_000), 500 / 14);

    // Ten calls at once have two places between them.
    let budget = RetryBudget::new("test", InFlight::of(Ratio::percent(20)).at_least(0)).unwrap();
    let retry = Config::new(budget).build().unwrap();
    let mut calls: Vec<_> = (0..10)
        .map(|_| retry.begin(&Context::default(), at(0)))
        .collect();
    let failed = Ended::with(Outcome::Transient);
    let granted = calls.iter_mut().filter_map(|call| {
        matches!(call.record(at(0), &failed), Verdict::Again { .. }).then_some(())
    });
    assert_eq!(granted.count(), 2);
}

/// What an extra attempt costs depends on what it is for.
#[test]
fn the_budget_is_told_what_an_extra_attempt_is_for() {
    let costs = Costs::of(100)
        .transient(1)
        .throttled(2)
        .timeout(10)
        .hedge(1);
    let rejected = |reason| Err(Rejected::new(Pattern::Timeout, reason));
    for (result, cost) in [
        (Ok(BAD), 1),
        (Ok(Answer::Is(Outcome::Throttled { retry_after: None })), 2),
        (rejected(Reason::Elapsed), 10),
        (Ok(Answer::Advised(Advice::Unsent)), 0),
    ] {
        let retry = Config::new(RetryBudget::new("test", costs).unwrap())
            .build()
            .unwrap();
        let mut call = retry.begin(&Context::default(), at(0));
        let ended = Ended::read(&Spoken, result.as_ref());
        assert!(matches!(call.record(at(0), &ended), Verdict::Again { .. }));
        let level = retry.budget().snapshot(at(0)).level().to_string();
        assert_eq!(level, format!("{} of 100", 100 - cost), "{result:?}");
    }
}

/// What a caller can do with a session, and what an attempt ends with.
#[derive(Clone, Copy, Debug)]
enum Step {
    End(Outcome),
    Advised(Advice),
    Start,
    Pass(u32),
    Leave,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::End(Outcome::Transient)),
        1 => Just(Step::End(Outcome::Success)),
        1 => Just(Step::End(Outcome::Throttled { retry_after: Some(SECOND) })),
        1 => Just(Step::Advised(Advice::Unsent)),
        1 => Just(Step::Advised(Advice::Never)),
        5 => Just(Step::Start),
        2 => (0..3_000_u32).prop_map(Step::Pass),
        1 => Just(Step::Leave),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    /// Over any script: attempts are bounded, tokens that are not spent come
    /// back, nothing starts unless it was allowed, and nothing starts late.
    #[test]
    fn nothing_that_a_caller_does_loses_a_token_or_starts_too_much(
        script in steps(),
        attempts in 1..5_u32,
        lasts in prop::option::of(0..10_000_u32),
    ) {
        let retry = config().attempts(attempts).build().unwrap();
        let mut now = at(0);
        let mut free = 0;
        let mut is_free = false;
        let mut made = 0;
        let mut call = None;
        let mut may_start = false;
        let mut deadline = None;
        for step in script {
            let session = call.get_or_insert_with(|| {
                made = 1;
                may_start = false;
                deadline = lasts.map(|lasts| now + lasts * MILLI);
                let context = match deadline {
                    Some(at) => Context::default().with_deadline(Deadline::at(at)),
                    None => Context::default(),
                };
                retry.begin(&context, now)
            });
            match step {
                Step::End(_) | Step::Advised(_) => {
                    let ended = match step {
                        Step::Advised(advice) => Ended::with(Outcome::Transient).advised(advice),
                        Step::End(outcome) => Ended::with(outcome),
                        _ => unreachable!(),
                    };
                    let verdict = session.record(now, &ended);
                    may_start = matches!(verdict, Verdict::Again { .. });
                    // The backoff never says zero; what was not sent does.
                    is_free = verdict == Verdict::Again { after: Duration::ZERO };
                    if let (Verdict::Again { after }, Some(deadline)) = (verdict, deadline) {
                        prop_assert!(now + after < deadline, "a wait past the deadline");
                    }
                    if !may_start {
                        call = None;
                    }
                }
                Step::Start => {
                    let started = session.start_attempt(now);
                    prop_assert!(may_start || !started);
                    if started {
                        made += 1;
                        free += u64::from(is_free);
                        prop_assert!(deadline.is_none_or(|deadline| now < deadline));
                    }
                    may_start = false;
                    prop_assert!(made <= attempts);
                    prop_assert_eq!(session.attempt(), made);
                }
                Step::Pass(millis) => now = now + millis * MILLI,
                Step::Leave => call = None,
            }
        }
        drop(call);
        let budget = retry.budget().snapshot(now);
        let paid = budget.granted() - budget.returned();
        prop_assert_eq!(paid + free, retry.snapshot().retried());
    }
}
