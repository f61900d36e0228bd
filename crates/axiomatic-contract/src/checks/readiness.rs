//! What `poll_ready` promises.

use std::task::Poll;

use axiomatic_core::BoxError;
use tower_service::Service;

use super::{Bench, Check, LONG, skipped, unjudged};
use crate::task::Task;
use crate::{Class, Readiness, Reply, Request, Response};

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(super) fn readiness_before_call(&self) -> Check {
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
        if early.is_ready() && self.contract.class() == Class::Direct {
            return self.broken("poll_ready said ready while the inner service was not");
        }
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

    pub(super) fn readiness_of_clones(&self) -> Check {
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

    pub(super) fn readiness_asked_twice(&self) -> Check {
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

    pub(super) fn readiness_error(&self) -> Check {
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

    pub(super) fn later_readiness_error(&self) -> Check {
        let mut task = self.task();
        if !matches!(self.settle_ready(&mut task), Poll::Ready(Ok(()))) {
            return unjudged("the service is not ready over an inner one that is");
        }
        if self.script.readied() == 0 {
            return skipped("poll_ready readied no inner service");
        }
        self.script.set_readiness(Readiness::Failing);
        match self.settle_ready(&mut task) {
            Poll::Ready(Err(told)) if told.failure.is_some() => Ok(()),
            Poll::Ready(Err(told)) => {
                self.broken(format!("the caller was told \"{}\" instead", told.text))
            }
            Poll::Ready(Ok(())) => {
                self.broken("poll_ready said ready again although the inner service had failed")
            }
            Poll::Pending => self.broken("the caller was left waiting"),
        }
    }
}
