//! What waits for time: a paused clock, a retry policy, a timeout.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axiomatic_contract::{Contract, Failure, Obligation, Request, Response, Violation};
use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
use tokio::time::Instant;
use tower::retry::Policy;
use tower_service::Service;

pub(crate) fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

pub(crate) fn broken<S>(contract: &Contract<'_, S>) -> Vec<Obligation>
where
    S: tower::Service<Request, Response = Response>,
    S::Error: Into<tower::BoxError> + 'static,
{
    let report = contract.check();
    println!("{report}");
    report.broken().map(Violation::obligation).collect()
}

/// Repeats what fails, twice, after a wait that is made for each.
#[derive(Clone)]
pub(crate) struct Thrice<W> {
    left: usize,
    wait: W,
}

impl<W> Thrice<W> {
    pub(crate) fn after(wait: W) -> Self {
        Thrice { left: 2, wait }
    }
}

impl<W, F> Policy<Request, Response, Failure> for Thrice<W>
where
    W: Fn() -> F,
    F: Future<Output = ()>,
{
    type Future = F;

    fn retry(&mut self, _: &mut Request, result: &mut Result<Response, Failure>) -> Option<F> {
        if result.is_ok() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some((self.wait)())
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// A timeout that looks at the clock whenever it is polled, and has no timer
/// that would get it polled.
#[derive(Clone)]
pub(crate) struct Timerless<S> {
    pub(crate) inner: S,
    pub(crate) limit: Duration,
}

impl<S> Service<Request> for Timerless<S>
where
    S: Service<Request, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TimerlessFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        TimerlessFuture {
            inner: Box::pin(self.inner.call(request)),
            until: Instant::now() + self.limit,
        }
    }
}

pub(crate) struct TimerlessFuture<F> {
    inner: Pin<Box<F>>,
    until: Instant,
}

impl<F, T, E> Future for TimerlessFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = self.inner.as_mut().poll(cx) {
            return Poll::Ready(answer.map_err(Into::into));
        }
        if Instant::now() < self.until {
            return Poll::Pending;
        }
        Poll::Ready(Err(Rejected::new(Pattern::Timeout, Reason::Elapsed).into()))
    }
}
