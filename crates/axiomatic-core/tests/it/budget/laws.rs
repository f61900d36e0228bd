//! The budgets against naive ledgers, over random scripts, and each against
//! the law of its model. A script is played to all of them alike: hence one
//! file.

use std::time::Duration;

use axiomatic_core::budget::{
    Budget, Call, Class, Costs, Deposits, InFlight, Level, Model, RetryBudget, Spent, Throttle,
    Token,
};
use axiomatic_core::time::Instant;
use axiomatic_core::{Outcome, Ratio};
use proptest::prelude::*;

use super::{HOUR, balance, budget, start};

fn classes() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Transient),
        Just(Class::Throttled),
        Just(Class::Timeout),
        Just(Class::Hedge),
    ]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(Outcome::Transient),
        1 => Just(Outcome::Throttled { retry_after: None }),
        1 => Just(Outcome::Permanent),
        1 => Just(Outcome::Ignored),
    ]
}

/// What happens to a budget. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Begin,
    Finish(usize, Outcome),
    Drop(usize),
    Ask(Class),
    Return(usize),
    Spend(usize),
    Ended(usize, Option<Outcome>),
    Wait(u64),
    Back(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Begin),
        4 => (any::<usize>(), outcomes()).prop_map(|(n, outcome)| Step::Finish(n, outcome)),
        1 => any::<usize>().prop_map(Step::Drop),
        8 => classes().prop_map(Step::Ask),
        2 => any::<usize>().prop_map(Step::Return),
        4 => any::<usize>().prop_map(Step::Spend),
        3 => (any::<usize>(), prop::option::of(outcomes())).prop_map(|(n, o)| Step::Ended(n, o)),
        4 => prop_oneof![5 => 0..300u64, 1 => 0..5_000u64].prop_map(Step::Wait),
        1 => (0..500u64).prop_map(Step::Back),
    ];
    prop::collection::vec(step, 1..300)
}

/// What a naive model does. `taken` is what it took for an extra attempt.
trait Ledger {
    fn follow(&mut self, _now: u64) {}
    fn begin(&mut self) {}
    fn first(&mut self, _: Outcome) {}
    fn end(&mut self) {}
    fn ask(&mut self, class: Class) -> Option<u64>;
    fn give_back(&mut self, taken: u64);
    fn extra(&mut self, _: Outcome, _taken: u64, _: Class) {}
    fn extra_ended(&mut self) {}
    /// The law of the model, after each step.
    fn law(&self);
}

fn pick<T>(from: &mut Vec<T>, number: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(number % from.len()))
}

/// Plays a script to a budget and to a ledger, which must agree.
fn play<M: Model>(budget: &RetryBudget<M>, ledger: &mut impl Ledger, unit: u64, script: &[Step]) {
    let (mut calls, mut tokens, mut spent) = (Vec::new(), Vec::new(), Vec::new());
    let mut nanos = HOUR;
    for step in script {
        let now = Instant::from_nanos(nanos);
        // Others look at no time.
        if matches!(step, Step::Begin | Step::Ask(_)) {
            ledger.follow(nanos);
        }
        match *step {
            Step::Begin => {
                ledger.begin();
                calls.push(budget.begin(now));
            }
            Step::Finish(number, outcome) => {
                if let Some(call) = pick(&mut calls, number) {
                    call.finish(now, outcome);
                    ledger.first(outcome);
                    ledger.end();
                }
            }
            Step::Drop(number) => {
                if pick(&mut calls, number).is_some() {
                    ledger.end();
                }
            }
            Step::Ask(class) => {
                let granted = budget.try_extra(now, class).ok();
                let expected = ledger.ask(class);
                assert_eq!(
                    granted.is_some(),
                    expected.is_some(),
                    "{}",
                    budget.snapshot(now)
                );
                tokens.extend(
                    granted
                        .zip(expected)
                        .map(|(token, taken)| (token, taken, class)),
                );
            }
            Step::Return(number) => {
                if let Some((token, taken, _)) = pick(&mut tokens, number) {
                    drop(token);
                    ledger.give_back(taken);
                }
            }
            Step::Spend(number) => {
                if let Some((token, taken, class)) = pick(&mut tokens, number) {
                    spent.push((token.spend(), taken, class));
                }
            }
            Step::Ended(number, outcome) => {
                if let Some((attempt, taken, class)) = pick(&mut spent, number) {
                    match outcome {
                        Some(outcome) => {
                            attempt.record(now, outcome);
                            ledger.extra(outcome, taken, class);
                        }
                        None => drop(attempt),
                    }
                    ledger.extra_ended();
                }
            }
            Step::Wait(units) => nanos += units * unit,
            Step::Back(units) => nanos = nanos.saturating_sub(units * unit).max(1),
        }
        ledger.law();
    }
}

