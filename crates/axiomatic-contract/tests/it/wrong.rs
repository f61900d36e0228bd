//! Layers that are wrong in one way each.

use std::collections::BTreeSet;

use axiomatic_contract::{Class, Contract, Obligation as O, Report, Subject};

use crate::sample::{Flaw, ShedLayer, gate, gate_from_outside, queue, queue_from_outside};

#[derive(Copy, Clone, Debug)]
enum Sample {
    /// Direct, with all hooks.
    Gate,
    /// Direct, judged without hooks.
    Outside,
    /// Waiting.
    Queue,
    /// Waiting, judged without hooks.
    QueueOutside,
    Shed,
}

fn report(sample: Sample, flaw: Option<Flaw>) -> Report {
    match sample {
        Sample::Gate => Contract::new(Class::Direct, || gate(flaw)).check(),
        Sample::Outside => Contract::new(Class::Direct, || gate_from_outside(flaw)).check(),
        Sample::Queue => Contract::new(Class::Waiting, || queue(flaw)).check(),
        Sample::QueueOutside => Contract::new(Class::Waiting, || queue_from_outside(flaw)).check(),
        Sample::Shed => Contract::new(Class::Shedding, || Subject::new(ShedLayer { flaw })).check(),
    }
}

/// Every flaw, the layer that has it, and the obligation that it breaks.
const WRONG: &[(Sample, Flaw, O)] = &[
    (Sample::Gate, Flaw::NeverReady, O::Serves),
    (Sample::Gate, Flaw::CallsAClone, O::ReadinessBeforeCall),
    (Sample::Outside, Flaw::CallsAClone, O::ReadinessBeforeCall),
    (
        Sample::Gate,
        Flaw::CallsWhatItDidNotReady,
        O::ReadinessBeforeCall,
    ),
    (
        Sample::Outside,
        Flaw::CallsWhatItDidNotReady,
        O::ReadinessBeforeCall,
    ),
    (
        Sample::Queue,
        Flaw::RepeatsUnreadied,
        O::ReadinessBeforeCall,
    ),
    (Sample::Gate, Flaw::CopiesReadiness, O::ReadinessOfClones),
    (
        Sample::Gate,
        Flaw::TakesAPermitAtEachPoll,
        O::ReadinessAskedTwice,
    ),
    (
        Sample::Gate,
        Flaw::SwallowsReadinessErrors,
        O::ReadinessError,
    ),
    (
        Sample::Gate,
        Flaw::RewordsReadinessErrors,
        O::ReadinessError,
    ),
    (
        Sample::Gate,
        Flaw::ReportsReadinessErrorsLate,
        O::ReadinessError,
    ),
    (Sample::Gate, Flaw::WakesItself, O::NoSelfWake),
    (Sample::Gate, Flaw::WakesItselfOverACall, O::NoSelfWake),
    (Sample::Gate, Flaw::LosesTheReadinessWaker, O::WokenOnce),
    (Sample::Gate, Flaw::LosesTheCallWaker, O::WokenOnce),
    (Sample::Gate, Flaw::WakesTwice, O::WokenOnce),
    (
        Sample::Queue,
        Flaw::WakesEverybodyInTheQueueTwice,
        O::WokenOnce,
    ),
    (Sample::Gate, Flaw::KeepsTheFirstWaker, O::LatestWaker),
    (Sample::Queue, Flaw::KeepsTheFirstWaker, O::LatestWaker),
    (Sample::Gate, Flaw::PollsAgain, O::NotPolledWhenDone),
    (Sample::Gate, Flaw::MakesUpResponses, O::ResponseUnaltered),
    (Sample::Gate, Flaw::MakesUpRequests, O::ResponseUnaltered),
    (Sample::Gate, Flaw::RewordsErrors, O::ErrorUnaltered),
    (Sample::Gate, Flaw::WrapsErrors, O::ErrorUnaltered),
    (Sample::Gate, Flaw::LeaksWhenUnpolled, O::DroppedUnpolled),
    (Sample::Outside, Flaw::LeaksWhenUnpolled, O::DroppedUnpolled),
    (Sample::Gate, Flaw::LeaksWhenPolled, O::DroppedWaiting),
    (Sample::Outside, Flaw::LeaksWhenPolled, O::DroppedWaiting),
    (Sample::Queue, Flaw::StaysInTheQueue, O::DroppedWaiting),
    (Sample::Queue, Flaw::LosesItsTurn, O::DroppedWaiting),
    (
        Sample::QueueOutside,
        Flaw::StaysInTheQueue,
        O::DroppedWaiting,
    ),
    (Sample::QueueOutside, Flaw::LosesItsTurn, O::DroppedWaiting),
    (Sample::Gate, Flaw::KeepsLosers, O::LoserCancelled),
    (Sample::Gate, Flaw::LeaksOnPanic, O::Panic),
    (Sample::Outside, Flaw::LeaksOnPanic, O::Panic),
    (
        Sample::Outside,
        Flaw::ReservesInReadiness,
        O::IdleHoldsNothing,
    ),
    (Sample::Gate, Flaw::StatePerLayer, O::SharedState),
    (Sample::Outside, Flaw::StatePerLayer, O::SharedState),
    (Sample::Gate, Flaw::StatePerClone, O::SharedState),
    (Sample::Outside, Flaw::StatePerClone, O::SharedState),
    (Sample::Gate, Flaw::CallsThenRefuses, O::RefusalCallsNothing),
    (
        Sample::Outside,
        Flaw::CallsThenRefuses,
        O::RefusalCallsNothing,
    ),
    (Sample::Gate, Flaw::RefusesInWords, O::RefusalIsData),
    (Sample::Outside, Flaw::RefusesInWords, O::RefusalIsData),
    (
        Sample::Gate,
        Flaw::DropsWhatIsReadied,
        O::RefusalKeepsReadied,
    ),
    (
        Sample::Outside,
        Flaw::DropsWhatIsReadied,
        O::RefusalKeepsReadied,
    ),
    (Sample::Gate, Flaw::AsksBeforeRefusing, O::RefusalSkipsInner),
    (
        Sample::Outside,
        Flaw::AsksBeforeRefusing,
        O::RefusalSkipsInner,
    ),
    (Sample::Queue, Flaw::QueuesReadied, O::NothingReadiedQueues),
    (Sample::Shed, Flaw::KeepsItsPlace, O::ShedLeavesQueue),
];

