//! What budgets do, one thing at a time; their laws over random scripts are
//! next door.

mod laws;

use std::time::Duration;

use axiomatic_core::budget::{
    Budget, Call, Class, ConfigError, Costs, Deposited, Deposits, InFlight, Level, Model,
    RetryBudget, Spent, Throttle, Token, Tokens, UpdateError,
};
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Outcome, Ratio};

const HOUR: u64 = 3_600_000_000_000;

fn start() -> Instant {
    Instant::from_nanos(HOUR)
}

fn budget<M: Model>(model: M) -> RetryBudget<M> {
    RetryBudget::new("test", model).expect("a model that works")
}

fn balance<M: Model>(budget: &RetryBudget<M>) -> u64 {
    balance_at(budget, start())
}

fn balance_at<M: Model>(budget: &RetryBudget<M>, now: Instant) -> u64 {
    match budget.snapshot(now).level() {
        Level::Deposited { balance, .. } | Level::Stock { balance, .. } => balance.as_thousandths(),
        level => panic!("no balance: {level}"),
    }
}

/// Asks until it is refused.
fn exhaust<M: Model>(budget: &RetryBudget<M>, now: Instant) -> usize {
    let granted = std::iter::from_fn(|| budget.try_extra(now, Class::Transient).ok());
    granted.map(Token::spend).map(drop).count()
}

#[test]
fn every_percent_is_exact() {
    for hundredths in 0..=200u16 {
        let budget = budget(Deposits::of(Ratio::percent(hundredths)).floor(0));
        for _ in 0..1_000 {
            let _call = budget.begin(start());
        }
        assert_eq!(exhaust(&budget, start()), usize::from(hundredths) * 10);
    }
}

#[test]
fn a_call_that_deposits_weighs_nothing() {
    assert_eq!(size_of::<Deposited>(), 0);
}

#[test]
fn a_long_idle_time_is_worth_one_lifetime_of_the_floor() {
    let budget = budget(Deposits::of(Ratio::percent(20)).floor(7));
    for idle in [0, 3, 10, 11, 1_000_000] {
        let now = start() + Duration::from_secs(idle);
        let _call = budget.begin(now);
        assert!(balance_at(&budget, now) <= 7 * 10 * 1_000 + 5 * 200);
    }
    let end = Instant::from_nanos(u64::MAX);
    assert_eq!(exhaust(&budget, end), 70);
    assert_eq!(exhaust(&budget, end), 0);
}

#[test]
fn time_that_runs_backwards_gives_nothing() {
    let budget = budget(Deposits::of(Ratio::percent(20)).floor(1));
    assert_eq!(exhaust(&budget, start()), 10);
    assert_eq!(exhaust(&budget, Instant::from_nanos(1)), 0);
    assert_eq!(exhaust(&budget, start() + Duration::from_secs(1)), 1);
    assert_eq!(exhaust(&budget, start()), 0);
}

#[test]
fn a_slow_floor_loses_nothing_to_rounding() {
    // A slice is worth 0.1 thousandths.
    let budget = budget(
        Deposits::of(Ratio::ZERO)
            .floor(1)
            .lasting(Duration::from_millis(1)),
    );
    for step in 0..=20_000u64 {
        let _call = budget.begin(start() + Duration::from_micros(100 * step));
    }
    let Level::Deposited { total, .. } = budget.snapshot(start()).level() else {
        panic!("another model's level");
    };
    // Two seconds, and the lifetime before the first call.
    assert_eq!(total, Tokens::thousandths(2_001));
}

#[test]
fn threads_spend_each_token_once() {
    let budget = budget(Deposits::of(Ratio::percent(30)).floor(0));
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let budget = budget.clone();
                scope.spawn(move || {
                    let mut granted = 0;
                    for call in 0..5_000 {
                        let _call = budget.begin(start());
                        if let Ok(token) = budget.try_extra(start(), Class::Transient) {
                            if (call + thread) % 3 == 0 {
                                drop(token);
                            } else {
                                drop(token.spend());
                                granted += 1;
                            }
                        }
                    }
                    granted
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .sum()
    });
    assert_eq!(granted + exhaust(&budget, start()), 6_000);
}

#[test]
fn a_refunded_hedge_would_be_free_and_is_not() {
    let budget = budget(Costs::of(20).hedge(5).transient(5));
    let now = start();
    for class in [Class::Transient, Class::Hedge] {
        let token = budget.try_extra(now, class).expect("there is enough");
        token.spend().record(now, Outcome::Success);
    }
    assert_eq!(balance(&budget), 15_000);
}

