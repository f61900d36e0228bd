//! What a refusal is, and how the kit brings one about.

use std::task::Poll;

use axiomatic_core::BoxError;
use tower_service::Service;

use super::{Bench, Check, Stop, skipped, unjudged};
use crate::task::{Task, Told};
use crate::{Class, Readiness, Reply, Request, Response};

/// What keeps the layer refusing.
pub(super) struct Refusing<'c, S: Service<Request>> {
    holders: Vec<Task<'c, S>>,
}

/// How many calls had been made before the one that was refused, what it was
/// told, and what keeps the layer refusing.
pub(super) type Refused<'c, S> = (usize, Told, Refusing<'c, S>);

const RESERVES: &str = "a service that was readied before is not refused";

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(super) fn refusal_calls_nothing(&self) -> Check {
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

    pub(super) fn refusal_is_data(&self) -> Check {
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

    pub(super) fn refusal_keeps_readied(&self) -> Check {
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

    pub(super) fn refusal_skips_inner(&self) -> Check {
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

    /// Makes the layer refuse, by its hook or by filling it up.
    pub(super) fn start_refusing(&self) -> Result<Refusing<'c, S>, Stop> {
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

    /// Undoes it; false if the subject does not say how.
    pub(super) fn stop_refusing(&self, refusing: Refusing<'c, S>) -> bool {
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
    pub(super) fn refused(&self, readied_before: bool) -> Result<Option<Refused<'c, S>>, Stop> {
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
}
