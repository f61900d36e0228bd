use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axiomatic_core::time::Instant;
use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep_until};

/// A timer of tokio's in a service, made when something is first waited for.
///
/// It stands in a box because it must not be moved, and a service may be: or
/// every stack with this layer would be `!Unpin`, and nobody could move it into
/// a task. Between waits the box is kept, and nothing is armed: a timer
/// that nobody waits for would wake its task for nothing.
#[derive(Debug, Default)]
pub(super) struct Timer {
    place: Option<Pin<Box<Option<Sleep>>>>,
    until: Option<Instant>,
}

impl Timer {
    /// Ready once it is this late.
    pub(super) fn poll(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let place = self.place.get_or_insert_with(|| Box::pin(None));
        if self.until != Some(until) {
            match place.as_mut().as_pin_mut() {
                Some(armed) => armed.reset(until.into()),
                None => place.set(Some(sleep_until(until.into()))),
            }
            self.until = Some(until);
        }
        match place.as_mut().as_pin_mut() {
            // Without a budget, which a task may have spent: or the timer would
            // never be asked.
            Some(armed) => pin!(unconstrained(armed)).poll(cx),
            None => unreachable!("it was armed"),
        }
    }

    pub(super) fn disarm(&mut self) {
        if self.until.take().is_some()
            && let Some(place) = &mut self.place
        {
            place.set(None);
        }
    }
}
