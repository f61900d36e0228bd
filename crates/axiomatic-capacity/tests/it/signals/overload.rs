use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use axiomatic_capacity::load_shed::signal::{Look, Overload, OverloadError, Watched};
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;
use proptest::prelude::*;

use super::START;
use crate::support::SECOND;

/// A signal that says what it is told.
#[derive(Debug, Default)]
struct Told(&'static str, AtomicU32);

impl Told {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Told(name, AtomicU32::new(0)))
    }

    fn set(&self, pressure: Pressure) {
        self.1
            .store(pressure.as_parts_per_million(), Ordering::Relaxed);
    }
}

impl Signal for Told {
    fn name(&self) -> &'static str {
        self.0
    }

    fn pressure(&self, _: Instant) -> Pressure {
        Pressure::parts_per_million(self.1.load(Ordering::Relaxed))
    }
}

#[test]
fn the_highest_decides_and_is_named() {
    let (one, two) = (Told::new("one"), Told::new("two"));
    let mut overload = Overload::new(vec![one.clone(), two.clone()]);
    for (first, second, overloaded, highest) in [
        (0, 0, false, None),
        (50, 20, false, Some("one")),
        (50, 100, true, Some("two")),
        (90, 10, true, Some("one")),
        (90, 90, true, Some("one")),
        (79, 79, false, Some("one")),
        (99, 99, false, Some("one")),
    ] {
        one.set(Pressure::percent(first));
        two.set(Pressure::percent(second));
        let pressure = Pressure::percent(first.max(second));
        let is = Look {
            overloaded,
            pressure,
            highest,
        };
        assert_eq!(overload.look(START), is);
        assert_eq!(overload.is_overloaded(), overloaded);
    }
}

#[test]
fn of_no_signals_there_is_no_overload() {
    let look = Overload::new(Vec::new()).look(START);
    assert!(!look.overloaded && look.highest.is_none());
}

#[test]
fn thresholds_that_cannot_work_are_refused() {
    let with = |enter, leave| {
        let (enter, leave) = (Pressure::percent(enter), Pressure::percent(leave));
        Overload::with(Vec::new(), enter, leave).map(|overload| overload.thresholds())
    };
    let (enter, leave) = (Pressure::percent(80), Pressure::percent(81));
    assert_eq!(with(80, 81), Err(OverloadError::Crossed { enter, leave }));
    assert_eq!(with(80, 0), Err(OverloadError::Endless));
    assert_eq!(with(0, 0), Err(OverloadError::Endless));
    assert_eq!(with(80, 80), Ok((enter, enter)));
}

#[test]
fn a_signal_that_panics_is_left_alone_for_a_while_and_the_others_decide() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let bad = Watched::new("bad", move |_| {
        // Recovers at the third time.
        let before = count.fetch_add(1, Ordering::Relaxed);
        assert!(before >= 2, "planted");
        Pressure::percent(300)
    });
    let good = Told::new("good");
    good.set(Pressure::percent(120));
    let mut overload = Overload::new(vec![Arc::new(bad), good]);
    for (after, times, highest) in [
        (0, 1, "good"),
        (1, 1, "good"),
        (9, 1, "good"),
        (10, 2, "good"),
        (19, 2, "good"),
        (20, 3, "bad"),
        (21, 4, "bad"),
    ] {
        let look = overload.look(START + after * SECOND);
        assert!(look.overloaded);
        assert_eq!(look.highest, Some(highest), "after {after} s");
        assert_eq!(asked.load(Ordering::Relaxed), times, "after {after} s");
    }
    assert_eq!(overload.panics(), 2);
}

/// Looks at all that was ever said, from the last to the first: what decides
/// is the last that was not between the thresholds.
fn naive(said: &[Pressure], enter: Pressure, leave: Pressure) -> bool {
    let outside = |highest: &&Pressure| **highest >= enter || **highest < leave;
    let last = said.iter().rev().find(outside);
    last.is_some_and(|highest| *highest >= enter)
}

proptest! {
    #[test]
    fn overload_is_what_a_naive_reference_says(
        thresholds in (1u16..150, 0u16..100),
        said in prop::collection::vec(prop::collection::vec(0u16..200, 3), 1..60),
    ) {
        let enter = Pressure::percent(thresholds.0);
        let leave = Pressure::percent((thresholds.0 * thresholds.1 / 100).max(1));
        let told = [Told::new("a"), Told::new("b"), Told::new("c")];
        let signals = told.iter().map(|told| Arc::clone(told) as Arc<dyn Signal>);
        let mut overload = Overload::with(signals.collect(), enter, leave).unwrap();
        let mut highest = Vec::new();
        for round in said {
            for (told, percent) in told.iter().zip(&round) {
                told.set(Pressure::percent(*percent));
            }
            let most = *round.iter().max().unwrap();
            highest.push(Pressure::percent(most));
            let look = overload.look(START);
            prop_assert_eq!(look.pressure, Pressure::percent(most));
            prop_assert_eq!(look.overloaded, naive(&highest, enter, leave));
            let at = round.iter().position(|percent| *percent == most).unwrap();
            prop_assert_eq!(look.highest, (most > 0).then_some(told[at].0));
        }
    }
}
