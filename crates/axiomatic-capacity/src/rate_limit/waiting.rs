use std::future::Future;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use axiomatic_core::time::Instant;
use axiomatic_core::{Reason, Rejected};
use pin_project::{pin_project, pinned_drop};
use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep_until};

use super::WaitingGate;

/// A place in the line: ready when it is due. Dropped before it was
/// [used](Waiting::used), it is given up.
#[pin_project(PinnedDrop)]
pub(super) struct Waiting<G: WaitingGate<Req>, Req> {
    gate: G,
    /// None once it is used.
    taken: Option<G::Taken>,
    /// None once it has passed.
    due: Option<Instant>,
    #[pin]
    timer: Option<Sleep>,
}

impl<G: WaitingGate<Req> + Clone, Req> Waiting<G, Req> {
    /// A place for a request, or the refusal at once.
    #[inline]
    pub(super) fn begin(
        gate: &G,
        request: &Req,
        until: Option<Instant>,
        cost: NonZeroU32,
    ) -> Result<Self, Rejected> {
        let now = gate.clock().now();
        if until.is_some_and(|until| until <= now) {
            return Err(gate.turn_away(Reason::Expired));
        }
        let (taken, due) = gate.reserve(request, now, until, cost)?;
        Ok(Waiting {
            gate: gate.clone(),
            taken: Some(taken),
            due: (due > now).then_some(due),
            timer: None,
        })
    }
}

impl<G: WaitingGate<Req>, Req> Waiting<G, Req> {
    /// The call is made: nothing is given back.
    pub(super) fn used(self: Pin<&mut Self>) {
        *self.project().taken = None;
    }
}

impl<G: WaitingGate<Req>, Req> Future for Waiting<G, Req> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(due) = *this.due else {
            return Poll::Ready(());
        };
        if this.timer.is_none() {
            // In the task that it wakes. Its ticks are milliseconds: it is
            // asked to ring after the instant rather than before it.
            this.timer.set(Some(sleep_until(due.into())));
        }
        if let Some(timer) = this.timer.as_mut().as_pin_mut() {
            // Without a budget, which a task may have spent: or the timer would
            // never be asked.
            ready!(pin!(unconstrained(timer)).poll(cx));
        }
        this.timer.set(None);
        *this.due = None;
        Poll::Ready(())
    }
}

#[pinned_drop]
impl<G: WaitingGate<Req>, Req> PinnedDrop for Waiting<G, Req> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some(taken) = this.taken.take() {
            this.gate.cancel(taken, this.gate.clock().now());
        }
    }
}
