//! One function for each obligation.
//!
//! Each arranges a situation, does one thing, and looks at what the script
//! and the counting wakers saw. They are written so that a layer with one
//! fault breaks one obligation: what a check does not judge, it tolerates,
//! and if it cannot get to its point it says so instead of blaming.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use axiomatic_core::BoxError;
use tower_service::Service;

use crate::subject::Limit;
use crate::task::{Answer, Task, Told, Wakes};
use crate::{
    Class, Contract, Event, Obligation, Readiness, Reply, Request, Response, Script, Subject,
};

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

/// A situation in which a task waits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Standstill {
    /// The inner service is not ready.
    Readiness,
    /// The inner call is pending, after so many steps.
    Call(usize),
    /// The inner call failed, the layer repeats it, and the inner service is
    /// not ready for that.
    ReadinessAgain,
    /// The layer itself is full.
    Full,
    /// The inner call failed, and the layer waits before the next.
    BackOff,
    /// The inner call hangs, and the layer will give it up.
    Patience,
}

impl Standstill {
    const ALL: [Standstill; 7] = [
        Standstill::Readiness,
        Standstill::Call(0),
        Standstill::Call(1),
        Standstill::ReadinessAgain,
        Standstill::Full,
        Standstill::BackOff,
        Standstill::Patience,
    ];

    fn describe(self) -> &'static str {
        match self {
            Standstill::Readiness => "while the inner service was not ready",
            Standstill::Call(0) => "while the inner call was pending",
            Standstill::Call(_) => "while the inner call was pending again",
            Standstill::ReadinessAgain => "while the inner service was not ready for a repetition",
            Standstill::Full => "while the layer was full",
            Standstill::BackOff => "while the layer backed off",
            Standstill::Patience => "while the inner call hung",
        }
    }
}

/// A task that waits, and those that fill the layer up.
struct Stuck<'c, S: Service<Request>> {
    task: Task<'c, S>,
    holders: Vec<Task<'c, S>>,
}

/// What keeps the layer refusing.
struct Refusing<'c, S: Service<Request>> {
    holders: Vec<Task<'c, S>>,
}

/// How many calls had been made before the one that was refused, what it was
/// told, and what keeps the layer refusing.
type Refused<'c, S> = (usize, Told, Refusing<'c, S>);

