//! Why a message was not enqueued.

use std::fmt;

use axiomatic_coordination::StoreError;

/// Why messages were not enqueued.
#[derive(Debug)]
#[non_exhaustive]
pub enum EnqueueError {
    /// A body is longer than [allowed](super::Options::largest_body).
    TooLarge {
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be.
        at_most: usize,
    },
    /// A name has a NUL, which PostgreSQL's texts cannot hold.
    Nul {
        /// Of what: `topic`, `key`, `tenant`, `header` or `trace`.
        what: &'static str,
    },
    /// As many messages wait as [may](super::Options::backlog).
    Full {
        /// How many waited when they were counted last, with those that this
        /// process has enqueued since.
        backlog: u64,
        /// How many may.
        cap: u64,
    },
    /// The statement failed: PostgreSQL has aborted the transaction.
    Store(StoreError),
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnqueueError::TooLarge { bytes, at_most } => write!(
                f,
                "a body of {bytes} bytes is too large for the outbox, which takes {at_most}"
            ),
            EnqueueError::Nul { what } => {
                write!(f, "a {what} has a NUL, which PostgreSQL cannot store")
            }
            EnqueueError::Full { backlog, cap } => {
                write!(
                    f,
                    "the outbox is full: {backlog} messages wait, and {cap} may"
                )
            }
            EnqueueError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EnqueueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EnqueueError::Store(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl From<StoreError> for EnqueueError {
    fn from(error: StoreError) -> Self {
        EnqueueError::Store(error)
    }
}