#[test]
fn an_attempt_in_flight_keeps_its_place_and_a_cancelled_one_returns_it() {
    let budget = budget(InFlight::of(Ratio::ZERO).at_least(1));
    let now = start();
    let token = budget.try_extra(now, Class::Hedge).expect("the first");
    let refused = budget.try_extra(now, Class::Hedge).expect_err("the second");
    assert_eq!(refused.to_string(), "retry budget test is exhausted");
    let attempt = token.spend();
    assert!(budget.try_extra(now, Class::Hedge).is_err());
    drop(attempt);
    drop(
        budget
            .try_extra(now, Class::Hedge)
            .expect("the place is free"),
    );
    assert_eq!(
        budget.snapshot(now).to_string(),
        "retry budget test: 0 of 1 extra beside 0 in flight; 2 granted, 1 returned, 2 refused"
    );
}

/// For so long, in nanoseconds, a refusal is remembered, and by so much may
/// the clock of who asks lag behind.
const MOMENT: u64 = 2_000_000;
const LAG: u64 = 10_000_000;

#[test]
fn a_budget_is_drained_for_a_moment_after_a_refusal() {
    let drained = budget(Deposits::of(Ratio::ZERO).floor(0));
    let refused = 5 * LAG;
    let at = |nanos: u64| Instant::from_nanos(HOUR + nanos);
    assert!(!drained.is_drained(at(refused)));
    assert!(drained.try_extra(at(refused), Class::Hedge).is_err());
    // Time that steps back further forgets it.
    for (nanos, expected) in [
        (0, false),
        (refused - LAG - 1, false),
        (refused - LAG, true),
        (refused, true),
        (refused + MOMENT - 1, true),
        (refused + MOMENT, false),
        (u64::MAX - HOUR - 1, false),
    ] {
        assert_eq!(drained.is_drained(at(nanos)), expected, "{nanos}");
    }
    // A hint, and no more: what is there is granted.
    drained.update(Deposits::of(Ratio::ONE).floor(0)).unwrap();
    let _call = drained.begin(at(refused));
    assert!(drained.try_extra(at(refused), Class::Hedge).is_ok());
    assert!(drained.is_drained(at(refused)));
}

#[test]
fn who_refuses_nothing_is_not_drained() {
    for mode in [Mode::Shadow, Mode::Off] {
        let budget = budget(Deposits::of(Ratio::ZERO).floor(0));
        budget.set_mode(mode);
        assert!(budget.try_extra(start(), Class::Hedge).is_ok());
        assert!(!budget.is_drained(start()));
    }
}

#[test]
fn of_nested_budgets_either_may_be_drained() {
    let full = || budget(Deposits::of(Ratio::ZERO).floor(10));
    let empty = || budget(Deposits::of(Ratio::ZERO).floor(0));
    for (inner, outer, expected) in [
        (full(), full(), false),
        (empty(), full(), true),
        (full(), empty(), true),
        (empty(), empty(), true),
    ] {
        let nested = inner.within(outer);
        assert_eq!(nested.try_extra(start(), Class::Hedge).is_err(), expected);
        assert_eq!(nested.is_drained(start()), expected);
    }
}