/// Flaws that no obligation can be told apart by: what they do is wrong in
/// two ways at once.
const WRONG_TWICE: &[(Sample, Flaw, &[O])] = &[
    // Readied and dropped, the permit is gone; readied and idle, others
    // starve.
    (
        Sample::Outside,
        Flaw::LeaksWhenReadied,
        &[O::DroppedWaiting, O::IdleHoldsNothing],
    ),
    // Whoever is never woken does not take its turn either.
    (
        Sample::Queue,
        Flaw::WakesNobodyInTheQueue,
        &[O::WokenOnce, O::DroppedWaiting],
    ),
];

#[test]
fn layers_that_are_right_pass() {
    for sample in [
        Sample::Gate,
        Sample::Outside,
        Sample::Queue,
        Sample::QueueOutside,
        Sample::Shed,
    ] {
        let report = report(sample, None);
        assert!(report.is_kept(), "{sample:?}: {report}");
    }
}

#[test]
fn each_flaw_breaks_its_obligation_and_no_other() {
    let once = WRONG
        .iter()
        .map(|(sample, flaw, broken)| (*sample, *flaw, std::slice::from_ref(broken)));
    let mut wrong = String::new();
    for (sample, flaw, expected) in once.chain(WRONG_TWICE.iter().copied()) {
        let report = report(sample, Some(flaw));
        let broken: Vec<O> = report.broken().map(|found| found.obligation()).collect();
        if broken != expected {
            wrong += &format!("{sample:?} {flaw:?}: not {expected:?}\n{report}\n");
        }
        assert!(!report.is_kept());
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_obligation_has_a_layer_that_breaks_it() {
    let broken: BTreeSet<O> = WRONG.iter().map(|(.., broken)| *broken).collect();
    let all: BTreeSet<O> = O::ALL.iter().copied().collect();
    assert_eq!(broken, all);
}
