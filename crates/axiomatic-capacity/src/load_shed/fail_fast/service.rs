use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::task::{Context, Poll, ready};

use axiomatic_core::time::Clock;
use axiomatic_core::{Reason, Refusable};
use tower_service::Service;

use super::timer::Timer;
use super::{FailFast, ResponseFuture, Verdict, Wait};

/// A service that refuses calls once the one behind it has not been ready for
/// too long.
///
/// Ready means that the inner service is, or that a call now would be refused.
/// In the second case the inner service has been replaced by a clone of itself:
/// what the old one waited for goes to somebody else, and nothing will wake
/// this task for it.
pub struct FailFastService<S, E> {
    inner: S,
    readiness: Readiness,
    wait: Wait,
    timer: Timer,
    fail_fast: FailFast,
    error: PhantomData<fn() -> E>,
}

/// What the last `poll_ready` found.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Readiness {
    Unasked,
    Inner,
    /// The inner service was not ready for too long, and has been replaced.
    Failing,
}

impl<S, E> FailFastService<S, E> {
    pub(super) fn new(inner: S, fail_fast: FailFast) -> Self {
        FailFastService {
            inner,
            readiness: Readiness::Unasked,
            wait: Wait::default(),
            timer: Timer::default(),
            fail_fast,
            error: PhantomData,
        }
    }

    /// What it goes by.
    pub fn fail_fast(&self) -> &FailFast {
        &self.fail_fast
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service is not ready: until when that is borne.
    #[inline]
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // ## Failing => Failing
        if self.fail_fast.refuses_unready(&mut self.wait) {
            self.timer.disarm();
            return Poll::Ready(());
        }
        self.poll_waiting(cx)
    }

    #[inline(never)]
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = Clock::Precise.now();
        loop {
            match self.fail_fast.found_unready(&mut self.wait, now) {
                // ## Waiting => Waiting
                Verdict::Wait(until) => {
                    let Some(until) = until else {
                        self.timer.disarm();
                        return Poll::Pending;
                    };
                    ready!(self.timer.poll(until, cx));
                    // It has rung, so it is as late, whatever the clock says.
                    now = Clock::Precise.now().max(until);
                }
                // ## Waiting => Failing
                Verdict::Refuse => {
                    self.timer.disarm();
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl<S, E, Req> Service<Req> for FailFastService<S, E>
where
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: Refusable,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.readiness = Readiness::Unasked;
        match self.inner.poll_ready(cx) {
            // ## Any state => Passing
            //
            // Found by one, it holds for all.
            Poll::Ready(Ok(())) => {
                self.fail_fast.found_ready(&mut self.wait);
                self.timer.disarm();
                self.readiness = Readiness::Inner;
                Poll::Ready(Ok(()))
            }

            // ## Any state => the same
            //
            // It is broken, which is no sign that others find it ready. But
            // nobody waits for it here any more.
            Poll::Ready(Err(error)) => {
                self.wait = Wait::default();
                self.timer.disarm();
                Poll::Ready(Err(error.into()))
            }

            // ## Passing => Waiting; Waiting => Waiting or Failing; Failing => Failing
            Poll::Pending => {
                ready!(self.poll_patience(cx));
                // Here and not in `call`: a service that is ready and idle
                // keeps no place from those who could use it.
                self.inner = self.inner.clone();
                self.readiness = Readiness::Failing;
                Poll::Ready(Ok(()))
            }
        }
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        match mem::replace(&mut self.readiness, Readiness::Unasked) {
            Readiness::Inner => ResponseFuture::called(self.inner.call(request)),
            // That it may be ready by now does not make this instance ready.
            Readiness::Failing => {
                self.fail_fast.count_refused();
                ResponseFuture::refused(self.fail_fast.name(), Reason::Shed)
            }
            Readiness::Unasked => ResponseFuture::refused(self.fail_fast.name(), Reason::NotReady),
        }
    }
}

impl<S: Clone, E> Clone for FailFastService<S, E> {
    fn clone(&self) -> Self {
        // Readiness and waiting belong to the instance that was asked.
        FailFastService::new(self.inner.clone(), self.fail_fast.clone())
    }
}

impl<S: fmt::Debug, E> fmt::Debug for FailFastService<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailFastService")
            .field("inner", &self.inner)
            .field("fail_fast", &self.fail_fast)
            .finish_non_exhaustive()
    }
}