/// Calls that are hedged at once and fail twice, from so many threads.
/// How many hedges are granted.
fn hedges_of_a_throttle(tokens: u32, threads: usize) -> usize {
    let budget = budget(Throttle::of(tokens, Ratio::percent(10)));
    let granted = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                let budget = budget.clone();
                scope.spawn(move || {
                    let mut granted = 0;
                    for _ in 0..tokens {
                        let mut call = budget.begin(start());
                        let hedge = budget.try_extra(start(), Class::Hedge);
                        std::thread::yield_now();
                        call.record(start(), Outcome::Transient);
                        if let Ok(hedge) = hedge {
                            hedge.spend().record(start(), Outcome::Transient);
                            granted += 1;
                        }
                    }
                    granted
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    assert_eq!(balance(&budget), 0);
    granted
}

#[test]
fn a_throttle_overshoots_by_the_calls_whose_outcome_is_not_known() {
    // Two failures a call: 250 calls take the upper half of 1,000.
    assert_eq!(hedges_of_a_throttle(1_000, 1), 250);
    for threads in [2, 4, 8] {
        let granted = hedges_of_a_throttle(1_000, threads);
        // A call of another thread may also fail without a hedge.
        assert!(granted <= 250 + threads, "{granted} by {threads} threads");
    }
    // All that are under way at once are hedged; then none is.
    let budget = budget(Throttle::of(10, Ratio::percent(10)));
    let mut calls: Vec<_> = (0..50).map(|_| budget.begin(start())).collect();
    let hedge = |_: &mut _| budget.try_extra(start(), Class::Hedge);
    let hedges: Vec<_> = calls.iter_mut().map(hedge).collect();
    assert!(hedges.iter().all(Result::is_ok));
    for call in &mut calls {
        call.record(start(), Outcome::Transient);
    }
    assert_eq!(exhaust(&budget, start()), 0);
}

#[test]
fn what_was_never_sent_is_free() {
    let budget = budget(Deposits::of(Ratio::ZERO).floor(0));
    assert!(budget.try_extra(start(), Class::Transient).is_err());
    assert!(budget.try_extra(start(), Class::Unsent).is_ok());
    assert_eq!(balance(&budget), 0);
}

#[test]
fn shadow_counts_what_it_would_refuse_and_off_grants_all() {
    let budget = budget(Deposits::of(Ratio::ZERO).floor(0));
    budget.set_mode(Mode::Shadow);
    drop(budget.try_extra(start(), Class::Hedge).expect("shadow"));
    budget.set_mode(Mode::Off);
    drop(budget.try_extra(start(), Class::Hedge).expect("off"));
    assert_eq!(
        budget.snapshot(start()).to_string(),
        "retry budget test: 0 of 0 deposited; 0 granted, 0 returned, 0 refused, 1 would be; off"
    );
}

#[test]
fn settings_change_live_and_a_refused_change_changes_nothing() {
    let deposits = budget(Deposits::of(Ratio::percent(50)).floor(0));
    let _call = deposits.begin(start());
    let fine = Ratio::parts_per_million(999);
    let refused = deposits.update(Deposits::of(fine));
    assert_eq!(refused, Err(UpdateError::Config(ConfigError::Ratio(fine))));
    let longer = Deposits::default().lasting(Duration::from_secs(11));
    assert_eq!(deposits.update(longer), Err(UpdateError::Lifetime));
    assert_eq!(deposits.update(Deposits::of(Ratio::ONE).floor(0)), Ok(()));
    let _call = deposits.begin(start());
    assert_eq!(balance(&deposits), 1_500);

    let costs = budget(Costs::default());
    assert_eq!(costs.update(Costs::of(20)), Ok(()));
    assert_eq!(balance(&costs), 20_000);
    assert_eq!(
        costs.update(Costs::of(9)),
        Err(UpdateError::Config(ConfigError::Cost(14)))
    );

    let throttle = budget(Throttle::default());
    assert_eq!(throttle.update(Throttle::of(4, Ratio::ONE)), Ok(()));
    assert_eq!(balance(&throttle), 4_000);

    let places = budget(InFlight::default());
    assert_eq!(exhaust_held(&places), 3);
    assert_eq!(places.update(InFlight::default().at_least(5)), Ok(()));
    assert_eq!(exhaust_held(&places), 5);
}

fn exhaust_held(budget: &RetryBudget<InFlight>) -> usize {
    let granted = std::iter::from_fn(|| budget.try_extra(start(), Class::Transient).ok());
    granted.collect::<Vec<_>>().len()
}

#[test]
fn a_budget_that_cannot_work_is_not_made() {
    let refused = |error, expected| assert_eq!(error, Some(expected));
    let fine = Ratio::parts_per_million(1_001);
    let brief = Duration::from_micros(1);
    refused(
        RetryBudget::new("x", Deposits::of(fine)).err(),
        ConfigError::Ratio(fine),
    );
    refused(
        RetryBudget::new("x", Deposits::default().lasting(brief)).err(),
        ConfigError::Lifetime(brief),
    );
    refused(
        RetryBudget::new("x", Throttle::of(0, Ratio::ONE)).err(),
        ConfigError::Empty,
    );
    refused(
        RetryBudget::new("x", Throttle::of(1, Ratio::ZERO)).err(),
        ConfigError::Ratio(Ratio::ZERO),
    );
    refused(
        RetryBudget::new("x", Costs::of(0)).err(),
        ConfigError::Empty,
    );
    refused(
        RetryBudget::new("x", Costs::of(10)).err(),
        ConfigError::Cost(14),
    );
}

#[test]
fn what_a_future_holds_may_go_anywhere() {
    fn anywhere<T: Send + Sync + Unpin + 'static>() {}
    fn of<M: Model>()
    where
        M::Call: Send + Sync + Unpin,
    {
        anywhere::<RetryBudget<M>>();
        anywhere::<M::Call>();
        anywhere::<<RetryBudget<M> as Budget>::Token>();
        anywhere::<<<RetryBudget<M> as Budget>::Token as Token>::Spent>();
    }
    of::<Deposits>();
    of::<InFlight>();
    of::<Throttle>();
    of::<Costs>();
}
