//! What happened to messages, and whether it is what an outbox promises.
//!
//! A harness writes down [`Event`]s: in memory, or into a [`Log`], a file that
//! processes append to until they are killed. [`check`] holds the whole of it
//! to the promise:
//!
//! | Promise | Otherwise |
//! |---|---|
//! | what is committed is published | [`Violation::Lost`] |
//! | what is not committed is not | [`Violation::Phantom`] |
//! | per key in the order of the commits, each message counted where it comes first | [`Violation::Reordered`] |
//! | twice only in a window that is documented | [`Violation::Duplicated`] |
//! | its effect happens once | [`Violation::Effects`] |
//!
//! # What to record
//!
//! - [`Event::Published`] by the broker that the test stands in for, when it
//!   takes the message and before it confirms: its place in the history is the
//!   message's place in the order. So are those of [`Event::Unknown`],
//!   [`Event::Crash`] and [`Event::LeaseLost`] their places.
//! - [`Event::Committed`] and [`Event::Effect`] from the databases, when all is
//!   over. A process that dies between a commit and the line that says so would
//!   otherwise make a message look like a phantom. Where they stand says
//!   nothing.
//!
//! # The windows
//!
//! A message may be published again
//! - under another epoch, if a process crashed since: it had published, and
//!   what it had heard of it was not yet settled;
//! - under another epoch, if a lease was lost before: whoever lost it may
//!   still publish what it has in flight, before or after the next holder does;
//! - as often as its confirmation was lost: nobody knew whether it had been
//!   published.
//!
//! Whose process crashed and which lease was lost the history does not say, so
//! a test that wants to be strict ends few of them.
//!
//! ```
//! use axiomatic_coordination::MessageId;
//! use axiomatic_coordination::outbox::Epoch;
//! use axiomatic_coordination::outbox::history::{Consumer, Event, History, Violation, check};
//!
//! let [first, second] = [1, 2].map(MessageId::from_u128);
//! let history = History::from_iter([
//!     Event::Published { id: second, epoch: Epoch(1) },
//!     Event::Published { id: first, epoch: Epoch(1) },
//!     Event::Committed { id: first, key: Some("order-17".into()), order: 1 },
//!     Event::Committed { id: second, key: Some("order-17".into()), order: 2 },
//! ]);
//! let late = Violation::Reordered { id: first, behind: second };
//! assert_eq!(check(&history, Consumer::None), [late]);
//! ```

mod checks;
mod lines;
#[cfg(test)]
mod tests;

use std::fmt;

use super::record::Epoch;
use crate::MessageId;

pub use checks::check;
pub use lines::Log;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transaction committed that had enqueued the message.
    Committed {
        /// The message.
        id: MessageId,
        /// What it is in order with; with its tenant in it, if it has one.
        key: Option<Box<str>>,
        /// Its place among the messages of the key: they grow with the
        /// commits.
        order: u64,
    },
    /// A transaction that had enqueued the message was rolled back.
    RolledBack {
        /// The message.
        id: MessageId,
    },
    /// The broker took the message.
    Published {
        /// The message.
        id: MessageId,
        /// The epoch of the lease under which it was sent.
        epoch: Epoch,
    },
    /// The relay was told that nobody knows whether the message was published.
    Unknown {
        /// The message.
        id: MessageId,
    },
    /// A consumer's database changed because of the message.
    Effect {
        /// The message.
        id: MessageId,
    },
    /// The message was found among the dead letters: nobody waits for it.
    Buried {
        /// The message.
        id: MessageId,
    },
    /// A process ended in the middle of something.
    Crash,
    /// A lease expired while its holder was at work.
    LeaseLost,
}

/// What happened, in the order in which it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    events: Vec<Event>,
}

impl History {
    /// Nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// This happened next.
    pub fn record(&mut self, event: Event) {
        self.events.push(event);
    }

    /// All of it.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl FromIterator<Event> for History {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        History {
            events: events.into_iter().collect(),
        }
    }
}

impl Extend<Event> for History {
    fn extend<I: IntoIterator<Item = Event>>(&mut self, events: I) {
        self.events.extend(events);
    }
}

/// Whether somebody consumed what was published.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// Nobody did: there are no effects to count.
    None,
    /// Somebody did, and each message shall have had its effect once.
    Once,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A message was committed, and never published.
    Lost {
        /// The message.
        id: MessageId,
    },
    /// A message was published that nobody committed.
    Phantom {
        /// The message.
        id: MessageId,
    },
    /// A message was published after one of its key that was committed later.
    Reordered {
        /// The message.
        id: MessageId,
        /// The one that should have waited for it.
        behind: MessageId,
    },
    /// A message was published again, and there was no reason for it.
    Duplicated {
        /// The message.
        id: MessageId,
        /// The epoch under which that was.
        epoch: Epoch,
    },
    /// A message did not have its effect once; or not never, if nobody
    /// committed it.
    Effects {
        /// The message.
        id: MessageId,
        /// How often it had.
        count: usize,
    },
    /// The history says two things of a message that cannot both be: two
    /// commits, a commit and a rollback, the place of another. The harness is
    /// wrong, not the outbox.
    Contradicted {
        /// The message.
        id: MessageId,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Lost { id } => write!(f, "{id} was committed and never published"),
            Violation::Phantom { id } => write!(f, "{id} was published and never committed"),
            Violation::Reordered { id, behind } => {
                write!(f, "{id} came after {behind}, which was committed later")
            }
            Violation::Duplicated { id, epoch } => write!(
                f,
                "{id} was published again under epoch {epoch}, outside of every window"
            ),
            Violation::Effects { id, count } => write!(f, "{id} had its effect {count} times"),
            Violation::Contradicted { id } => {
                write!(f, "the history contradicts itself about {id}")
            }
        }
    }
}
