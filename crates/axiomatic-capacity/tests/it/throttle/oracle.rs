//! The throttler beside one that is made of lists.

use std::time::Duration;

use axiomatic_capacity::load_shed::throttle::{Config, Rule, Share};
use axiomatic_core::context::Priority;
use axiomatic_core::luck_cell::Luck;
use axiomatic_core::{Outcome, Ratio};
use proptest::prelude::*;

use super::{BAD, GOOD, built};
use crate::support::{MILLI, SECOND};

/// What a throttler does, of lists: each request with its time, and counting
/// by going through them.
struct Model {
    rule: Rule,
    most: Share,
    least_rate: u32,
    probe: u64,
    bucket: u64,
    buckets: u64,
    shift: u32,
    requests: Vec<(u64, bool)>,
    counts_refusals: bool,
    turn: u64,
    share: Share,
    probe_due: u64,
    luck: Luck,
}

impl Model {
    fn admit(&mut self, now: u64) -> bool {
        let turn = now >> self.shift;
        if turn > self.turn {
            self.turn = turn;
            let share = self.formula(now);
            if self.share == Share::NONE && share != Share::NONE {
                self.passed(now);
            }
            self.share = share;
        }
        if self.share == Share::NONE {
            return true;
        }
        let drawn = self.luck.draw();
        if drawn >> 32 >= u64::from(self.share.as_u32()) {
            self.passed(now);
            return true;
        }
        if now >= self.probe_due {
            self.probe_due = now + self.probe;
            return true;
        }
        if self.counts_refusals {
            self.requests.push((now, false));
        }
        false
    }

    fn passed(&mut self, now: u64) {
        if self.probe_due < now + self.probe / 2 {
            self.probe_due = self.probe_due.max(now + self.probe);
        }
    }

    fn record(&mut self, now: u64, outcome: Outcome) {
        match outcome {
            Outcome::Success | Outcome::Permanent => self.requests.push((now, true)),
            Outcome::Transient | Outcome::Throttled { .. } => self.requests.push((now, false)),
            Outcome::Ignored => {}
        }
    }

    fn formula(&self, now: u64) -> Share {
        let newest = now / self.bucket;
        let in_window = |at: &u64| at / self.bucket + self.buckets > newest;
        let held = self.requests.iter().filter(|(at, _)| in_window(at));
        let (mut requests, mut accepts) = (0, 0);
        for (_, accepted) in held {
            requests += 1;
            accepts += u64::from(*accepted);
        }
        let span = self.bucket * self.buckets;
        let is_enough =
            u128::from(requests) * 1_000_000_000 >= u128::from(self.least_rate) * u128::from(span);
        if is_enough {
            self.rule.probability(requests, accepts).min(self.most)
        } else {
            Share::NONE
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// Calls at this time with this outcome; nothing if the permit is dropped.
    Call(Option<Outcome>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        3 => Just(BAD),
        2 => Just(GOOD),
        1 => Just(Outcome::Permanent),
        1 => Just(Outcome::Throttled { retry_after: None }),
        1 => Just(Outcome::Ignored),
    ];
    let step = prop_oneof![
        8 => prop::option::weighted(0.9, outcome).prop_map(Step::Call),
        3 => (0..2_000_000_u64).prop_map(Step::Wait),
        1 => (0..80_000_000_u64).prop_map(Step::Wait),
        1 => (0..2_000_000_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn it_does_what_a_throttler_of_lists_does(
        is_book in any::<bool>(),
        percent in 1..=100_u16,
        aggression in prop_oneof![Just(100_u16), 100..400_u16],
        most in 1..100_u16,
        least_rate in prop_oneof![Just(0_u32), 0..40_u32],
        probe in 1..3_000_u64,
        buckets in 1..12_u32,
        steps in steps(),
    ) {
        let config = if is_book {
            Config::accepting(Ratio::percent(100 + percent))
        } else {
            let rate = Ratio::percent(percent);
            Config::success_rate(rate).aggression(Ratio::percent(aggression))
        };
        let rule = if is_book {
            Rule::accepting(Ratio::percent(100 + percent))
        } else {
            let rate = Ratio::percent(percent);
            Rule::success_rate(rate).aggression(Ratio::percent(aggression))
        };
        let (clock, throttler) = built(config
            .most_refused(Ratio::percent(most))
            .least_rate(least_rate)
            .probe_every(Duration::from_millis(probe))
            .window(3 * SECOND, buckets)
            .refresh_every(20 * MILLI));
        let mut model = Model {
            rule,
            most: Share::of(Ratio::percent(most)),
            least_rate,
            probe: probe * 1_000_000,
            bucket: 3_000_000_000_u64.div_ceil(u64::from(buckets)),
            buckets: u64::from(buckets),
            // The greatest power of two below 20 ms.
            shift: 24,
            requests: Vec::new(),
            counts_refusals: is_book,
            turn: clock.now().as_nanos() >> 24,
            share: Share::NONE,
            probe_due: 0,
            luck: Luck::new(7),
        };
        for step in steps {
            match step {
                Step::Wait(nanos) => clock.advance(Duration::from_nanos(nanos)),
                Step::Call(outcome) => {
                    let now = clock.now();
                    let admitted = throttler.admit(now, Priority::CRITICAL);
                    prop_assert_eq!(admitted.is_ok(), model.admit(now.as_nanos()));
                    if let (Ok(permit), Some(outcome)) = (admitted, outcome) {
                        permit.record(now, outcome);
                        model.record(now.as_nanos(), outcome);
                    }
                    prop_assert_eq!(throttler.refused_share(), model.share);
                }
            }
        }
    }
}
