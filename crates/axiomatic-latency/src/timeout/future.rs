use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::time::Clock;
use axiomatic_core::{Classify, Plain, Refusable, Rejected};
use pin_project::{pin_project, pinned_drop};
use tokio::time::{Sleep, sleep_until};

use super::Permit;

/// The response of a [`TimeoutService`](super::TimeoutService): a refusal, or
/// the inner call with the time it has.
#[pin_project]
pub struct ResponseFuture<F, E, B = Plain> {
    #[pin]
    state: State<F, B>,
    error: PhantomData<fn() -> E>,
}

#[pin_project(project = StateProjection)]
enum State<F, B> {
    Refused(Rejected),
    Unlimited(#[pin] F),
    Limited(#[pin] Call<F, B>),
    Elapsed,
}

/// A call under way.
#[pin_project(PinnedDrop)]
struct Call<F, B> {
    #[pin]
    inner: F,
    permit: Permit,
    binding: B,
    #[pin]
    timer: Timer,
}

#[pin_project(project = TimerProjection)]
enum Timer {
    /// Most calls are never pending, and then none is made.
    Unset,
    Set(#[pin] Sleep),
    /// None is needed, or it has rung in shadow.
    Unneeded,
}

impl<F, E, B> ResponseFuture<F, E, B> {
    pub(super) fn refused(rejected: Rejected) -> Self {
        Self::new(State::Refused(rejected))
    }

    pub(super) fn unlimited(inner: F) -> Self {
        Self::new(State::Unlimited(inner))
    }

    #[inline]
    pub(super) fn limited(inner: F, permit: Permit, binding: B) -> Self {
        let timer = if permit.needs_timer() {
            Timer::Unset
        } else {
            Timer::Unneeded
        };
        Self::new(State::Limited(Call {
            inner,
            permit,
            binding,
            timer,
        }))
    }

    #[inline]
    fn new(state: State<F, B>) -> Self {
        ResponseFuture {
            state,
            error: PhantomData,
        }
    }
}

impl<F, E, B, Res, Err> Future for ResponseFuture<F, E, B>
where
    F: Future<Output = Result<Res, Err>>,
    Err: Into<E>,
    E: Refusable,
    B: Classify<Res, E>,
{
    type Output = Result<Res, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let call = match state.as_mut().project() {
            StateProjection::Refused(rejected) => return Poll::Ready(Err((*rejected).into())),
            StateProjection::Unlimited(inner) => return inner.poll(cx).map_err(Into::into),
            StateProjection::Limited(call) => call.project(),
            StateProjection::Elapsed => panic!("polled after it was ready"),
        };
        // A timer that is set goes first: polled after a call that spends
        // tokio's cooperative budget each time, it would never ring. The
        // answer still counts if it arrives with the last tick.
        let mut timer = call.timer;
        let mut has_rung = timer.as_mut().poll_if_set(cx).is_ready();
        if let Poll::Ready(result) = call.inner.poll(cx) {
            let result = result.map_err(Into::into);
            if call.permit.is_observed() {
                let outcome = call.binding.classify(result.as_ref());
                call.permit.settle(Clock::Precise.now(), outcome);
            }
            return Poll::Ready(result);
        }
        if timer.as_mut().set_if_unset(call.permit) {
            has_rung = timer.poll_if_set(cx).is_ready();
        }
        if !has_rung {
            return Poll::Pending;
        }
        match call.permit.elapsed() {
            Ok(()) => Poll::Pending,
            Err(rejected) => {
                // Cancelled now, and not when the caller lets go of us.
                state.set(State::Elapsed);
                Poll::Ready(Err(rejected.into()))
            }
        }
    }
}

#[pinned_drop]
impl<F, B> PinnedDrop for Call<F, B> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        let call = self.project();
        if call.permit.is_observed() {
            call.permit.cut_short(Clock::Precise.now());
        }
    }
}

impl Timer {
    /// Sets it, the first time that the call is pending.
    #[inline]
    fn set_if_unset(mut self: Pin<&mut Self>, permit: &mut Permit) -> bool {
        if let TimerProjection::Unset = self.as_mut().project() {
            let deadline = permit.precise_deadline().instant();
            self.set(Timer::Set(sleep_until(deadline.into())));
            return true;
        }
        false
    }

    /// Ready once, when it is set and the deadline has passed.
    #[inline]
    fn poll_if_set(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(*self, Timer::Set(_)) {
            self.poll_set(cx)
        } else {
            Poll::Pending
        }
    }

    fn poll_set(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let TimerProjection::Set(sleep) = self.as_mut().project() {
            ready!(sleep.poll(cx));
        }
        self.set(Timer::Unneeded);
        Poll::Ready(())
    }
}

impl<F, E, B> fmt::Debug for ResponseFuture<F, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Refused(rejected) => rejected.fmt(f),
            State::Unlimited(_) => f.write_str("ResponseFuture(unlimited)"),
            State::Limited(call) => f.debug_tuple("ResponseFuture").field(&call.permit).finish(),
            State::Elapsed => f.write_str("ResponseFuture(elapsed)"),
        }
    }
}