const RESERVES: &str = "a service that was readied before is not refused";

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

    // The obligations.

    fn serves(&self) -> Check {
        let mut task = self.task();
        match self.drive(&mut task) {
            Err(Stop::Unjudged(what)) => self.broken(what),
            Err(stop) => Err(stop),
            Ok(Err(told)) => self.broken(format!("a plain call failed: {}", told.text)),
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn readiness_before_call(&self) -> Check {
        let mut service = self.service();
        for call in ["first", "second", "third"] {
            let mut task = self.task_on(service);
            self.drive(&mut task)?.ok();
            self.all_readied(format_args!("in the {call} call"))?;
            service = task.into_service();
        }

        self.script.set_readiness(Readiness::Pending);
        let mut task = self.task_on(service);
        let early = self.settle(&mut task);
        self.all_readied(format_args!("while it was not ready"))?;
        self.script.set_readiness(Readiness::Ready);
        if early.is_pending() {
            self.drive(&mut task)?.ok();
            self.all_readied(format_args!("after a wait for readiness"))?;
        }

        self.script.set_reply(Reply::FailAfter(0));
        let mut task = self.task();
        self.drive(&mut task)?.ok();
        self.all_readied(format_args!("when calls failed"))?;

        // Refusing at `poll_ready`, no longer at `call`: the inner service was
        // not asked, so the call must not be made.
        self.script.set_reply(Reply::Answer);
        if let Ok(refusing) = self.start_refusing() {
            let mut task = self.task();
            let ready = task.poll_ready();
            let relented = self.stop_refusing(refusing);
            if relented && matches!(ready, Poll::Ready(Ok(()))) {
                task.call();
                let _ = self.settle(&mut task);
                self.all_readied(format_args!(
                    "when the reason to refuse went away between poll_ready and call"
                ))?;
            }
        }
        Ok(())
    }

    fn readiness_of_clones(&self) -> Check {
        let mut original = self.task();
        let Some(clone) = self.contract.clone_service(original.service()) else {
            return skipped("the service cannot be cloned");
        };
        let mut early = self.task_on(clone);
        if !matches!(self.settle_ready(&mut original), Poll::Ready(Ok(()))) {
            return unjudged("the service is not ready over an inner one that is");
        }
        let Some(clone) = self.contract.clone_service(original.service()) else {
            return skipped("the service cannot be cloned");
        };
        let mut late = self.task_on(clone);
        for (which, task) in [
            ("a clone made before it", &mut early),
            ("a clone made after it", &mut late),
        ] {
            // Only asking first is allowed, and asking has to be enough. If
            // the layer makes the clone wait behind the idle original, that
            // is another obligation's business.
            if self.settle(task).is_ready() {
                self.all_readied(format_args!("through {which} was readied"))?;
            }
        }
        if original.was_called() {
            return unjudged("the original was called");
        }
        original.call();
        let _ = self.settle(&mut original);
        self.all_readied(format_args!(
            "through the original, after its clones were used"
        ))
    }

    fn readiness_asked_twice(&self) -> Check {
        let count = self.in_flight().unwrap_or(1);
        self.script.set_reply(Reply::AnswerAfter(1));
        let mut tasks = Vec::new();
        for number in 1..=count {
            let mut task = self.task();
            let before = self.script.calls();
            for time in ["once", "twice"] {
                match self.settle_ready(&mut task) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(told)) => {
                        return self.broken(format!("asked {time}, it failed: {}", told.text));
                    }
                    Poll::Pending if time == "once" && number == 1 => {
                        return unjudged("the service is not ready over an inner one that is");
                    }
                    Poll::Pending => {
                        return self.broken(format!(
                            "service {number} of {count}, asked {time}, was not ready; \
                             the ones before were asked twice each"
                        ));
                    }
                }
            }
            if self.script.calls() != before {
                return self.broken("poll_ready called the inner service");
            }
            task.call();
            if let Poll::Ready(Err(told)) = self.settle(&mut task) {
                return self.broken(format!(
                    "service {number} of {count} was turned away ({}); \
                     the ones before were asked twice each",
                    told.text
                ));
            }
            tasks.push(task);
        }
        self.script.step();
        for task in &mut tasks {
            self.drive(task)?.ok();
        }
        // The services stay: what the second poll took would be theirs.
        let idle: Vec<S> = tasks.into_iter().map(Task::into_service).collect();
        self.whole("after calls whose services were asked twice")?;
        drop(idle);
        Ok(())
    }

    fn readiness_error(&self) -> Check {
        for waits_first in [false, true] {
            self.script.set_readiness(if waits_first {
                Readiness::Pending
            } else {
                Readiness::Failing
            });
            let calls = self.script.calls();
            let mut task = self.task();
            let mut answer = self.settle(&mut task);
            if waits_first {
                if answer.is_ready() {
                    continue;
                }
                self.script.set_readiness(Readiness::Failing);
                answer = self.settle(&mut task);
            }
            if answer.is_pending() && self.contract.pass_time(LONG) {
                answer = self.settle(&mut task);
            }
            let told = match answer {
                Poll::Ready(Err(told)) => told,
                Poll::Ready(Ok(_)) => return self.broken("a call was answered all the same"),
                Poll::Pending => return self.broken("the caller was left waiting"),
            };
            if self.script.calls() != calls {
                return self.broken("the inner service was called all the same");
            }
            if told.failure.is_none() {
                return self.broken(format!("the caller was told \"{}\" instead", told.text));
            }
            if self.contract.class() != Class::Waiting && task.was_called() {
                return self.broken("poll_ready said ready, and only the call failed");
            }
        }
        Ok(())
    }

    fn no_self_wake(&self) -> Check {
        self.at_each_standstill(|standstill, mut stuck| {
            for _ in 0..3 {
                let before = stuck.task.wakes.count();
                if stuck.task.poll().is_ready() {
                    return unjudged(format!("it went on {}", standstill.describe()));
                }
                let woken = stuck.task.wakes.count() - before;
                if woken > 0 {
                    return self.broken(format!(
                        "a poll woke its own task {}",
                        standstill.describe()
                    ));
                }
            }
            Ok(())
        })
    }

    fn woken_once(&self) -> Check {
        self.at_each_standstill(|standstill, mut stuck| {
            let before = stuck.task.wakes.count();
            self.end(standstill, &mut stuck.holders)?;
            match stuck.task.wakes.count() - before {
                1 => Ok(()),
                0 => self.broken(format!(
                    "it was not woken when it could go on that waited {}",
                    standstill.describe()
                )),
                n => self.broken(format!(
                    "it was woken {n} times that waited {}",
                    standstill.describe()
                )),
            }
        })
    }

    fn latest_waker(&self) -> Check {
        self.at_each_standstill(|standstill, mut stuck| {
            stuck.task.wakes = Wakes::default();
            if stuck.task.poll().is_ready() {
                return unjudged(format!("it went on {}", standstill.describe()));
            }
            self.end(standstill, &mut stuck.holders)?;
            match stuck.task.wakes.count() {
                0 => self.broken(format!(
                    "polled with another waker {}, that waker was not woken",
                    standstill.describe()
                )),
                _ => Ok(()),
            }
        })
    }

    fn not_polled_when_done(&self) -> Check {
        for reply in [Reply::Answer, Reply::AnswerAfter(1), Reply::FailAfter(0)] {
            self.script.set_reply(reply);
            let mut task = self.task();
            let _ = self.settle(&mut task);
            self.script.step();
            let _ = self.settle(&mut task);
            if self.script.polls_after_done() > 0 {
                return self
                    .broken("a future of the inner service was polled after it had been done");
            }
        }
        Ok(())
    }

    fn response_unaltered(&self) -> Check {
        for steps in [0, 1] {
            self.script.set_reply(Reply::AnswerAfter(steps));
            let mut task = self.task();
            let mut answer = self.settle(&mut task);
            if answer.is_pending() {
                self.script.step();
                answer = Poll::Ready(self.drive(&mut task)?);
            }
            let request = task.request();
            let Some(given) = self.script.answer_to(request) else {
                return self.broken(format!("request {request} did not reach the inner service"));
            };
            match answer {
                Poll::Ready(Ok(response)) if response.id() == given => {}
                Poll::Ready(Ok(response)) => {
                    let id = response.id();
                    return self.broken(format!("response {given} reached the caller as {id}"));
                }
                Poll::Ready(Err(told)) => {
                    return self.broken(format!("an answered call failed: {}", told.text));
                }
                Poll::Pending => return unjudged("a call that was answered did not end"),
            }
        }
        Ok(())
    }

    fn error_unaltered(&self) -> Check {
        for steps in [0, 1] {
            self.script.set_reply(Reply::FailAfter(steps));
            let mut task = self.task();
            let mut answer = self.settle(&mut task);
            for _ in 0..PATIENCE {
                if answer.is_ready() {
                    break;
                }
                // A repeating layer needs a step for each of its calls, and
                // time between them.
                if self.script.step() == 0 && !self.contract.pass_time(LONG) {
                    break;
                }
                answer = self.settle(&mut task);
            }
            match answer {
                Poll::Ready(Err(told)) if told.failure.is_some() => {}
                Poll::Ready(Err(told)) => {
                    return self.broken(format!("the caller was told \"{}\" instead", told.text));
                }
                Poll::Ready(Ok(_)) => return self.broken("a call that failed was answered"),
                Poll::Pending => return unjudged("a call that failed did not end"),
            }
        }
        Ok(())
    }

    fn dropped_unpolled(&self) -> Check {
        for keeps_service in [false, true] {
            let mut idle = Vec::new();
            for _ in 0..=self.in_flight().unwrap_or(1) {
                let mut task = self.task();
                if !matches!(self.settle_ready(&mut task), Poll::Ready(Ok(()))) {
                    return unjudged("the service is not ready over an inner one that is");
                }
                task.call();
                let service = task.into_service();
                if keeps_service {
                    idle.push(service);
                }
            }
            self.whole("after futures that were dropped before their first poll")?;
        }
        // A call that would have to queue, given up before it did.
        if let Some(holders) = self.fill() {
            let mut task = self.task();
            if matches!(self.settle_ready(&mut task), Poll::Ready(Ok(()))) {
                task.call();
            }
            drop(task);
            self.finish(holders);
            self.whole(
                "after a future that was dropped before its first poll, with the layer full",
            )?;
        }
        Ok(())
    }

    fn dropped_waiting(&self) -> Check {
        // Readied and never called.
        for _ in 0..=self.in_flight().unwrap_or(1) {
            let mut task = self.task();
            let _ = self.settle_ready(&mut task);
        }
        self.whole("after services that were readied and dropped")?;

        self.at_each_standstill(|standstill, stuck| {
            drop(stuck.task);
            let left = self.script.waiting();
            if left > 0 {
                return self.broken("a place in the inner service's queue was kept");
            }
            self.finish(stuck.holders);
            self.whole(&format!("after a drop {}", standstill.describe()))
        })?;

        // The turn was given to someone who is gone: the next has to get it.
        let Some(mut stuck) = self.arrange(Standstill::Full)? else {
            return Ok(());
        };
        let mut next = self.task();
        if self.settle(&mut next).is_ready() {
            return Ok(());
        }
        self.end(Standstill::Full, &mut stuck.holders)?;
        let calls = self.script.calls();
        let (woken, mut other) = if stuck.task.wakes.count() > 0 {
            (stuck.task, next)
        } else {
            (next, stuck.task)
        };
        let before = other.wakes.count();
        drop(woken);
        if other.wakes.count() == before {
            return self.broken(
                "a caller that was given its turn was dropped, and the next in the queue was not woken",
            );
        }
        let _ = self.settle(&mut other);
        if self.script.calls() == calls {
            return self.broken(
                "a caller that was given its turn was dropped, and the next in the queue did not get it",
            );
        }
        self.finish(vec![other]);
        self.finish(stuck.holders);
        self.whole("after a drop between the turn and the poll")
    }

    fn loser_cancelled(&self) -> Check {
        for standstill in [Standstill::Call(0), Standstill::Call(1)] {
            let Some(stuck) = self.arrange(standstill)? else {
                continue;
            };
            let service = stuck.task.into_service();
            if self.script.live() > 0 {
                return self.broken("the future was dropped, and that of the inner call lives");
            }
            drop(service);
        }
        let mut unpolled = self.task();
        if matches!(self.settle_ready(&mut unpolled), Poll::Ready(Ok(()))) {
            unpolled.call();
            drop(unpolled);
            if self.script.live() > 0 {
                return self
                    .broken("the future was dropped unpolled, and that of the inner call lives");
            }
        }
        if let Some(mut stuck) = self.arrange(Standstill::Patience)? {
            self.end(Standstill::Patience, &mut stuck.holders)?;
            if self.settle(&mut stuck.task).is_pending() {
                return unjudged("the call was not given up");
            }
            if self.script.live() > 0 {
                return self
                    .broken("the call was given up, and the future of the inner call lives");
            }
        }
        Ok(())
    }

    fn panic(&self) -> Check {
        let plans = [
            ("in call", Reply::PanicInCall),
            ("in the first poll", Reply::PanicAfter(0)),
            ("in a later poll", Reply::PanicAfter(1)),
        ];
        for (place, reply) in plans {
            for _ in 0..=self.in_flight().unwrap_or(1) {
                self.script.set_readiness(Readiness::Ready);
                self.script.set_reply(reply);
                let mut task = self.task();
                // What the layer makes of the panic is its own affair.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let _ = self.settle(&mut task);
                    self.script.step();
                    let _ = self.settle(&mut task);
                }));
            }
            self.whole(&format!("after the inner service panicked {place}"))?;
        }
        Ok(())
    }

    fn idle_holds_nothing(&self) -> Check {
        let Some(limit) = self.in_flight() else {
            return skipped("the subject names no limit of calls in flight");
        };
        let mut idle = Vec::new();
        for _ in 0..limit {
            let mut task = self.task();
            if !matches!(self.settle_ready(&mut task), Poll::Ready(Ok(()))) {
                return self.broken(
                    "services that were readied and not called kept another from being ready",
                );
            }
            idle.push(task);
        }
        if let Err(what) = self.through(1) {
            let count = idle.len();
            return self.broken(format!(
                "with {count} idle services readied and nothing in flight, {what}"
            ));
        }
        Ok(())
    }

    fn shared_state(&self) -> Check {
        let mut first = self.task();
        let clone = self.contract.clone_service(first.service());
        let mut others = vec![("a second service of the layer", self.task())];
        if let Some(clone) = clone {
            others.push(("a clone made before", self.task_on(clone)));
        }

        let mut holders = Vec::new();
        if let Some(refuse) = &self.subject.refuse {
            refuse();
            others.insert(0, ("the first service", first));
        } else {
            match self.subject.limit {
                Some(Limit::InFlight(limit)) => {
                    self.script.set_reply(Reply::Never);
                    holders.push(first);
                    let first = holders[0].service();
                    // All through the first and its clones, if it has any.
                    let clones: Vec<Option<S>> = (1..limit)
                        .map(|_| self.contract.clone_service(first))
                        .collect();
                    for clone in clones {
                        let service = clone.unwrap_or_else(|| self.service());
                        holders.push(self.task_on(service));
                    }
                    for holder in &mut holders {
                        let _ = self.settle(holder);
                    }
                }
                Some(Limit::Calls(limit)) => {
                    for _ in 0..limit {
                        self.drive(&mut first)?.ok();
                        first = self.task_on(first.into_service());
                    }
                }
                None => {
                    return skipped("the subject says neither how to make it refuse nor a limit");
                }
            }
        }
        for (which, mut task) in others {
            let live = self.script.live();
            let calls = self.script.calls();
            let answer = self.settle(&mut task);
            let turned_away = match &answer {
                Poll::Ready(Err(told)) => told.failure.is_none(),
                Poll::Ready(Ok(_)) => false,
                Poll::Pending => self.script.live() == live && self.script.calls() == calls,
            };
            if !turned_away {
                return self.broken(format!("{which} let a call through"));
            }
        }
        Ok(())
    }

    fn refusal_calls_nothing(&self) -> Check {
        for readied_before in [false, true] {
            let Some((calls, told, refusing)) = self.refused(readied_before)? else {
                continue;
            };
            if self.script.calls() != calls {
                return self.broken("the inner service was called by a call that was refused");
            }
            if told.failure.is_some() {
                return self.broken("the inner service was called instead");
            }
            self.stop_refusing(refusing);
        }
        Ok(())
    }

    fn refusal_is_data(&self) -> Check {
        for readied_before in [false, true] {
            let Some((_, told, refusing)) = self.refused(readied_before)? else {
                continue;
            };
            if !told.refusal {
                return self.broken(format!("\"{}\" is not recognised as a refusal", told.text));
            }
            self.stop_refusing(refusing);
        }
        Ok(())
    }

    fn refusal_keeps_readied(&self) -> Check {
        if self.contract.class() == Class::Shedding {
            return skipped("a shedding layer gives its place up");
        }
        let mut task = self.task();
        if !matches!(self.settle_ready(&mut task), Poll::Ready(Ok(()))) {
            return unjudged("the service is not ready over an inner one that is");
        }
        let refusing = self.start_refusing()?;
        let discarded = self.script.discarded_readied();
        let readied = self.script.readied();
        task.call();
        if !matches!(self.settle(&mut task), Poll::Ready(Err(_))) {
            return skipped(RESERVES);
        }
        let service = task.into_service();
        if self.script.discarded_readied() > discarded || self.script.readied() < readied {
            return self.broken("the instance that was readied is gone");
        }
        if self.stop_refusing(refusing) {
            self.script.set_reply(Reply::Answer);
            let mut again = self.task_on(service);
            if let Err(told) = self.drive(&mut again)? {
                return self.broken(format!(
                    "the next call, no longer refused, failed: {}",
                    told.text
                ));
            }
        }
        Ok(())
    }

    fn refusal_skips_inner(&self) -> Check {
        if self.contract.class() != Class::Direct {
            return skipped("only a direct layer refuses before it forwards readiness");
        }
        let refusing = self.start_refusing()?;
        self.script.set_readiness(Readiness::Pending);
        let polls = self.script.readiness_polls();
        let mut task = self.task();
        let answer = self.settle(&mut task);
        if self.script.readiness_polls() != polls {
            return self.broken("the inner service was asked whether it is ready");
        }
        if answer.is_pending() {
            return self.broken("the refusal came not at once");
        }
        self.stop_refusing(refusing);
        Ok(())
    }

    fn nothing_readied_queues(&self) -> Check {
        let Some(holders) = self.fill() else {
            return skipped("the subject names no limit of calls in flight");
        };
        let readied = self.script.readied();
        let mut waiter = self.task();
        if self.settle(&mut waiter).is_ready() {
            return skipped("it refuses when it is full");
        }
        if self.script.readied() > readied {
            return self.broken("a readied instance of the inner service waits with the call");
        }
        drop(holders);
        Ok(())
    }

    fn shed_leaves_queue(&self) -> Check {
        if self.contract.class() != Class::Shedding {
            return skipped("only a shedding layer turns calls away for the inner service's sake");
        }
        self.script.set_readiness(Readiness::Pending);
        let mut task = self.task();
        if self.settle(&mut task).is_pending() {
            return unjudged("the call was not shed");
        }
        let idle = task.into_service();
        if self.script.waiting() > 0 {
            return self
                .broken("the call was shed, and its place in the inner service's queue is kept");
        }
        drop(idle);
        Ok(())
    }

    // The means.

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

    /// Makes the layer refuse, by its hook or by filling it up.
    fn start_refusing(&self) -> Result<Refusing<'c, S>, Stop> {
        if let Some(refuse) = &self.subject.refuse {
            refuse();
            return Ok(Refusing {
                holders: Vec::new(),
            });
        }
        let Some(holders) = self.fill() else {
            return skipped("the subject says neither how to make it refuse nor a limit");
        };
        let calls = self.script.calls();
        let mut one_more = self.task();
        let answer = self.settle(&mut one_more);
        if answer.is_pending() && self.script.calls() == calls {
            return skipped("it does not refuse when it is full, it waits");
        }
        Ok(Refusing { holders })
    }

    /// Lets calls in flight end in the ordinary way.
    fn finish(&self, mut calls: Vec<Task<'c, S>>) {
        self.script.step();
        for call in &mut calls {
            let _ = self.settle(call);
        }
    }

    /// Undoes it; false if the subject does not say how.
    fn stop_refusing(&self, refusing: Refusing<'c, S>) -> bool {
        self.finish(refusing.holders);
        match (&self.subject.refuse, &self.subject.relent) {
            (Some(_), Some(relent)) => {
                relent();
                true
            }
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// What a refused caller is told, and how many calls had been made before
    /// it. Readied while the layer did not refuse yet, or not; in the first
    /// case the layer may have reserved something and keep its word.
    fn refused(&self, readied_before: bool) -> Result<Option<Refused<'c, S>>, Stop> {
        self.script.set_readiness(Readiness::Ready);
        let mut task = self.task();
        if readied_before && !matches!(self.settle_ready(&mut task), Poll::Ready(Ok(()))) {
            return unjudged("the service is not ready over an inner one that is");
        }
        let refusing = self.start_refusing()?;
        let calls = self.script.calls();
        if readied_before {
            task.call();
        }
        match self.settle(&mut task) {
            Poll::Ready(Err(told)) => Ok(Some((calls, told, refusing))),
            _ if readied_before => Ok(None),
            Poll::Ready(Ok(_)) => unjudged("the call was let through"),
            Poll::Pending => unjudged("the call was neither refused nor answered"),
        }
    }

    /// Runs `judge` at every standstill that this layer has.
    fn at_each_standstill(&self, judge: impl Fn(Standstill, Stuck<'c, S>) -> Check) -> Check {
        for standstill in Standstill::ALL {
            if let Some(stuck) = self.arrange(standstill)? {
                judge(standstill, stuck)?;
            }
        }
        Ok(())
    }

    /// A task that waits; nothing if this layer does not come to that.
    fn arrange(&self, standstill: Standstill) -> Result<Option<Stuck<'c, S>>, Stop> {
        let mut holders = Vec::new();
        self.script.set_readiness(Readiness::Ready);
        self.script.set_reply(Reply::Answer);
        match standstill {
            Standstill::Readiness => self.script.set_readiness(Readiness::Pending),
            Standstill::Call(steps) => self.script.set_reply(Reply::AnswerAfter(steps + 1)),
            Standstill::ReadinessAgain => self.script.set_reply(Reply::FailAfter(1)),
            Standstill::Full => match self.fill() {
                Some(full) => holders = full,
                None => return Ok(None),
            },
            Standstill::BackOff => {
                if !self.contract.can_pass_time() {
                    return Ok(None);
                }
                self.script.set_reply(Reply::FailAfter(0));
            }
            Standstill::Patience => {
                if !self.contract.can_pass_time() || self.contract.patience().is_none() {
                    return Ok(None);
                }
                self.script.set_reply(Reply::Never);
            }
        }
        let mut task = self.task();
        let live = self.script.live();
        let mut answer = self.settle(&mut task);
        if let Standstill::Call(steps) = standstill {
            for _ in 0..steps {
                self.script.step();
                answer = self.settle(&mut task);
            }
        }
        if standstill == Standstill::ReadinessAgain {
            self.script.set_readiness(Readiness::Pending);
            self.script.set_reply(Reply::Answer);
            self.script.step();
            answer = self.settle(&mut task);
            if answer.is_pending() && self.script.waiting() == 0 {
                self.contract.pass_time(LONG);
                answer = self.settle(&mut task);
            }
            if answer.is_pending() && self.script.waiting() == 0 {
                return Ok(None);
            }
        }
        let stuck = Stuck { task, holders };
        match (standstill, answer) {
            (Standstill::Full, Poll::Pending) if self.script.live() > live => {
                unjudged("the layer lets more calls through than its limit")
            }
            (_, Poll::Pending) => Ok(Some(stuck)),
            (Standstill::Readiness, _) if self.contract.class() == Class::Shedding => Ok(None),
            // It refuses when full; it does not repeat what fails.
            (Standstill::Full | Standstill::BackOff | Standstill::ReadinessAgain, _) => Ok(None),
            (_, Poll::Ready(_)) => unjudged(format!("it went on {}", standstill.describe())),
        }
    }

    /// Ends a standstill by what it waits for.
    fn end(&self, standstill: Standstill, holders: &mut Vec<Task<'c, S>>) -> Check {
        match standstill {
            Standstill::Readiness | Standstill::ReadinessAgain => {
                self.script.set_readiness(Readiness::Ready);
            }
            Standstill::Call(_) => {
                self.script.step();
            }
            Standstill::Full => {
                self.script.step();
                // One of the holders sees its answer and goes; the others stay
                // where they are.
                if let Some(holder) = holders.first_mut() {
                    self.drive(holder)?.ok();
                }
            }
            Standstill::BackOff => {
                self.contract.pass_time(LONG);
            }
            Standstill::Patience => {
                let patience = self.contract.patience().unwrap_or(LONG);
                // Timers count in milliseconds, and fire after.
                self.contract.pass_time(patience + Duration::from_millis(2));
            }
        }
        Ok(())
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
