//! Who waits is woken.

use axiomatic_core::BoxError;
use tower_service::Service;

use super::{Bench, Check, unjudged};
use crate::task::Wakes;
use crate::{Request, Response};

impl<'c, 'a, S> Bench<'c, 'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(super) fn no_self_wake(&self) -> Check {
        self.at_each_standstill(|bench, standstill, mut stuck| {
            for _ in 0..3 {
                let before = stuck.task.wakes.count();
                if stuck.task.poll().is_ready() {
                    return unjudged(format!("it went on {}", standstill.describe()));
                }
                let woken = stuck.task.wakes.count() - before;
                if woken > 0 {
                    return bench.broken(format!(
                        "a poll woke its own task {}",
                        standstill.describe()
                    ));
                }
            }
            Ok(())
        })
    }

    pub(super) fn woken_once(&self) -> Check {
        self.at_each_standstill(|bench, standstill, mut stuck| {
            let before = stuck.task.wakes.count();
            bench.end(standstill, &mut stuck.holders)?;
            match stuck.task.wakes.count() - before {
                1 => Ok(()),
                0 => bench.broken(format!(
                    "it was not woken when it could go on that waited {}",
                    standstill.describe()
                )),
                n => bench.broken(format!(
                    "it was woken {n} times that waited {}",
                    standstill.describe()
                )),
            }
        })
    }

    pub(super) fn latest_waker(&self) -> Check {
        self.at_each_standstill(|bench, standstill, mut stuck| {
            stuck.task.wakes = Wakes::default();
            if stuck.task.poll().is_ready() {
                return unjudged(format!("it went on {}", standstill.describe()));
            }
            bench.end(standstill, &mut stuck.holders)?;
            match stuck.task.wakes.count() {
                0 => bench.broken(format!(
                    "polled with another waker {}, that waker was not woken",
                    standstill.describe()
                )),
                _ => Ok(()),
            }
        })
    }
}
