//! A task polled by hand, with a waker that counts.

use std::any::TypeId;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use axiomatic_core::{BoxError, Refusable, Rejected};
use tower_service::Service;

use crate::contract::IsRefusal;
use crate::{Failure, Request, Response};

/// How often a task was woken. A lock and not an atomic, since nothing here
/// is hot.
#[derive(Clone, Default)]
pub(crate) struct Wakes(Arc<Counter>);

#[derive(Default)]
struct Counter(Mutex<usize>);

impl Counter {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.lock() += 1;
    }
}

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        *self.0.lock()
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }
}

/// What the error of a layer turned out to be.
#[derive(Debug)]
pub(crate) struct Told {
    /// The failure of the inner service, unaltered.
    pub(crate) failure: Option<Failure>,
    /// Whether it is a refusal.
    pub(crate) refusal: bool,
    pub(crate) text: String,
}

impl Told {
    pub(crate) fn new<E>(error: E, is_refusal: Option<&IsRefusal<'_>>) -> Self
    where
        E: Into<BoxError> + 'static,
    {
        // A box has to hold the failure itself, or `downcast` above the layer
        // finds something else than it does below. An enum of the user's own
        // has to wrap it, so there a `source` that leads to it will do. For
        // refusals likewise.
        let was_boxed = TypeId::of::<E>() == TypeId::of::<BoxError>();
        let error: BoxError = error.into();
        let head: &(dyn Error + 'static) = &*error;
        let depth = if was_boxed { 1 } else { usize::MAX };
        let failure = chain(head)
            .take(depth)
            .find_map(|error| error.downcast_ref::<Failure>().copied());
        let refusal = match is_refusal {
            Some(is_refusal) => is_refusal(head),
            None => {
                error.rejected().is_some()
                    || !was_boxed && chain(head).any(<dyn Error + 'static>::is::<Rejected>)
            }
        };
        Told {
            failure,
            refusal,
            text: error.to_string(),
        }
    }
}

/// An error and those that caused it.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

pub(crate) type Answer = Result<Response, Told>;

/// One caller: it waits until the service is ready, calls it, and waits for
/// the answer, all in one task. Where in this a layer waits is the layer's
/// business.
pub(crate) struct Task<'a, S: Service<Request>> {
    // The future drops before the service it came from.
    stage: Stage<S::Future>,
    service: S,
    request: u64,
    called: bool,
    pub(crate) wakes: Wakes,
    is_refusal: Option<&'a IsRefusal<'a>>,
}

enum Stage<F> {
    Readying,
    Called(Pin<Box<F>>),
    Done,
}

impl<'a, S> Task<'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    pub(crate) fn new(service: S, request: u64, is_refusal: Option<&'a IsRefusal<'a>>) -> Self {
        Task {
            stage: Stage::Readying,
            service,
            request,
            called: false,
            wakes: Wakes::default(),
            is_refusal,
        }
    }

    /// Polls the service for readiness and no further.
    pub(crate) fn poll_ready(&mut self) -> Poll<Result<(), Told>> {
        let waker = self.wakes.waker();
        let ready = self.service.poll_ready(&mut Context::from_waker(&waker));
        ready.map_err(|error| Told::new(error, self.is_refusal))
    }

    /// Calls the service, which must have said that it is ready.
    pub(crate) fn call(&mut self) {
        self.called = true;
        let future = self.service.call(Request::new(self.request));
        self.stage = Stage::Called(Box::pin(future));
    }

    /// Polls once, over the call if the service is ready.
    pub(crate) fn poll(&mut self) -> Poll<Answer> {
        if matches!(self.stage, Stage::Readying) {
            match self.poll_ready() {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(told)) => {
                    self.stage = Stage::Done;
                    return Poll::Ready(Err(told));
                }
                Poll::Ready(Ok(())) => self.call(),
            }
        }
        let Stage::Called(future) = &mut self.stage else {
            return Poll::Pending;
        };
        let waker = self.wakes.waker();
        let answer = future.as_mut().poll(&mut Context::from_waker(&waker));
        if answer.is_ready() {
            // As a caller that awaits does.
            self.stage = Stage::Done;
        }
        answer.map_err(|error| Told::new(error, self.is_refusal))
    }

    /// Whether the service was called.
    pub(crate) fn was_called(&self) -> bool {
        self.called
    }

    pub(crate) fn request(&self) -> u64 {
        self.request
    }

    pub(crate) fn service(&self) -> &S {
        &self.service
    }

    /// The service again, with the future dropped.
    pub(crate) fn into_service(self) -> S {
        drop(self.stage);
        self.service
    }
}