/// Every deposit and every grant ever, each with its slice.
struct Lots {
    slice: u64,
    ratio: u64,
    floor: u64,
    head: u64,
    first: u64,
    deposits: Vec<(u64, u64)>,
    grants: Vec<(u64, i64)>,
    spent: u64,
}

impl Lots {
    fn total(&self, slice: u64) -> u64 {
        (u128::from(slice * self.slice) * u128::from(self.floor) / 1_000_000) as u64
    }

    fn sum(&self, wanted: impl Fn(u64) -> bool) -> u64 {
        let lots = self.deposits.iter().filter(|(slice, _)| wanted(*slice));
        lots.map(|(_, amount)| amount).sum()
    }
}

impl Ledger for Lots {
    fn follow(&mut self, now: u64) {
        let now = now / self.slice;
        for slice in self.head.max(now.saturating_sub(10)) + 1..=now {
            let amount = self.total(slice) - self.total(slice - 1);
            self.deposits.push((slice, amount));
        }
        if self.head == 0 {
            self.first = now;
        }
        self.head = self.head.max(now);
    }

    fn begin(&mut self) {
        self.deposits.push((self.head, self.ratio));
    }

    fn ask(&mut self, _: Class) -> Option<u64> {
        let expired = self.sum(|slice| slice + 10 <= self.head);
        let spent = self.spent.max(expired) + 1_000;
        (spent <= self.sum(|_| true)).then(|| {
            self.spent = spent;
            self.grants.push((self.head, 1));
            1_000
        })
    }

    fn give_back(&mut self, taken: u64) {
        self.spent -= taken;
        self.grants.push((self.head, -1));
    }

    /// In no stretch of time are more extra attempts granted than calls and
    /// time deposited in it and in the lifetime before it.
    fn law(&self) {
        let Some((to, _)) = self.grants.last().copied() else {
            return;
        };
        for from in self.first..=to {
            let within = self.grants.iter().filter(|(slice, _)| *slice >= from);
            let net: i64 = within.map(|(_, grant)| grant).sum();
            let begun = self.deposits.iter().filter(|(slice, _)| slice + 10 > from);
            let paid: u64 = begun.map(|(_, amount)| amount).sum();
            assert!(
                net * 1_000 <= paid as i64,
                "{net} granted for {paid} since {from}"
            );
            if to - from > 40 {
                break;
            }
        }
    }
}

struct Places {
    ratio: u64,
    at_least: u64,
    calls: u64,
    extras: u64,
}

impl Ledger for Places {
    fn begin(&mut self) {
        self.calls += 1;
    }

    fn end(&mut self) {
        self.calls -= 1;
    }

    fn ask(&mut self, _: Class) -> Option<u64> {
        let fits = (self.extras + 1) * 1_000_000 <= self.ratio * self.calls;
        let granted = fits || self.extras < self.at_least;
        granted.then(|| {
            self.extras += 1;
            1
        })
    }

    fn give_back(&mut self, _: u64) {
        self.extras -= 1;
    }

    fn extra_ended(&mut self) {
        self.extras -= 1;
    }

    fn law(&self) {}
}

struct Successes {
    most: u64,
    ratio: u64,
    tokens: u64,
}

impl Ledger for Successes {
    fn first(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Success | Outcome::Permanent => self.tokens += self.ratio,
            Outcome::Transient | Outcome::Throttled { .. } => {
                self.tokens = self.tokens.saturating_sub(1_000);
            }
            Outcome::Ignored => {}
        }
        self.tokens = self.tokens.min(self.most);
    }

    fn extra(&mut self, outcome: Outcome, _: u64, _: Class) {
        self.first(outcome);
    }

    fn ask(&mut self, _: Class) -> Option<u64> {
        (self.tokens > self.most / 2).then_some(0)
    }

    fn give_back(&mut self, _: u64) {}

    fn law(&self) {
        assert!(self.tokens <= self.most);
    }
}

struct Prices {
    capacity: u64,
    tokens: u64,
    paid: u64,
    put_back: u64,
}

impl Prices {
    fn add(&mut self, tokens: u64) {
        self.put_back += tokens;
        self.tokens = (self.tokens + tokens).min(self.capacity);
    }
}

