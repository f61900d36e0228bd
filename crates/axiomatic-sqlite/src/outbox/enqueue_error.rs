//! Why a message was not enqueued.

use std::fmt;

use axiomatic_coordination::StoreError;

/// Why a message was not enqueued.
#[derive(Debug)]
pub enum EnqueueError {
    /// Its body is longer than [allowed](crate::Options::largest_body).
    TooLarge {
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be.
        at_most: usize,
    },
    /// As many messages wait as [may](crate::Options::backlog).
    Full {
        /// How many wait, those of this transaction included.
        backlog: u64,
        /// How many may.
        cap: u64,
    },
    /// The store could not say or write it.
    Store(StoreError),
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnqueueError::TooLarge { bytes, at_most } => {
                write!(
                    f,
                    "a body of {bytes} bytes is too large for the outbox, which takes {at_most}"
                )
            }
            EnqueueError::Full { backlog, cap } => {
                write!(
                    f,
                    "the outbox is full: {backlog} messages wait, and {cap} may"
                )
            }
            EnqueueError::Store(error) => fmt::Display::fmt(error, f),
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
