//! Whoever goes gives back what it had.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use axiomatic_core::BoxError;
use tower_service::Service;

use super::standstill::Standstill;
use super::{Bench, Check, unjudged};
use crate::{Readiness, Reply, Request, Response};

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(super) fn dropped_unpolled(&self) -> Check {
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

    pub(super) fn dropped_waiting(&self) -> Check {
        // Readied and never called.
        for _ in 0..=self.in_flight().unwrap_or(1) {
            let mut task = self.task();
            let _ = self.settle_ready(&mut task);
        }
        self.whole("after services that were readied and dropped")?;

        self.at_each_standstill(|bench, standstill, stuck| {
            drop(stuck.task);
            let left = bench.script.waiting();
            if left > 0 {
                return bench.broken("a place in the inner service's queue was kept");
            }
            bench.finish(stuck.holders);
            bench.whole(&format!("after a drop {}", standstill.describe()))
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

    pub(super) fn loser_cancelled(&self) -> Check {
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

    pub(super) fn panic(&self) -> Check {
        let plans = [
            ("in call", Reply::PanicInCall),
            ("in the first poll", Reply::PanicAfter(0)),
            ("in a later poll", Reply::PanicAfter(1)),
        ];
        for (place, reply) in plans {
            // A panic in a task drops the future while it unwinds if an
            // `async` block awaits it, and after if the runtime holds it.
            for held_outside in [false, true] {
                let bench = self.fresh();
                for _ in 0..=bench.in_flight().unwrap_or(1) {
                    bench.panic_once(reply, held_outside);
                }
                bench.whole(&format!("after the inner service panicked {place}"))?;
            }
        }
        Ok(())
    }

    fn panic_once(&self, reply: Reply, held_outside: bool) {
        self.script.set_readiness(Readiness::Ready);
        self.script.set_reply(reply);
        let mut outside = None;
        // What the layer makes of the panic is its own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut inside = None;
            let place = if held_outside {
                &mut outside
            } else {
                &mut inside
            };
            let task = place.insert(self.task());
            let _ = self.settle(task);
            self.script.step();
            let _ = self.settle(task);
        }));
    }
}
