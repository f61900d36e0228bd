use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ACCEPT: Policy = Policy::Accept {
    gaps_at_most: NonZeroU32::new(2).unwrap(),
};
const PATIENCE: Duration = Duration::from_micros(10);
const BUFFER: Policy = Policy::Buffer {
    at_most: NonZeroU32::new(2).unwrap(),
    patience: PATIENCE,
};
const REJECT: Policy = Policy::Reject { patience: PATIENCE };

const AHEAD: Verdict = Verdict::Reject {
    because: Because::Ahead,
    retry_after: PATIENCE,
};
const FULL: Verdict = Verdict::Reject {
    because: Because::Full,
    retry_after: PATIENCE,
};

/// The watermark stands at 5, and these have come ahead.
fn at_five(ahead: &str) -> Watermark {
    let ahead: Spans = ahead.parse().unwrap();
    Watermark {
        through: 5,
        missing_since: (!ahead.is_empty()).then_some(Timestamp::from_micros(0)),
        ahead,
        ..Watermark::default()
    }
}

fn next(number: u64) -> Sequence {
    let first = false;
    Sequence { number, first }
}

fn first(number: u64) -> Sequence {
    let first = true;
    Sequence { number, first }
}

/// Micros after the gap was noticed.
fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

#[test]
fn every_number_has_its_verdict_under_every_policy() {
    use Verdict::{Duplicate, Handle, Hold};
    // What came ahead, what comes, and then the verdict and the watermark for
    // accept, buffer and reject.
    type Row = (&'static str, Sequence, [(Verdict, u64, &'static str); 3]);
    let table: &[Row] = &[
        ("", next(5), [(Duplicate, 5, ""); 3]),
        ("", first(5), [(Duplicate, 5, ""); 3]),
        ("", next(1), [(Duplicate, 5, ""); 3]),
        ("", next(6), [(Handle, 6, ""); 3]),
        ("", first(6), [(Handle, 6, ""); 3]),
        ("", first(40), [(Handle, 40, ""); 3]),
        ("7-8", next(6), [(Handle, 8, ""); 3]),
        ("7-8", next(7), [(Duplicate, 5, "7-8"); 3]),
        ("7-8", first(40), [(Handle, 40, ""); 3]),
        (
            "",
            next(7),
            [(Handle, 5, "7"), (Hold, 5, "7"), (AHEAD, 5, "")],
        ),
        (
            "7",
            next(8),
            [(Handle, 5, "7-8"), (Hold, 5, "7-8"), (AHEAD, 5, "7")],
        ),
        (
            "7-8",
            next(9),
            [(Handle, 5, "7-9"), (FULL, 5, "7-8"), (AHEAD, 5, "7-8")],
        ),
        (
            "7 9",
            next(11),
            [(Handle, 7, "9 11"), (FULL, 5, "7 9"), (AHEAD, 5, "7 9")],
        ),
        (
            "7 9",
            next(8),
            [(Handle, 5, "7-9"), (FULL, 5, "7 9"), (AHEAD, 5, "7 9")],
        ),
    ];
    for (ahead, comes, expected) in table {
        for (policy, expected) in [ACCEPT, BUFFER, REJECT].into_iter().zip(expected) {
            let judged = at_five(ahead).judge(*comes, None, policy, at(0));
            let found = (
                judged.verdict,
                judged.after.through,
                &*judged.after.ahead.to_string(),
            );
            assert_eq!(found, *expected, "{ahead:?} {comes:?} {policy:?}");
        }
    }
}

#[test]
fn a_gap_is_given_up_when_patience_is_at_its_end_and_not_before() {
    let held = at_five("8");
    assert_eq!(held.give_up_overdue(BUFFER, at(9)), None);
    let (after, given_up) = held.give_up_overdue(BUFFER, at(10)).unwrap();
    let gap = Gap {
        after: 5,
        before: 8,
    };
    assert_eq!((after.through, &*given_up), (8, &[gap][..]));
    assert_eq!((gap.missing(), &*gap.to_string()), (Some(2), "6 to 7"));
    assert_eq!(after.missing_since, None);
    // And by a message that comes, behind which it is judged anew.
    let judged = held.judge(next(9), None, BUFFER, at(10));
    assert_eq!((judged.verdict, judged.after.through), (Verdict::Handle, 9));
    assert_eq!(judged.given_up, [gap]);
    // The second gap has been known for no time yet.
    let (after, given_up) = at_five("8 10").give_up_overdue(BUFFER, at(10)).unwrap();
    assert_eq!((after.through, given_up.len()), (8, 1));
    assert_eq!(after.missing_since, Some(at(10)));
}

