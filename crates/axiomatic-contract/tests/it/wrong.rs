//! Layers that are wrong in one way each.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use axiomatic_contract::{Class, Contract, Obligation as O, Report, Subject, Verdict, Violation};
use axiomatic_core::{BoxError, Refusable, Rejected};
use tokio::time::Instant;
use tower::retry::RetryLayer;
use tower::util::MapErr;
use tower_layer::Layer;

use crate::sample::{
    Flaw, ShedLayer, gate, gate_from_outside, gate_layer, queue, queue_from_outside,
};
use crate::sample::{Thrice, Timerless, broken, paused};

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
    (Sample::Gate, Flaw::IsReadyTooSoon, O::ReadinessBeforeCall),
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
    (
        Sample::Gate,
        Flaw::RemembersReadiness,
        O::LaterReadinessError,
    ),
    (Sample::Gate, Flaw::WakesItself, O::NoSelfWake),
    (Sample::Gate, Flaw::WakesItselfOverACall, O::NoSelfWake),
    (Sample::Gate, Flaw::LosesTheReadinessWaker, O::WokenOnce),
    (Sample::Gate, Flaw::LosesTheCallWaker, O::WokenOnce),
    (Sample::Gate, Flaw::WakesTwice, O::WokenOnce),
    (Sample::Queue, Flaw::LosesTheWakerOfRepeats, O::WokenOnce),
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
    (Sample::Gate, Flaw::LeaksWhileUnwinding, O::Panic),
    (Sample::Outside, Flaw::LeaksWhileUnwinding, O::Panic),
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
        let broken: Vec<O> = report.broken().map(Violation::obligation).collect();
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

const SECOND: Duration = Duration::from_secs(1);

/// A back-off that spins until its time has come.
#[test]
fn a_busy_back_off_is_a_self_wake() {
    let runtime = paused();
    let _entered = runtime.enter();
    let contract = Contract::new(Class::Waiting, || {
        Subject::new(RetryLayer::new(Thrice::after(|| {
            let until = Instant::now() + SECOND;
            Box::pin(poll_fn(move |cx| {
                if Instant::now() >= until {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        })))
    })
    .passing_time(|time| runtime.block_on(tokio::time::sleep(time)));
    assert_eq!(broken(&contract), [O::NoSelfWake]);
}

/// A back-off without a timer: nobody is woken when it is over.
#[test]
fn a_back_off_without_a_timer_wakes_nobody() {
    let runtime = paused();
    let _entered = runtime.enter();
    let contract = Contract::new(Class::Waiting, || {
        Subject::new(RetryLayer::new(Thrice::after(|| {
            let until = Instant::now() + SECOND;
            Box::pin(poll_fn(move |_| {
                if Instant::now() >= until {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }))
        })))
    })
    .passing_time(|time| runtime.block_on(tokio::time::sleep(time)));
    assert_eq!(broken(&contract), [O::WokenOnce]);
}

#[test]
fn a_timeout_without_a_timer_wakes_nobody() {
    let runtime = paused();
    let _entered = runtime.enter();
    let contract = Contract::new(Class::Direct, || {
        Subject::from_fn(|inner| Timerless {
            inner,
            limit: SECOND,
        })
    })
    .passing_time(|time| runtime.block_on(tokio::time::sleep(time)))
    .gives_up_after(SECOND);
    assert_eq!(broken(&contract), [O::WokenOnce]);
}

/// The error of a stack whose layers do not share one.
#[derive(Debug)]
struct Typed(Rejected);

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Typed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

// Review of be76aa3: a layer further out takes it for a failure.
#[test]
fn a_refusal_of_another_type_in_a_box_is_none() {
    let typed = |error: BoxError| match error.rejected() {
        Some(rejected) => Typed(rejected).into(),
        None => error,
    };
    let boxed = Contract::new(Class::Direct, || {
        let layer = gate_layer();
        Subject::from_fn(move |inner| MapErr::new(layer.layer(inner), typed)).limit_in_flight(1)
    });
    assert_eq!(broken(&boxed), [O::RefusalIsData]);
}

#[test]
fn an_exception_is_needed_or_fails() {
    let contract = || Contract::new(Class::Direct, || gate(Some(Flaw::RewordsErrors)));
    contract().except(O::ErrorUnaltered, "a test").assert();

    let in_vain = contract()
        .except(O::ErrorUnaltered, "a test")
        .except(O::Serves, "no reason")
        .check();
    assert!(!in_vain.is_kept());
    assert!(matches!(
        in_vain.verdict(O::Serves),
        Some(Verdict::ExceptedInVain(_))
    ));
}

#[test]
fn a_layer_that_panics_is_reported_like_any_other() {
    let report = Contract::new(Class::Direct, || {
        Subject::from_fn(|inner: axiomatic_contract::Probe| {
            tower::util::MapResponse::new(inner, |_: axiomatic_contract::Response| {
                std::panic::resume_unwind(Box::new("broken layer"))
            })
        })
    })
    .check();
    let found = report.broken().next().unwrap();
    assert_eq!(found.obligation(), O::Serves);
    assert!(found.what().contains("broken layer"), "{report}");
}

#[test]
#[should_panic(expected = "BROKEN    no self-wake")]
fn assert_panics_with_the_report() {
    Contract::new(Class::Direct, || gate(Some(Flaw::WakesItself))).assert();
}
