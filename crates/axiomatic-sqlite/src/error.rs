//! What SQLite's errors mean to whoever asked.

use std::error::Error;
use std::sync::Arc;

use axiomatic_coordination::{StoreError, Why};
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// What an error of SQLite means: whether it may work later, and what has to
/// be repaired before.
///
/// ```
/// use axiomatic_coordination::Why;
///
/// let connection = rusqlite::Connection::open_in_memory()?;
/// let error = connection.execute("INSERT INTO nowhere VALUES (1)", ()).unwrap_err();
/// assert_eq!(axiomatic_sqlite::store_error(error).why(), Why::Refused);
/// # Ok::<_, rusqlite::Error>(())
/// ```
pub fn store_error(error: rusqlite::Error) -> StoreError {
    StoreError::new(why(&error)).because(error)
}

/// The reason alone.
pub(crate) fn why(error: &rusqlite::Error) -> Why {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return Why::Refused;
    };
    // SQLite tells a full disk from others while it writes, but not while it
    // makes room for the shared memory of the log.
    match failure.extended_code {
        ffi::SQLITE_IOERR_SHMSIZE => return Why::NoRoom,
        ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA => return Why::Corrupt,
        _ => {}
    }
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Why::Busy,
        ErrorCode::DiskFull => Why::NoRoom,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Why::Corrupt,
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OutOfMemory
        | ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted
        | ErrorCode::SchemaChanged => Why::Unavailable,
        _ => Why::Refused,
    }
}

/// A column holds what nobody writes there.
pub(crate) fn damaged(what: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(what))
}

/// One failure, told to each of those whom it hit.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    why: Why,
    source: Arc<dyn Error + Send + Sync>,
}

impl Fault {
    /// A failure that is not SQLite's.
    pub(crate) fn new(why: Why, source: impl Error + Send + Sync + 'static) -> Self {
        Fault {
            why,
            source: Arc::new(source),
        }
    }

    /// To one of them.
    pub(crate) fn to_store_error(&self) -> StoreError {
        StoreError::new(self.why)
            .because(Box::new(Arc::clone(&self.source)) as axiomatic_core::BoxError)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::new(why(&error), error)
    }
}
