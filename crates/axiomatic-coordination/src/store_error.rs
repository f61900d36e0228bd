//! Why a store could not do what it was asked.

use std::error::Error;
use std::fmt;

use axiomatic_core::BoxError;

/// A store could not do what it was asked, or it is not known whether it has:
/// whoever gets this asks again, and every operation can be asked again.
#[derive(Debug)]
pub struct StoreError {
    why: Why,
    source: Option<BoxError>,
}

/// What kept a store from doing what it was asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// It does not answer: later it may.
    Unavailable,
    /// Another holds what is needed, for longer than one waits for it.
    Busy,
    /// There is no room: a disk, a quota.
    NoRoom,
    /// What it has stored is damaged, or is not what was stored.
    Corrupt,
    /// Its tables are of a release that this one does not understand, or the
    /// other way round.
    Incompatible,
    /// It was shut down.
    Closed,
    /// It refused the statement, and will refuse it again.
    Refused,
}

impl Why {
    /// Whether the same may succeed later with nothing repaired by hand.
    pub const fn is_transient(self) -> bool {
        matches!(self, Why::Unavailable | Why::Busy | Why::NoRoom)
    }

    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Unavailable => "unavailable",
            Why::Busy => "busy",
            Why::NoRoom => "no room",
            Why::Corrupt => "corrupt",
            Why::Incompatible => "incompatible",
            Why::Closed => "closed",
            Why::Refused => "refused",
        }
    }
}

impl StoreError {
    /// An error for this reason.
    pub fn new(why: Why) -> Self {
        StoreError { why, source: None }
    }

    /// With what the engine said.
    #[must_use]
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The reason.
    pub fn why(&self) -> Why {
        self.why
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::Unavailable => "the store does not answer",
            Why::Busy => "the store is held by others",
            Why::NoRoom => "the store has no room",
            Why::Corrupt => "what the store holds is damaged",
            Why::Incompatible => "the store's tables are of another release",
            Why::Closed => "the store was shut down",
            Why::Refused => "the store refused",
        })?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_deref()?)
    }
}
