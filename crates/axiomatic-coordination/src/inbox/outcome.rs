//! What an inbox answers.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::delivery::MalformedHeader;
use super::id::{Id, IdError};
use super::watermark::{Because, Gap};
use crate::{StoreError, Timestamp};

/// What became of a message. In both cases the caller commits, and then
/// acknowledges it to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "whether it was done now or before"]
pub enum Outcome<T> {
    /// It was handled, in this transaction.
    Done(T),
    /// It was handled before: nothing was done.
    Duplicate {
        /// When, by the database's clock.
        first_seen: Timestamp,
        /// The result that was kept, if one was.
        result: Option<Bytes>,
    },
}

impl<T> Outcome<T> {
    /// Whether it was handled before.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Outcome::Duplicate { .. })
    }

    /// With something else for what the work returned.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Done(done) => Outcome::Done(change(done)),
            Outcome::Duplicate { first_seen, result } => Outcome::Duplicate { first_seen, result },
        }
    }
}

impl Outcome<Bytes> {
    /// The result: of now, or of the first time. Nothing for a repeat of a
    /// message whose result was not kept.
    pub fn into_result(self) -> Option<Bytes> {
        match self {
            Outcome::Done(result) => Some(result),
            Outcome::Duplicate { result, .. } => result,
        }
    }
}

/// What became of a message whose key has an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rejected message is not acknowledged"]
pub struct Ordered {
    /// What became of it.
    pub fate: Fate,
    /// How many messages were handled in this transaction: this one, and
    /// stored ones that it let go.
    pub handled: usize,
    /// What is not waited for any longer.
    pub given_up: Vec<Gap>,
    /// It came behind a message with a greater number.
    pub is_late: bool,
    /// It was published by a relay that had lost its lease.
    pub is_from_a_zombie: bool,
}

/// What becomes of a message whose key has an order.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was handled: commit, then acknowledge.
    Done,
    /// It was handled before, is stored already, or was given up: commit, then
    /// acknowledge.
    Duplicate,
    /// It was stored, and will be handled behind what is missing: commit, then
    /// acknowledge.
    Held,
    /// It was not taken: commit, since when something is missing was written
    /// down, and have the broker deliver it again.
    Rejected {
        /// Why.
        because: Because,
        /// When it will be taken at the latest, if nothing comes before.
        retry_after: Duration,
    },
}

impl Fate {
    /// Whether the message is acknowledged once the transaction has committed.
    pub const fn is_acknowledged(self) -> bool {
        !matches!(self, Fate::Rejected { .. })
    }
}

/// Whether a message is handled at all.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[must_use = "a message in quarantine is not handled"]
pub enum Admission {
    /// It is. If its delivery may be a repeat, it is written down that this
    /// attempt has begun: commit before the work begins.
    Handle,
    /// It is in quarantine, since now or since before: commit, then
    /// acknowledge. An operator decides what becomes of it.
    Quarantined,
}

/// Why a message was not handled. What was done for it has to be rolled back,
/// and was, as far as the inbox has begun it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The message has no id that can be stored.
    Id(IdError),
    /// It is to be in order, and has a header that its outbox did not write.
    Header(MalformedHeader),
    /// It is to be in order, and has no key or no number.
    Unordered,
    /// The work failed: for this message, or for one that was stored, which
    /// then waits on.
    Work {
        /// What the work said.
        error: E,
        /// The message.
        id: Id,
    },
    /// The result is longer than the inbox keeps.
    ResultTooLong {
        /// Its bytes.
        bytes: usize,
        /// The most that are kept.
        at_most: usize,
    },
    /// The store could not.
    Store(StoreError),
}

impl<E> From<StoreError> for Error<E> {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}

impl<E> From<IdError> for Error<E> {
    fn from(error: IdError) -> Self {
        Error::Id(error)
    }
}

impl<E> From<MalformedHeader> for Error<E> {
    fn from(error: MalformedHeader) -> Self {
        Error::Header(error)
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Id(error) => error.fmt(f),
            Error::Header(error) => error.fmt(f),
            Error::Unordered => f.write_str("a message without a key and a number has no order"),
            Error::Work { error, id } => write!(f, "message {id} was not handled: {error}"),
            Error::ResultTooLong { bytes, at_most } => {
                write!(f, "a result of {bytes} bytes, of at most {at_most}")
            }
            Error::Store(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Id(error) => Some(error),
            Error::Header(error) => Some(error),
            Error::Work { error, .. } => Some(error),
            Error::Store(error) => Some(error),
            Error::Unordered | Error::ResultTooLong { .. } => None,
        }
    }
}
