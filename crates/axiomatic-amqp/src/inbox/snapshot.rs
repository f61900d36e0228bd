//! What a consumer has done.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axiomatic_core::Name;

/// What a consumer has done since it was made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The consumer's name.
    pub name: Name,
    /// How often it has begun to consume: once, and after each loss.
    pub opened: u64,
    /// How often its channel was lost, or could not be had.
    pub interrupted: u64,
    /// Messages that came, repeats included.
    pub received: u64,
    /// Messages that may have come before.
    pub redelivered: u64,
    /// Messages that came for the last time before the queue gives them up.
    pub last_deliveries: u64,
    /// Messages that were acknowledged after their handlers: the server was
    /// told so, and it does not say whether it has heard.
    pub acknowledged: u64,
    /// Messages that their handlers want again.
    pub again: u64,
    /// Messages that their handlers gave up.
    pub terminated: u64,
    /// Messages whose handlers failed.
    pub failed: u64,
    /// Handlers that were stopped because they took too long.
    pub overdue: u64,
    /// Handlers that were stopped because their channel was lost, and their
    /// message with it.
    pub lost: u64,
    /// Messages that came after the consumer was to stop, or were not handled
    /// in the time that it had for that, and were given back.
    pub given_back: u64,
    /// Answers to the server that were lost with their channel: their messages
    /// come again.
    pub unanswered: u64,
    /// Messages in hand.
    pub in_hand: u64,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} received ({} again, {} for the last time), {} acknowledged, {} wanted again, \
             {} terminated, {} failed, {} overdue, {} lost, {} given back, {} unanswered, {} in \
             hand, opened {} times, {} interruptions",
            self.name.as_str(),
            self.received,
            self.redelivered,
            self.last_deliveries,
            self.acknowledged,
            self.again,
            self.terminated,
            self.failed,
            self.overdue,
            self.lost,
            self.given_back,
            self.unanswered,
            self.in_hand,
            self.opened,
            self.interrupted,
        )
    }
}

/// Counts for a [`Snapshot`].
#[derive(Clone, Debug)]
pub(super) struct Counts(Arc<Mutex<Snapshot>>);

impl Counts {
    pub(super) fn new(name: Name) -> Self {
        Counts(Arc::new(Mutex::new(Snapshot {
            name,
            opened: 0,
            interrupted: 0,
            received: 0,
            redelivered: 0,
            last_deliveries: 0,
            acknowledged: 0,
            again: 0,
            terminated: 0,
            failed: 0,
            overdue: 0,
            lost: 0,
            given_back: 0,
            unanswered: 0,
            in_hand: 0,
        })))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        // Whoever panicked had counted or had not: both are whole.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
