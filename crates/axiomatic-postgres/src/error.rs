//! What PostgreSQL's errors mean to whoever asked.

use axiomatic_coordination::{StoreError, Why};
use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// What an error of PostgreSQL means: whether it may work later, and what has
/// to be repaired before.
///
/// | what happened | [`Why`] |
/// |---|---|
/// | the connection broke, the server starts or stops, a timeout | `Unavailable` |
/// | a deadlock, a serialization failure, a lock that was not to be had | `Busy` |
/// | a full disk, no memory, too many connections or locks | `NoRoom` |
/// | damaged data or a damaged index | `Corrupt` |
/// | a table, column or function is missing | `Incompatible` |
/// | everything else | `Refused` |
pub fn store_error(error: tokio_postgres::Error) -> StoreError {
    StoreError::new(why(&error)).because(error)
}

fn why(error: &tokio_postgres::Error) -> Why {
    match error.code() {
        Some(state) => of_state(state),
        // What does not come from the server is a connection that broke, but
        // for values that do not fit, which are this crate's own fault.
        None if error.is_closed() || std::error::Error::source(error).is_some_and(is_io) => {
            Why::Unavailable
        }
        None => Why::Refused,
    }
}

fn is_io(source: &(dyn std::error::Error + 'static)) -> bool {
    source.is::<std::io::Error>()
}

/// What an error of sqlx means, as [`store_error`].
#[cfg(feature = "sqlx")]
pub fn sqlx_store_error(error: sqlx_core::Error) -> StoreError {
    use sqlx_core::Error;
    let why = match &error {
        Error::Database(database) => database
            .code()
            .map_or(Why::Refused, |code| of_state(&SqlState::from_code(&code))),
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::WorkerCrashed => {
            Why::Unavailable
        }
        Error::PoolClosed => Why::Closed,
        _ => Why::Refused,
    };
    StoreError::new(why).because(error)
}

/// No connection was to be had.
pub(crate) fn no_connection(error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => StoreError::new(match error.code() {
            Some(state) => of_state(state),
            None => Why::Unavailable,
        })
        .because(error),
        PoolError::Closed => StoreError::new(Why::Closed),
        error => StoreError::new(Why::Unavailable).because(error),
    }
}

fn of_state(state: &SqlState) -> Why {
    let code = state.code();
    match (&code[..2], code) {
        // Class 40: the transaction was rolled back for the sake of another.
        // 55P03: a lock was not to be had.
        ("40", _) | (_, "55P03" | "55006") => Why::Busy,
        // 57: an operator intervened, or a statement took too long.
        ("08" | "57" | "58", _) | (_, "25P03" | "25006") => Why::Unavailable,
        ("53", _) => Why::NoRoom,
        ("XX", _) => Why::Corrupt,
        (_, "42P01" | "42703" | "42883" | "3F000" | "42704") => Why::Incompatible,
        _ => Why::Refused,
    }
}
