//! Models of the budgets.

use axiomatic_core::budget::{
    Budget, Call, Class, Costs, Deposits, InFlight, Level, Model, RetryBudget, Spent, Throttle,
    Token,
};
use axiomatic_core::time::Instant;
use axiomatic_core::{Outcome, Ratio};
use loom::thread;
use std::time::Duration;

use super::{both_ways, bounded_model, few_preemptions_both_ways};

/// A slice of deposits is a millisecond.
fn at(slice: u64) -> Instant {
    Instant::from_nanos(slice * 1_000_000)
}

fn budget<M: Model>(model: M) -> RetryBudget<M> {
    RetryBudget::new("model", model).unwrap()
}

/// A budget in slice 3 to which so many calls have deposited.
fn deposits(ratio: Ratio, calls: u32) -> RetryBudget<Deposits> {
    let lifetime = Duration::from_millis(10);
    let budget = budget(Deposits::of(ratio).floor(0).lasting(lifetime));
    for _ in 0..calls {
        begin(&budget, 3);
    }
    budget
}

fn begin(budget: &RetryBudget<Deposits>, slice: u64) {
    let _call = budget.begin(at(slice));
}

/// Asks for an extra attempt, and sends it.
fn spend<M: Model>(budget: &RetryBudget<M>, slice: u64) -> bool {
    let token = budget.try_extra(at(slice), Class::Transient);
    token.map(Token::spend).map(drop).is_ok()
}

fn granted<M: Model>(budget: &RetryBudget<M>) -> u64 {
    budget.snapshot(at(3)).granted()
}

fn balance<M: Model>(budget: &RetryBudget<M>, slice: u64) -> u64 {
    match budget.snapshot(at(slice)).level() {
        Level::Deposited { balance, .. } | Level::Stock { balance, .. } => balance.whole(),
        level => panic!("no balance: {level}"),
    }
}

#[test]
fn two_threads_never_spend_one_token() {
    both_ways(
        || deposits(Ratio::ONE, 1),
        |budget| _ = spend(budget, 3),
        |budget| _ = spend(budget, 3),
        |budget| assert_eq!(granted(budget), 1),
    );
}

#[test]
fn two_threads_never_spend_one_cost() {
    both_ways(
        || budget(Costs::of(15)),
        |budget| _ = spend(budget, 3),
        |budget| _ = spend(budget, 3),
        |budget| assert_eq!((granted(budget), balance(budget, 3)), (1, 1)),
    );
}

#[test]
fn two_threads_never_have_one_place() {
    both_ways(
        || {
            (
                budget(InFlight::of(Ratio::ZERO).at_least(1)),
                Held::default(),
            )
        },
        |(budget, held)| held.count(budget),
        |(budget, held)| held.count(budget),
        |_| (),
    );
}

/// How many extra attempts are under way, as their owners count them.
#[derive(Default)]
struct Held(std::sync::atomic::AtomicU32);

impl Held {
    fn count(&self, budget: &RetryBudget<InFlight>) {
        use std::sync::atomic::Ordering::Relaxed;
        if let Ok(token) = budget.try_extra(at(3), Class::Hedge) {
            assert_eq!(self.0.fetch_add(1, Relaxed), 0);
            let attempt = token.spend();
            loom::thread::yield_now();
            self.0.fetch_sub(1, Relaxed);
            drop(attempt);
        }
    }
}

#[test]
fn a_token_is_returned_once() {
    both_ways(
        || deposits(Ratio::ONE, 1),
        |budget| drop(budget.try_extra(at(3), Class::Transient)),
        |budget| drop(budget.try_extra(at(3), Class::Transient)),
        |budget| {
            assert_eq!(balance(budget, 3), 1);
            let snapshot = budget.snapshot(at(3));
            assert_eq!(snapshot.granted(), snapshot.returned());
        },
    );
}

#[test]
fn a_cost_is_returned_once() {
    both_ways(
        || budget(Costs::of(20)),
        |budget| drop(budget.try_extra(at(3), Class::Transient)),
        |budget| _ = spend(budget, 3),
        |budget| assert_eq!(balance(budget, 3), if spent(budget) { 6 } else { 20 }),
    );
}

fn spent<M: Model>(budget: &RetryBudget<M>) -> bool {
    let snapshot = budget.snapshot(at(3));
    snapshot.granted() > snapshot.returned()
}

#[test]
fn withdrawals_never_exceed_deposits() {
    both_ways(
        || deposits(Ratio::percent(50), 1),
        |budget| {
            begin(budget, 3);
            spend(budget, 3);
        },
        |budget| {
            begin(budget, 3);
            spend(budget, 3);
        },
        |budget| {
            // Whoever came last saw two deposits at least.
            assert_eq!(granted(budget), 1);
            assert_eq!(balance(budget, 3), 0);
        },
    );
}

/// A deposit of slice 3, seen last in slice 12.
fn old_deposit() -> RetryBudget<Deposits> {
    let budget = deposits(Ratio::ONE, 1);
    for slice in 4..=12 {
        assert_eq!(balance(&budget, slice), 1);
    }
    budget
}

