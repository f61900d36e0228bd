use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use axiomatic_core::time::Clock;
use axiomatic_core::{Classify, Plain, Refusable, Rejected};
use pin_project::{pin_project, pinned_drop};
use tokio::task::coop::unconstrained;
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

    #[inline(always)]
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

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        // First and by itself: the compiler makes a jump table of the rest.
        let StateProjection::Limited(call) = state.as_mut().project() else {
            return state.poll_otherwise(cx);
        };
        let call = call.project();
        if let Poll::Ready(result) = call.inner.poll(cx) {
            let result = result.map_err(Into::into);
            if call.permit.is_observed() {
                let outcome = call.binding.classify(result.as_ref());
                call.permit.settle(Clock::Precise.now(), outcome);
            }
            return Poll::Ready(result);
        }
        // The answer still counts if it arrives with the last tick.
        ready!(call.timer.poll(call.permit, cx));
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

impl<F, B> State<F, B> {
    /// Of a call that has no limit, or is not under way.
    fn poll_otherwise<E, Res, Err>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Res, E>>
    where
        F: Future<Output = Result<Res, Err>>,
        Err: Into<E>,
        E: From<Rejected>,
    {
        match self.project() {
            StateProjection::Refused(rejected) => Poll::Ready(Err((*rejected).into())),
            StateProjection::Unlimited(inner) => inner.poll(cx).map_err(Into::into),
            StateProjection::Limited(_) | StateProjection::Elapsed => {
                panic!("polled after it was ready")
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
    /// Ready once, when the deadline has passed. The timer is set the first
    /// time that the call is pending.
    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, permit: &Permit, cx: &mut Context<'_>) -> Poll<()> {
        if let Timer::Unset = *self {
            let deadline = permit.deadline().instant();
            self.set(Timer::Set(sleep_until(deadline.into())));
        }
        let TimerProjection::Set(timer) = self.as_mut().project() else {
            return Poll::Pending;
        };
        // Without a budget: behind a call that spends the task's each time
        // that it is polled, the timer would never be asked.
        ready!(pin!(unconstrained(timer)).poll(cx));
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
