//! One function for each obligation.
//!
//! Each arranges a situation, does one thing, and looks at what the script
//! and the counting wakers saw. They are written so that a layer with one
//! fault breaks one obligation: what a check does not judge, it tolerates,
//! and if it cannot get to its point it says so instead of blaming.

mod answers;
mod drops;
mod readiness;
mod refusals;
mod sharing;
mod standstill;
mod wakes;

use std::cell::Cell;
use std::task::Poll;
use std::time::Duration;

use axiomatic_core::BoxError;
use tower_service::Service;

use crate::subject::Limit;
use crate::task::{Answer, Task, Told};
use crate::{Contract, Event, Obligation, Readiness, Reply, Request, Response, Script, Subject};

/// How often a task that keeps waking itself is polled before the kit goes
/// on. Whoever has more to do than this without waiting for anything spins.
const PATIENCE: usize = 64;

/// A time after which every back-off of a retry is over. Paused clocks jump.
const LONG: Duration = Duration::from_secs(3600);

/// Why a check did not end in "kept".
pub(crate) enum Stop {
    /// With what had happened by then: what the check drops on its way out
    /// is not the layer's doing.
    Broken(String, Vec<Event>),
    Skipped(String),
    Unjudged(String),
}

type Check = Result<(), Stop>;

fn skipped<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skipped(why.into()))
}

fn unjudged<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Unjudged(why.into()))
}

