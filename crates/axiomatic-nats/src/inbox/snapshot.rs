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
    /// Messages that came, repeats included.
    pub received: u64,
    /// Messages of which the stream had delivered one more than once.
    pub redelivered: u64,
    /// Messages that were acknowledged after their handlers.
    pub acknowledged: u64,
    /// Messages that their handlers want again.
    pub again: u64,
    /// Messages that their handlers gave up.
    pub terminated: u64,
    /// Messages whose handlers failed.
    pub failed: u64,
    /// Handlers that were stopped because they took too long.
    pub overdue: u64,
    /// Handlers that were stopped because nobody knew whether their message was
    /// still ours.
    pub lost: u64,
    /// Messages that came when there was no room, or after the consumer was to
    /// stop, and were given back.
    pub given_back: u64,
    /// Answers to the server that did not get through, or were not confirmed:
    /// their messages come again.
    pub unanswered: u64,
    /// How often a handler was given more time.
    pub prolonged: u64,
    /// Messages in hand.
    pub in_hand: u64,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} received ({} again), {} acknowledged, {} wanted again, {} terminated, {} \
             failed, {} overdue, {} lost, {} given back, {} unanswered, {} prolonged, {} in hand",
            self.name.as_str(),
            self.received,
            self.redelivered,
            self.acknowledged,
            self.again,
            self.terminated,
            self.failed,
            self.overdue,
            self.lost,
            self.given_back,
            self.unanswered,
            self.prolonged,
            self.in_hand,
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
            received: 0,
            redelivered: 0,
            acknowledged: 0,
            again: 0,
            terminated: 0,
            failed: 0,
            overdue: 0,
            lost: 0,
            given_back: 0,
            unanswered: 0,
            prolonged: 0,
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
