//! The second attempt, from the moment at which it is prepared.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axiomatic_core::budget::Budget;
use axiomatic_core::context::Choice;
use axiomatic_core::repeat::Repeat;
use axiomatic_core::time::Instant;
use pin_project::pin_project;
use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::{Attempt, Call, Permit};

#[pin_project(project = SecondProjection, project_replace = SecondOwned)]
pub(super) enum Second<S: Service<Req>, Req, R, Bu: Budget> {
    /// There is none, and there will be none.
    Absent,
    /// It is sent when the timer rings, if the budget allows.
    Spare(Spare<S, Req, R>, #[pin] Timer),
    /// It is allowed, and its instance becomes ready.
    Readying(Spare<S, Req, R>, Permit<Bu>),
    UnderWay(#[pin] S::Future, Attempt<Bu>),
}

/// What a second attempt takes.
pub(super) struct Spare<S, Req, R> {
    pub(super) service: S,
    pub(super) request: Req,
    pub(super) rule: R,
    /// Where a balancer says which endpoint it chose for the first.
    pub(super) choice: Option<Choice>,
    /// When the first is slow.
    pub(super) at: Instant,
}

#[pin_project(project = TimerProjection)]
pub(super) enum Timer {
    /// Most calls are never pending, and then none is made.
    Unset,
    Set(#[pin] Sleep),
}

impl<S: Service<Req>, Req, R, Bu: Budget> Second<S, Req, R, Bu> {
    /// Ready when the timer has rung, which is set if it is not.
    #[inline(always)]
    pub(super) fn poll_timer(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let SecondProjection::Spare(spare, mut timer) = self.project() else {
            return Poll::Pending;
        };
        if let Timer::Unset = *timer {
            timer.set(Timer::Set(sleep_until(spare.at.into())));
        }
        match timer.project() {
            // Outside of tokio's cooperative budget, which the first attempt
            // may have spent before.
            TimerProjection::Set(timer) => pin!(unconstrained(timer)).poll(cx),
            TimerProjection::Unset => Poll::Pending,
        }
    }

    /// Drops it, as it loses or nobody waits for it any more.
    #[cold]
    pub(super) fn lose(self: Pin<&mut Self>, call: &Call<Bu>) {
        if let SecondOwned::UnderWay(_, attempt) = self.project_replace(Second::Absent) {
            attempt.lost(call.core().now());
        }
    }

    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Second::Absent => "absent",
            Second::Spare(..) => "spare",
            Second::Readying(..) => "readying",
            Second::UnderWay(..) => "under way",
        }
    }
}

impl<S, Req, R: Repeat<Req>> Spare<S, Req, R> {
    /// Whether its request can be sent still.
    pub(super) fn is_intact(&self) -> bool {
        self.rule.is_intact(&self.request)
    }
}