/// One layer over one scripted service, made for one check.
pub(crate) struct Bench<'c, 'a, S: Service<Request>> {
    contract: &'c Contract<'a, S>,
    subject: Subject<'a, S>,
    pub(crate) script: Script,
    /// What the mechanism held before anything was done.
    held: Option<usize>,
    requests: Cell<u64>,
}

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(crate) fn new(contract: &'c Contract<'a, S>) -> Self {
        let subject = contract.subject();
        let held = subject.held.as_ref().map(|held| held());
        Bench {
            contract,
            subject,
            script: Script::new(),
            held,
            requests: Cell::new(1000),
        }
    }

    /// Another bench, with a layer and a script of its own.
    fn fresh(&self) -> Self {
        Bench::new(self.contract)
    }

    fn broken<T>(&self, what: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Broken(what.into(), self.script.events()))
    }

    pub(crate) fn check(&self, obligation: Obligation) -> Check {
        match obligation {
            Obligation::Serves => self.serves(),
            Obligation::ReadinessBeforeCall => self.readiness_before_call(),
            Obligation::ReadinessOfClones => self.readiness_of_clones(),
            Obligation::ReadinessAskedTwice => self.readiness_asked_twice(),
            Obligation::ReadinessError => self.readiness_error(),
            Obligation::LaterReadinessError => self.later_readiness_error(),
            Obligation::NoSelfWake => self.no_self_wake(),
            Obligation::WokenOnce => self.woken_once(),
            Obligation::LatestWaker => self.latest_waker(),
            Obligation::NotPolledWhenDone => self.not_polled_when_done(),
            Obligation::ResponseUnaltered => self.response_unaltered(),
            Obligation::ErrorUnaltered => self.error_unaltered(),
            Obligation::DroppedUnpolled => self.dropped_unpolled(),
            Obligation::DroppedWaiting => self.dropped_waiting(),
            Obligation::LoserCancelled => self.loser_cancelled(),
            Obligation::Panic => self.panic(),
            Obligation::IdleHoldsNothing => self.idle_holds_nothing(),
            Obligation::SharedState => self.shared_state(),
            Obligation::RefusalCallsNothing => self.refusal_calls_nothing(),
            Obligation::RefusalIsData => self.refusal_is_data(),
            Obligation::RefusalKeepsReadied => self.refusal_keeps_readied(),
            Obligation::RefusalSkipsInner => self.refusal_skips_inner(),
            Obligation::NothingReadiedQueues => self.nothing_readied_queues(),
            Obligation::ShedLeavesQueue => self.shed_leaves_queue(),
        }
    }

    fn in_flight(&self) -> Option<usize> {
        self.subject.limit.and_then(Limit::in_flight)
    }

    fn service(&self) -> S {
        (self.subject.layer)(self.script.service())
    }

    fn task(&self) -> Task<'c, S> {
        self.task_on(self.service())
    }

    fn task_on(&self, service: S) -> Task<'c, S> {
        self.requests.set(self.requests.get() + 1);
        Task::new(service, self.requests.get(), self.contract.is_refusal())
    }

    /// Polls until the task is done or waits without having been woken.
    fn settle(&self, task: &mut Task<'_, S>) -> Poll<Answer> {
        for _ in 0..PATIENCE {
            let before = task.wakes.count();
            let answer = task.poll();
            if answer.is_ready() {
                return answer;
            }
            if task.wakes.count() == before {
                break;
            }
        }
        Poll::Pending
    }

    fn settle_ready(&self, task: &mut Task<'_, S>) -> Poll<Result<(), Told>> {
        for _ in 0..PATIENCE {
            let before = task.wakes.count();
            let ready = task.poll_ready();
            if ready.is_ready() {
                return ready;
            }
            if task.wakes.count() == before {
                break;
            }
        }
        Poll::Pending
    }

    /// Runs a task to its end, over an inner service that answers.
    fn drive(&self, task: &mut Task<'_, S>) -> Result<Answer, Stop> {
        for _ in 0..PATIENCE {
            if let Poll::Ready(answer) = self.settle(task) {
                return Ok(answer);
            }
            if !self.contract.pass_time(LONG) {
                break;
            }
        }
        unjudged("a call did not end although the inner service was ready and answered")
    }

    fn all_readied(&self, when: std::fmt::Arguments<'_>) -> Check {
        match self.script.unreadied_calls() {
            0 => Ok(()),
            _ => self.broken(format!(
                "an instance of the inner service was called that had not been readied, {when}"
            )),
        }
    }

    /// As many calls as may be in flight, all in the inner service; nothing if
    /// the subject names no limit.
    fn fill(&self) -> Option<Vec<Task<'c, S>>> {
        let limit = self.in_flight()?;
        self.script.set_reply(Reply::AnswerAfter(1));
        let mut holders = Vec::new();
        for _ in 0..limit {
            let mut holder = self.task();
            let _ = self.settle(&mut holder);
            holders.push(holder);
        }
        Some(holders)
    }

    /// Lets calls in flight end in the ordinary way.
    fn finish(&self, mut calls: Vec<Task<'c, S>>) {
        self.script.step();
        for call in &mut calls {
            let _ = self.settle(call);
        }
    }

    /// Whether everything was given back: by the mechanism's own count, and
    /// by as many calls getting through as should.
    fn whole(&self, after: &str) -> Check {
        if let (Some(held), Some(before)) = (&self.subject.held, self.held) {
            let now = held();
            if now != before {
                return self.broken(format!("{after}, {now} are held and not {before}"));
            }
        }
        match self.through(self.in_flight().unwrap_or(1)) {
            Ok(()) => Ok(()),
            Err(what) => self.broken(format!("{after}, {what}")),
        }
    }

    /// Sends `count` calls that are in flight together.
    fn through(&self, count: usize) -> Result<(), String> {
        self.script.set_readiness(Readiness::Ready);
        self.script.set_reply(Reply::AnswerAfter(1));
        let mut tasks = Vec::new();
        for number in 1..=count {
            let live = self.script.live();
            let mut task = self.task();
            match self.settle(&mut task) {
                Poll::Pending if self.script.live() > live => tasks.push(task),
                Poll::Pending => return Err(format!("call {number} of {count} waits")),
                Poll::Ready(Ok(_)) => {
                    return Err(format!(
                        "call {number} of {count} was answered out of nothing"
                    ));
                }
                Poll::Ready(Err(told)) => {
                    return Err(format!("call {number} of {count} failed: {}", told.text));
                }
            }
        }
        self.script.step();
        for (number, task) in tasks.iter_mut().enumerate() {
            let number = number + 1;
            match self.settle(task) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(told)) => {
                    return Err(format!("call {number} of {count} failed: {}", told.text));
                }
                Poll::Pending => {
                    return Err(format!(
                        "call {number} of {count} was answered and does not end"
                    ));
                }
            }
        }
        Ok(())
    }
}