#[test]
fn an_expired_deposit_is_never_spent() {
    both_ways(
        old_deposit,
        |budget| _ = balance(budget, 13),
        |budget| assert!(!spend(budget, 13)),
        |_| (),
    );
}

#[test]
fn a_deposit_that_expired_while_nobody_called_is_never_spent() {
    few_preemptions_both_ways(
        || deposits(Ratio::ONE, 1),
        // The mark that counts is taken by whoever comes first.
        |budget| _ = balance(budget, 13),
        |budget| assert!(!spend(budget, 13)),
        |_| (),
    );
}

#[test]
fn a_deposit_is_not_lost_as_a_slice_begins() {
    both_ways(
        old_deposit,
        |budget| begin(budget, 13),
        |budget| begin(budget, 13),
        // The mark may have been taken with one of them, but it is of this
        // slice; what expired is the old one.
        |budget| assert_eq!(balance(budget, 13), 2),
    );
}

#[test]
fn time_deposits_once() {
    few_preemptions_both_ways(
        || {
            let lifetime = Duration::from_millis(10);
            let budget = budget(Deposits::of(Ratio::ZERO).floor(1_000).lasting(lifetime));
            assert_eq!(balance(&budget, 20), 10);
            budget
        },
        |budget| _ = spend(budget, 21),
        |budget| _ = spend(budget, 22),
        |budget| {
            let Level::Deposited { total, .. } = budget.snapshot(at(22)).level() else {
                panic!("another model's level");
            };
            assert_eq!((granted(budget), total.whole()), (2, 12));
        },
    );
}

#[test]
fn of_calls_one_after_the_other_no_two_are_in_flight() {
    both_ways(
        || budget(InFlight::of(Ratio::percent(50)).at_least(0)),
        |budget| {
            drop(budget.begin(at(3)));
            drop(budget.begin(at(3)));
        },
        |budget| assert!(!spend(budget, 3)),
        |_| (),
    );
}

/// A call that is hedged, if that is granted. Whether it was.
fn hedged(budget: &RetryBudget<Throttle>, first: Outcome, second: Outcome) -> bool {
    let mut call = budget.begin(at(3));
    let hedge = budget.try_extra(at(3), Class::Hedge).map(Token::spend);
    call.record(at(3), first);
    let is_hedged = hedge.is_ok();
    if let Ok(hedge) = hedge {
        hedge.record(at(3), second);
    }
    is_hedged
}

#[test]
fn a_throttle_overshoots_by_no_more_than_the_calls_under_way() {
    bounded_model(|| {
        // More than half are there while four are, or three; a call that is
        // hedged takes two.
        let budget = budget(Throttle::of(4, Ratio::ONE));
        let fails = || {
            let budget = budget.clone();
            move || hedged(&budget, Outcome::Transient, Outcome::Transient)
        };
        let threads = [fails(), fails()].map(|run| thread::spawn(run));
        let mine = [fails()(), fails()()];
        let others = threads.map(|thread| thread.join().unwrap());
        // The second of mine began when one of them had ended at least.
        let granted = mine.into_iter().chain(others).filter(|granted| *granted);
        assert!((1..=3).contains(&granted.count()));
        assert!(!mine[1], "{mine:?}");
        assert_eq!(balance(&budget, 3), 0);
    });
}

#[test]
fn a_throttle_counts_each_outcome_once_and_never_beyond_its_bounds() {
    bounded_model(|| {
        let budget = budget(Throttle::of(2, Ratio::ONE));
        let tells = |outcome| {
            let budget = budget.clone();
            move || budget.begin(at(3)).finish(at(3), outcome)
        };
        let threads = [Outcome::Transient, Outcome::Success].map(tells);
        let threads = threads.map(|run| thread::spawn(run));
        tells(Outcome::Transient)();
        let [_, _] = threads.map(|thread| thread.join().unwrap());
        // The success put one back, or found nothing missing.
        let balance = balance(&budget, 3);
        assert!(balance <= 1, "{balance}");
    });
}

#[test]
fn nested_budgets_spend_one_token_of_each_or_none() {
    bounded_model(|| {
        // A token each, and one for both of them.
        let [one, other, outer] = [(); 3].map(|()| budget(Costs::of(14)));
        let spends = |inner: &RetryBudget<Costs>| {
            let nested = inner.clone().within(outer.clone());
            move || {
                let token = nested.try_extra(at(3), Class::Transient);
                token.map(Token::spend).map(drop).is_ok()
            }
        };
        let first = thread::spawn(spends(&one));
        let second = thread::spawn(spends(&other));
        // Asks and does not send.
        drop(outer.try_extra(at(3), Class::Transient));
        let spent = [first, second].map(|thread| thread.join().unwrap());
        assert_ne!(spent, [true, true]);
        let left = |spent| if spent { 0 } else { 14 };
        assert_eq!([balance(&one, 3), balance(&other, 3)], spent.map(left));
        assert_eq!(balance(&outer, 3), left(spent[0] | spent[1]));
    });
}
