//! The situations in which a task waits, and what ends each.

use std::task::Poll;
use std::time::Duration;

use axiomatic_core::BoxError;
use tower_service::Service;

use super::{Bench, Check, LONG, Stop, unjudged};
use crate::task::Task;
use crate::{Class, Readiness, Reply, Request, Response};

/// A situation in which a task waits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Standstill {
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
    pub(super) const ALL: [Standstill; 7] = [
        Standstill::Readiness,
        Standstill::Call(0),
        Standstill::Call(1),
        Standstill::ReadinessAgain,
        Standstill::Full,
        Standstill::BackOff,
        Standstill::Patience,
    ];

    pub(super) fn describe(self) -> &'static str {
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
pub(super) struct Stuck<'c, S: Service<Request>> {
    pub(super) task: Task<'c, S>,
    pub(super) holders: Vec<Task<'c, S>>,
}

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    /// Runs `judge` at every standstill that this layer has.
    /// On a bench of its own each, or what one leaks the next is blamed for.
    pub(super) fn at_each_standstill(
        &self,
        judge: impl Fn(&Self, Standstill, Stuck<'c, S>) -> Check,
    ) -> Check {
        for standstill in Standstill::ALL {
            let bench = self.fresh();
            if let Some(stuck) = bench.arrange(standstill)? {
                judge(&bench, standstill, stuck)?;
            }
        }
        Ok(())
    }

    /// A task that waits; nothing if this layer does not come to that.
    pub(super) fn arrange(&self, standstill: Standstill) -> Result<Option<Stuck<'c, S>>, Stop> {
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
                if self.contract.patience().is_none() {
                    return Ok(None);
                }
                if !self.contract.can_pass_time() {
                    return unjudged("it gives up with time, and nothing says how time passes");
                }
                self.script.set_reply(Reply::Never);
            }
        }
        let mut task = self.task();
        let live = self.script.live();
        let mut answer = self.settle(&mut task);
        if let Standstill::Call(steps) = standstill {
            for _ in 0..steps {
                if answer.is_pending() {
                    self.script.step();
                    answer = self.settle(&mut task);
                }
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
    pub(super) fn end(&self, standstill: Standstill, holders: &mut Vec<Task<'c, S>>) -> Check {
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
}
