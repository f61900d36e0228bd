//! Running an action: within its time, and whatever it does.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::pending;
use futures::stream::{FuturesUnordered, StreamExt};

use super::tenure::Held;
use crate::saga::definition::Doing;
use crate::saga::fault::Fault;
use crate::saga::machine::StepNo;

/// Which action, or undo, it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) step: StepNo,
    pub(super) item: u32,
    pub(super) attempt: u32,
    pub(super) undoes: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) launch: Launch,
    pub(super) outcome: Result<Bytes, Fault>,
}

/// An action that is polled once before anything is made for it to wait:
/// many are done by then.
pub(super) enum Flight {
    Landed(Landed),
    Flying(Flying),
}

pub(super) async fn launch(launch: Launch, doing: Doing<Bytes>, timeout: Duration) -> Flight {
    let mut guarded = Guarded(doing);
    let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut guarded).poll(cx))).await;
    if let Poll::Ready(outcome) = first {
        return Flight::Landed(Landed { launch, outcome });
    }
    Flight::Flying(Box::pin(async move {
        let outcome = match tokio::time::timeout(timeout, guarded).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::unknown(format!("no answer within {timeout:?}"))),
        };
        Landed { launch, outcome }
    }))
}

/// An action whose panic is its error.
struct Guarded(Doing<Bytes>);

impl Future for Guarded {
    type Output = Result<Bytes, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let doing = &mut self.0;
        let polled = catch_unwind(AssertUnwindSafe(|| doing.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(Fault::unknown("the action panicked"))))
    }
}

/// Actions that are being done. Most sagas have none that is not done at its
/// first poll, so nothing is made for them before.
#[derive(Default)]
pub(super) struct Flights {
    flying: Option<FuturesUnordered<Flying>>,
    /// Those that landed while something else was waited for.
    landed: VecDeque<Landed>,
}

type Flying = Pin<Box<dyn Future<Output = Landed> + Send>>;

impl Flights {
    pub(super) fn push(&mut self, flight: Flying) {
        self.flying.get_or_insert_default().push(flight);
    }

    pub(super) fn is_empty(&self) -> bool {
        let none_flies = self.flying.as_ref().is_none_or(FuturesUnordered::is_empty);
        none_flies && self.landed.is_empty()
    }

    /// Waits for the next that lands; for ever, if none flies.
    pub(super) async fn next(&mut self) -> Landed {
        if let Some(landed) = self.landed.pop_front() {
            return landed;
        }
        if let Some(flying) = &mut self.flying {
            if let Some(landed) = flying.next().await {
                return landed;
            }
        }
        pending().await
    }

    /// Waits for something else, while those that fly go on: an action does not
    /// stand still because a store is slow, or away. `None` if the bucket is
    /// lost before: another may do by then what flies here.
    pub(super) async fn beside<T>(
        &mut self,
        held: &Held,
        other: impl Future<Output = T>,
    ) -> Option<T> {
        let mut other = std::pin::pin!(other);
        // Much is there at once, and then nothing is made to wait.
        if let Poll::Ready(output) = futures::poll!(other.as_mut()) {
            return Some(output);
        }
        let mut held = held.clone();
        let mut lost = std::pin::pin!(held.lost());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = other.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if lost.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            if let Some(flying) = &mut self.flying {
                while let Poll::Ready(Some(landed)) = flying.poll_next_unpin(cx) {
                    self.landed.push_back(landed);
                }
            }
            Poll::Pending
        })
        .await
    }
}