impl Ledger for Prices {
    fn first(&mut self, outcome: Outcome) {
        if outcome == Outcome::Success {
            self.add(1);
        }
    }

    fn extra(&mut self, outcome: Outcome, taken: u64, class: Class) {
        if outcome == Outcome::Success && class != Class::Hedge {
            self.add(taken);
        }
    }

    fn ask(&mut self, class: Class) -> Option<u64> {
        let price = match class {
            Class::Throttled => 2,
            Class::Timeout => 7,
            Class::Hedge => 4,
            _ => 3,
        };
        self.tokens = self.tokens.checked_sub(price)?;
        self.paid += price;
        Some(price)
    }

    fn give_back(&mut self, taken: u64) {
        self.add(taken);
    }

    fn law(&self) {
        assert!(self.paid <= self.capacity + self.put_back);
    }
}

proptest! {
    #[test]
    fn extra_attempts_never_exceed_what_calls_and_time_deposited(
        per_mille in prop_oneof![0..400u16, 0..2_000u16],
        floor in prop_oneof![Just(0u32), 1..40u32],
        millis in 1..20u64,
        script in steps(),
    ) {
        let lifetime = Duration::from_millis(millis);
        let model = Deposits::of(Ratio::per_mille(per_mille)).floor(floor * 100).lasting(lifetime);
        let mut ledger = Lots {
            slice: millis * 100_000,
            ratio: u64::from(per_mille),
            floor: u64::from(floor) * 100,
            head: 0,
            first: 0,
            deposits: Vec::new(),
            grants: Vec::new(),
            spent: 0,
        };
        play(&budget(model), &mut ledger, millis * 4_000, &script);
    }

    #[test]
    fn extra_attempts_never_exceed_a_share_of_the_calls_in_flight(
        per_mille in 0..1_500u16,
        at_least in 0..4u32,
        script in steps(),
    ) {
        let model = InFlight::of(Ratio::per_mille(per_mille)).at_least(at_least);
        let mut ledger = Places {
            ratio: u64::from(per_mille) * 1_000,
            at_least: u64::from(at_least),
            calls: 0,
            extras: 0,
        };
        let budget = budget(model);
        play(&budget, &mut ledger, 1_000, &script);
        // Whatever the script left has been dropped.
        let Level::InFlight { calls, extras, .. } = budget.snapshot(start()).level() else {
            panic!("another model's level");
        };
        prop_assert_eq!((calls, extras), (0, 0));
    }

    #[test]
    fn extra_attempts_stop_while_half_of_the_tokens_are_gone(
        tokens in 1..12u32,
        per_mille in 1..1_200u16,
        script in steps(),
    ) {
        let mut ledger = Successes {
            most: u64::from(tokens) * 1_000,
            ratio: u64::from(per_mille),
            tokens: u64::from(tokens) * 1_000,
        };
        let model = Throttle::of(tokens, Ratio::per_mille(per_mille));
        play(&budget(model), &mut ledger, 1_000, &script);
    }

    #[test]
    fn extra_attempts_never_cost_more_than_the_capacity_and_what_came_back(
        capacity in 7..60u32,
        script in steps(),
    ) {
        let mut ledger = Prices {
            capacity: u64::from(capacity),
            tokens: u64::from(capacity),
            paid: 0,
            put_back: 0,
        };
        let model = Costs::of(capacity).transient(3).throttled(2).timeout(7).hedge(4);
        play(&budget(model), &mut ledger, 1_000, &script);
    }

    #[test]
    fn nested_budgets_grant_what_each_would_and_lose_nothing(
        inner in 0..20u64,
        outer in 0..20u64,
        cancelled in prop::collection::vec(any::<bool>(), 1..40),
    ) {
        let of = |tokens| {
            let budget = budget(Deposits::of(Ratio::ONE).floor(0));
            for _ in 0..tokens {
                let _call = budget.begin(start());
            }
            budget
        };
        let (inner, outer) = ((inner, of(inner)), (outer, of(outer)));
        let nested = inner.1.clone().within(outer.1.clone());
        let mut spent = 0;
        for cancelled in cancelled {
            let token = nested.try_extra(start(), Class::Transient);
            prop_assert_eq!(token.is_ok(), spent < inner.0.min(outer.0));
            if let Ok(token) = token {
                if cancelled {
                    drop(token);
                } else {
                    drop(token.spend());
                    spent += 1;
                }
            }
            prop_assert_eq!(balance(&inner.1), (inner.0 - spent) * 1_000);
            prop_assert_eq!(balance(&outer.1), (outer.0 - spent) * 1_000);
        }
    }
}