#[test]
fn what_is_in_hand_is_not_given_up_for_having_come_late() {
    for (policy, ahead) in [(BUFFER, "9"), (REJECT, "")] {
        let mut before = at_five(ahead);
        before.missing_since = Some(at(0));
        before.rejected = NonZeroU64::new(9);
        // 6 is missing and given up, 7 is here, 8 may come.
        let judged = before.judge(next(7), None, policy, at(1000));
        assert_eq!((judged.verdict, judged.after.through), (Verdict::Handle, 7));
        assert_eq!(
            judged.given_up,
            [Gap {
                after: 5,
                before: 7
            }]
        );
        let judged = judged.after.judge(next(8), None, policy, at(1000));
        assert_eq!(judged.verdict, Verdict::Handle, "{policy:?}");
    }
}

#[test]
fn the_lowest_that_was_rejected_is_not_jumped_over() {
    let nine = at_five("").judge(next(9), None, REJECT, at(0));
    let eight = nine.after.judge(next(8), None, REJECT, at(1));
    // Patience is at its end, and 9 comes before 8, which was seen.
    let again = eight.after.judge(next(9), None, REJECT, at(10));
    assert!(matches!(again.verdict, Verdict::Reject { .. }));
    assert_eq!(again.after.through, 7);
    let eight = again.after.judge(next(8), None, REJECT, at(11));
    assert_eq!(eight.verdict, Verdict::Handle);
    assert_eq!(
        eight.after.judge(next(9), None, REJECT, at(12)).verdict,
        Verdict::Handle
    );
}

#[test]
fn what_comes_late_or_from_a_zombie_is_said() {
    let judged = at_five("8").judge(next(6), None, ACCEPT, at(0));
    assert!(judged.is_late && judged.verdict == Verdict::Handle);
    let judged = at_five("8").judge(next(8), None, ACCEPT, at(0));
    assert!(!judged.is_late, "a duplicate");

    let judged = at_five("").judge(next(6), Some(Epoch(3)), ACCEPT, at(0));
    assert!(!judged.is_from_a_zombie);
    let judged = judged.after.judge(next(7), Some(Epoch(2)), ACCEPT, at(0));
    assert!(judged.is_from_a_zombie);
    // It is the zombie's only delivery of it, and nobody else's: handled.
    assert_eq!(judged.verdict, Verdict::Handle);
    assert_eq!(judged.after.epoch, Epoch(3));
    let judged = judged.after.judge(next(8), None, ACCEPT, at(0));
    assert!(!judged.is_from_a_zombie, "it does not say");
}

#[test]
fn who_joins_in_the_middle_waits_for_nothing_that_it_cannot_know() {
    let fresh = Watermark::default();
    assert_eq!(
        fresh.judge(next(1), None, REJECT, at(0)).verdict,
        Verdict::Handle
    );
    let judged = fresh.judge(next(70), None, BUFFER, at(0));
    assert_eq!(
        judged.verdict,
        Verdict::Hold,
        "its first one may be under way"
    );
    let (after, given_up) = judged.after.give_up_overdue(BUFFER, at(10)).unwrap();
    assert_eq!((after.through, given_up[0].missing()), (70, None));
}

/// What keeps all numbers, and waits for ever.
#[derive(Default)]
struct Naive {
    floor: u64,
    done: BTreeSet<u64>,
    stored: BTreeSet<u64>,
    order: Vec<u64>,
}

impl Naive {
    fn is_next(&self, number: u64) -> bool {
        number == self.floor + 1 || self.done.contains(&(number - 1))
    }

    /// Nothing below is missing.
    fn through(&self) -> u64 {
        let mut through = self.floor;
        while self.done.contains(&(through + 1)) {
            through += 1;
        }
        through
    }

    fn come(&mut self, sequence: Sequence, policy: Policy) {
        let number = sequence.number;
        if number <= self.floor || self.done.contains(&number) || self.stored.contains(&number) {
            return;
        }
        if sequence.first {
            let earlier = self.stored.iter().copied().filter(|n| *n < number);
            for earlier in earlier.collect::<Vec<_>>() {
                self.take(earlier);
            }
            self.take(number);
            self.floor = number;
        } else {
            match policy {
                Policy::Accept { .. } => self.take(number),
                Policy::Buffer { .. } => drop(self.stored.insert(number)),
                Policy::Reject { .. } if self.is_next(number) => self.take(number),
                Policy::Reject { .. } => {}
            }
        }
        while let Some(next) = self.stored.iter().copied().find(|n| self.is_next(*n)) {
            self.take(next);
        }
    }

    fn take(&mut self, number: u64) {
        self.stored.remove(&number);
        self.done.insert(number);
        self.order.push(number);
    }
}

