//! What is shared, and who stands in whose way.

use std::task::Poll;

use axiomatic_core::BoxError;
use tower_service::Service;

use super::{Bench, Check, skipped, unjudged};
use crate::subject::Limit;
use crate::{Class, Readiness, Reply, Request, Response};

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(super) fn idle_holds_nothing(&self) -> Check {
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

    pub(super) fn shared_state(&self) -> Check {
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

    pub(super) fn nothing_readied_queues(&self) -> Check {
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

    pub(super) fn shed_leaves_queue(&self) -> Check {
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
}
