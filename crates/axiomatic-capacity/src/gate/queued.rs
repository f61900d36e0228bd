use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use axiomatic_core::time::Instant;
use axiomatic_core::{Carrier, Classify, Complete, Refusable, Rejected};
use pin_project::pin_project;
use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::future::Call;
use super::{Admission, Ask, Gate, Meter, OwnedPermit, Waiting};

/// A service behind a limit, whose calls wait for a slot.
///
/// It is always ready: what waits is the call, in the order of the queue and
/// with the deadline and the priority of its request, and not the instance. So
/// nothing that was readied waits, and a call readies a clone of its own once
/// it has its slot.
pub struct QueuedService<S, E, B, G> {
    inner: S,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B, G> QueuedService<S, E, B, G> {
    pub(super) fn new(inner: S, gate: G, binding: B) -> Self {
        QueuedService {
            inner,
            gate,
            binding,
            error: PhantomData,
        }
    }

    /// What has the slots and the queue.
    pub fn gate(&self) -> &G {
        &self.gate
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, G, Req> Service<Req> for QueuedService<S, E, B, G>
where
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E>,
    B: Complete<OwnedPermit<G::Meter>, S::Response> + Clone,
    G: Gate<Req>,
{
    type Response = B::Response;
    type Error = E;
    type Future = QueuedResponseFuture<S, Req, E, B, G::Meter>;

    #[inline(always)]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let ask = Ask::of(&self.binding.context(&request));
        let state = match self.gate.admit_or_wait(&request, ask) {
            Ok(Admission::Admitted(permit)) => State::Readying(Some(permit)),
            Ok(Admission::Waiting(waiting)) => State::Waiting(waiting, Timer::Unset),
            Err(rejected) => State::Refused(rejected),
        };
        QueuedResponseFuture {
            state,
            held: Some(Kept {
                service: self.inner.clone(),
                request,
                binding: self.binding.clone(),
            }),
            error: PhantomData,
        }
    }
}

/// The response of a [`QueuedService`]: a wait for a slot, then for an instance
/// that is ready, then the inner call.
#[pin_project]
pub struct QueuedResponseFuture<S: Service<Req>, Req, E, B, M: Meter> {
    /// Dropped before the state, which has the slot: an instance that was
    /// readied may hold what the slot is for.
    held: Option<Kept<S, Req, B>>,
    #[pin]
    state: State<S::Future, B, M>,
    error: PhantomData<fn() -> E>,
}

/// What the inner call is made of.
struct Kept<S, Req, B> {
    service: S,
    request: Req,
    binding: B,
}

#[pin_project(project = StateProjection)]
enum State<F, B, M: Meter> {
    Refused(Rejected),
    Waiting(Waiting<M>, #[pin] Timer),
    /// With its slot, until the instance is ready.
    Readying(Option<OwnedPermit<M>>),
    Called(#[pin] Call<F, B, M>),
    Done,
}

#[pin_project(project = TimerProjection)]
enum Timer {
    /// Until it is first asked: it is made in the task that it wakes.
    Unset,
    Set(#[pin] Sleep, Instant),
}

impl Timer {
    /// It rings at the time that is returned, and is unset.
    fn poll<M: Meter>(
        mut self: Pin<&mut Self>,
        waiting: &Waiting<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Instant> {
        if let Timer::Unset = *self {
            let then = waiting.next_look();
            self.set(Timer::Set(sleep_until(then.into()), then));
        }
        let TimerProjection::Set(timer, then) = self.as_mut().project() else {
            unreachable!("it was set");
        };
        let then = *then;
        // Without a budget, which a task may have spent: or the timer would
        // never be asked.
        ready!(pin!(unconstrained(timer)).poll(cx));
        self.set(Timer::Unset);
        Poll::Ready(then)
    }
}

impl<S, Req, E, B, M> Future for QueuedResponseFuture<S, Req, E, B, M>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    M: Meter,
    B: Classify<S::Response, E> + Complete<OwnedPermit<M>, S::Response>,
{
    type Output = Result<B::Response, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Called(call) => return call.poll(cx),
                StateProjection::Readying(permit) => {
                    let Some(kept) = this.held else {
                        unreachable!("it is taken with the permit");
                    };
                    if let Err(error) = ready!(kept.service.poll_ready(cx)) {
                        *this.held = None;
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error.into()));
                    }
                    let (Some(permit), Some(mut kept)) = (permit.take(), this.held.take()) else {
                        unreachable!("they are there until the call is made");
                    };
                    let inner = kept.service.call(kept.request);
                    let call = Call::new(inner, permit, kept.binding);
                    this.state.set(State::Called(call));
                }
                StateProjection::Waiting(waiting, timer) => {
                    let next = ready!(wait(waiting, timer, cx));
                    this.state.set(match next {
                        Ok(permit) => State::Readying(Some(permit)),
                        Err(rejected) => State::Refused(rejected),
                    });
                }
                StateProjection::Refused(rejected) => {
                    let error = (*rejected).into();
                    *this.held = None;
                    this.state.set(State::Done);
                    return Poll::Ready(Err(error));
                }
                StateProjection::Done => panic!("polled after it was ready"),
            }
        }
    }
}

/// A slot, or the refusal of who waited too long. Elsewhere, so that the `poll`
/// of a call that need not wait is small.
#[inline(never)]
fn wait<M: Meter>(
    waiting: &mut Waiting<M>,
    mut timer: Pin<&mut Timer>,
    cx: &mut Context<'_>,
) -> Poll<Result<OwnedPermit<M>, Rejected>> {
    loop {
        if let Poll::Ready(settled) = Pin::new(&mut *waiting).poll(cx) {
            return Poll::Ready(settled);
        }
        let then = ready!(timer.as_mut().poll(waiting, cx));
        if then >= waiting.until() {
            return match waiting.too_late() {
                Some(rejected) => Poll::Ready(Err(rejected)),
                None => unreachable!("it was pending"),
            };
        }
        // Overdue, if nothing has happened since the timer was set; and if it
        // is not, then it will be later than this, and not for ever.
        waiting.look(then);
    }
}

impl<S: Clone, E, B: Clone, G: Clone> Clone for QueuedService<S, E, B, G> {
    fn clone(&self) -> Self {
        QueuedService::new(self.inner.clone(), self.gate.clone(), self.binding.clone())
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, G: fmt::Debug> fmt::Debug for QueuedService<S, E, B, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedService")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

impl<S: Service<Req>, Req, E, B, M: Meter> fmt::Debug for QueuedResponseFuture<S, Req, E, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused(_) => "refused",
            State::Waiting(..) => "waiting",
            State::Readying(_) => "readying",
            State::Called(_) => "called",
            State::Done => "done",
        };
        f.debug_struct("QueuedResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
