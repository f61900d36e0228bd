use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axiomatic_core::Rejected;
use axiomatic_core::time::Instant;

use super::core::HeldCore;
use super::{Meter, OwnedPermit};
use crate::queue::{Ticket, Waiter};

/// A place in the queue: a future of the permit, or of the refusal.
///
/// It has no timer of its own, so that it needs no runtime: who has waited too
/// long is told so when it is next, or by [`give_up`](Waiting::give_up), and who
/// is overdue in an overloaded queue when somebody comes or goes. Dropped, it
/// leaves the queue, and what it was given meanwhile goes to the next.
#[must_use = "a place in the queue is given up when it is dropped"]
pub struct Waiting<M: Meter> {
    /// None once it is settled.
    place: Option<Place<M>>,
    waiter: Waiter,
    /// The queue knows whom to wake.
    was_polled: bool,
}

/// A place, and where it is.
struct Place<M: Meter> {
    core: HeldCore<M>,
    ticket: Ticket,
}

impl<M: Meter> Waiting<M> {
    pub(crate) fn new(core: HeldCore<M>, ticket: Ticket, waiter: Waiter) -> Self {
        Waiting {
            place: Some(Place { core, ticket }),
            waiter,
            was_polled: false,
        }
    }

    /// Until when it waits.
    pub fn until(&self) -> Instant {
        self.waiter.until
    }

    /// Leaves the queue, because it is too late; none, if it was told already
    /// what became of it.
    pub fn give_up(mut self) -> Option<Rejected> {
        self.too_late()
    }

    /// When to [look](Waiting::look), for who has a timer: then it is overdue,
    /// if nobody comes or goes before, or its time is over. It may be later by
    /// then, and never earlier.
    pub fn next_look(&self) -> Instant {
        let place = self.place.as_ref();
        let overdue = place.and_then(|it| it.core.slots.overdue_from(&it.ticket));
        overdue.map_or(self.waiter.until, |overdue| overdue.min(self.waiter.until))
    }

    /// Tells those who are overdue at `now`, perhaps also this one, which then
    /// is ready. It does not [give up](Waiting::give_up) for who has waited as
    /// long as it may.
    pub fn look(&self, now: Instant) {
        if let Some(Place { core, .. }) = &self.place {
            core.slots.look_for_overdue(now);
        }
    }

    pub(crate) fn too_late(&mut self) -> Option<Rejected> {
        let Place { core, ticket } = self.place.take()?;
        core.slots.leave(ticket);
        Some(core.refuse(self.waiter.too_late))
    }
}

impl<M: Meter> Future for Waiting<M> {
    type Output = Result<OwnedPermit<M>, Rejected>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(Place { core, ticket }) = &this.place else {
            panic!("polled after it was ready");
        };
        let was_polled = std::mem::replace(&mut this.was_polled, true);
        let Poll::Ready(settled) = core.slots.poll(ticket, was_polled, cx) else {
            return Poll::Pending;
        };
        // Its reference is the permit's from now on.
        let Some(Place { core, .. }) = this.place.take() else {
            unreachable!("it was looked at");
        };
        Poll::Ready(match settled {
            Ok(taken) => core
                .granted(taken, &this.waiter)
                .map(|token| OwnedPermit::begin(core, token)),
            Err(reason) => Err(core.refuse(reason)),
        })
    }
}

impl<M: Meter> Drop for Waiting<M> {
    fn drop(&mut self) {
        if let Some(Place { core, ticket }) = self.place.take() {
            core.slots.leave(ticket);
            // It is over, and was not served.
            core.reports.turned_away();
        }
    }
}

impl<M: Meter> fmt::Debug for Waiting<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("is_settled", &self.place.is_none())
            .field("until", &self.waiter.until)
            .finish_non_exhaustive()
    }
}
