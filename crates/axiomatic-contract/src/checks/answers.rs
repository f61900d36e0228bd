//! What goes in comes out.

use std::task::Poll;

use axiomatic_core::BoxError;
use tower_service::Service;

use super::{Bench, Check, LONG, PATIENCE, Stop, unjudged};
use crate::{Reply, Request, Response};

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(super) fn serves(&self) -> Check {
        let mut task = self.task();
        match self.drive(&mut task) {
            Err(Stop::Unjudged(what)) => self.broken(what),
            Err(stop) => Err(stop),
            Ok(Err(told)) => self.broken(format!("a plain call failed: {}", told.text)),
            Ok(Ok(_)) => Ok(()),
        }
    }

    pub(super) fn not_polled_when_done(&self) -> Check {
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

    pub(super) fn response_unaltered(&self) -> Check {
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

    pub(super) fn error_unaltered(&self) -> Check {
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
}