/// What an engine does with judgements: stored messages in the order of their
/// numbers, the one in hand in its place.
#[derive(Default)]
struct Engine {
    watermark: Watermark,
    stored: BTreeSet<u64>,
    order: Vec<u64>,
    given_up: Vec<Gap>,
}

impl Engine {
    fn come(&mut self, sequence: Sequence, policy: Policy, now: Timestamp) -> Verdict {
        let judged = self.watermark.judge(sequence, None, policy, now);
        let behind = self.stored.split_off(&(judged.after.through + 1));
        let mut now_due = std::mem::replace(&mut self.stored, behind);
        match judged.verdict {
            Verdict::Handle => drop(now_due.insert(sequence.number)),
            Verdict::Hold => drop(self.stored.insert(sequence.number)),
            Verdict::Duplicate | Verdict::Reject { .. } => {}
        }
        self.order.extend(now_due);
        self.given_up.extend(judged.given_up);
        self.watermark = judged.after;
        judged.verdict
    }
}

const FOR_EVER: Duration = Duration::MAX;

fn policies(most: u32, patience: Duration) -> [Policy; 3] {
    let most = NonZeroU32::new(most).unwrap();
    [
        Policy::Accept { gaps_at_most: most },
        Policy::Buffer {
            at_most: most,
            patience,
        },
        Policy::Reject { patience },
    ]
}

/// Numbers from 1 on; those in `starts` begin a run.
fn deliveries() -> impl Strategy<Value = Vec<Sequence>> {
    let starts = proptest::collection::btree_set(1_u64..30, 0..3);
    let numbers = proptest::collection::vec(1_u64..30, 0..80);
    (starts, numbers).prop_map(|(starts, numbers)| {
        let sequence = |number| Sequence {
            number,
            first: starts.contains(&number),
        };
        numbers.into_iter().map(sequence).collect()
    })
}

proptest! {
    #[test]
    fn judges_as_one_does_who_keeps_all_numbers(deliveries in deliveries(), policy in 0_usize..3) {
        let policy = policies(1000, FOR_EVER)[policy];
        let (mut naive, mut engine) = (Naive::default(), Engine::default());
        for sequence in deliveries {
            naive.come(sequence, policy);
            engine.come(sequence, policy, at(0));
            prop_assert_eq!(&engine.order, &naive.order);
            prop_assert_eq!(&engine.stored, &naive.stored);
            prop_assert_eq!(engine.watermark.through, naive.through());
        }
    }

    #[test]
    fn no_number_is_handled_twice_and_none_that_was_given_up(
        deliveries in deliveries(),
        steps in proptest::collection::vec(0_i64..8, 80),
        most in 1_u32..5,
        policy in 0_usize..3,
    ) {
        let policy = policies(most, PATIENCE)[policy];
        let mut engine = Engine::default();
        let mut now = 0;
        for (sequence, step) in deliveries.into_iter().zip(steps) {
            now += step;
            engine.come(sequence, policy, at(now));
            let Watermark { through, ahead, missing_since, .. } = &engine.watermark;
            prop_assert!(ahead.first().is_none_or(|first| first > through + 1));
            prop_assert!(ahead.is_empty() || missing_since.is_some());
            match policy {
                Policy::Accept { .. } => prop_assert!(ahead.spans() <= most as usize),
                Policy::Buffer { .. } => prop_assert!(ahead.numbers() <= u64::from(most)),
                Policy::Reject { .. } => prop_assert!(ahead.is_empty()),
            }
        }
        let once: BTreeSet<_> = engine.order.iter().copied().collect();
        prop_assert_eq!(once.len(), engine.order.len());
        for gap in &engine.given_up {
            prop_assert!(!once.iter().any(|number| gap.contains(*number)), "{}", gap);
        }
        if !matches!(policy, Policy::Accept { .. }) {
            prop_assert!(engine.order.is_sorted());
        }
    }

    /// The broker brings again what was not taken: in the end all are handled,
    /// in order.
    #[test]
    fn whatever_comes_again_is_handled_in_the_end(
        order in Just((1_u64..20).collect::<Vec<_>>()).prop_shuffle(),
        policy in 0_usize..3,
    ) {
        let policy = policies(4, FOR_EVER)[policy];
        let policy = match policy {
            Policy::Accept { .. } => policies(20, FOR_EVER)[0],
            other => other,
        };
        let mut engine = Engine::default();
        let mut waiting = order;
        for _ in 0..20 {
            waiting.retain(|number| {
                let verdict = engine.come(next(*number), policy, at(0));
                matches!(verdict, Verdict::Reject { .. })
            });
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!(engine.watermark.through, 19);
        engine.order.sort_unstable();
        prop_assert_eq!(engine.order, (1..20).collect::<Vec<_>>());
    }
}
