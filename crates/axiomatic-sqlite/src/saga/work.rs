//! Work that is done in the transaction that appends what came of it.

use std::error::Error;
use std::fmt;

use axiomatic_coordination::saga::{Change, Fault};
use axiomatic_coordination::{StoreError, Why};

use crate::error::why;
use crate::transaction::Transaction;

/// The work of a local step: done in one transaction with the lines that say
/// so, and so exactly once.
pub struct SagaWork(Box<Work>);

type Work = dyn FnOnce(&mut Transaction<'_>) -> Result<Change, Fault> + Send;

impl SagaWork {
    /// What a closure does, which returns what is to be appended. If it
    /// returns a fault, or panics, all that it did is undone.
    ///
    /// It is executed by the [`Writer`](crate::Writer), on its thread: what
    /// [`run`](crate::Writer::run) says of closures is true of it.
    pub fn new<F>(work: F) -> Self
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<Change, Fault> + Send + 'static,
    {
        SagaWork(Box::new(work))
    }

    pub(super) fn execute(self, tx: &mut Transaction<'_>) -> Result<Change, Fault> {
        (self.0)(tx)
    }
}

impl fmt::Debug for SagaWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaWork").finish_non_exhaustive()
    }
}

/// Why work was not done, or was undone.
#[derive(Debug)]
pub(crate) enum Undone {
    /// It said so.
    Faulted(Fault),
    Lost,
    Conflict,
    Store(rusqlite::Error),
}

impl Undone {
    /// What SQLite or the disk had against it, if that is known.
    pub(crate) fn why(&self) -> Option<Why> {
        match self {
            Undone::Faulted(Fault::Failed(error) | Fault::Unknown(error)) => {
                let error: &(dyn Error + 'static) = &**error;
                let of_store = || error.downcast_ref().map(StoreError::why);
                error.downcast_ref().map(why).or_else(of_store)
            }
            Undone::Store(error) => Some(why(error)),
            Undone::Lost | Undone::Conflict => None,
        }
    }
}

impl From<rusqlite::Error> for Undone {
    fn from(error: rusqlite::Error) -> Self {
        Undone::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// The others of the group are told why.
    #[test]
    fn why_the_disk_ended_a_transaction_is_known_from_the_fault() {
        let full = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        for undone in [
            Undone::Store(full()),
            Undone::Faulted(full().into()),
            Undone::Faulted(Fault::failed(full())),
            Undone::Faulted(crate::store_error(full()).into()),
        ] {
            assert_eq!(undone.why(), Some(Why::NoRoom), "{undone:?}");
        }
        assert_eq!(Undone::Faulted(Fault::failed("declined")).why(), None);
        assert_eq!(Undone::Lost.why(), None);
    }
}
