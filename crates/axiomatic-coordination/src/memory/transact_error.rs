//! Why a transaction was not done.

use std::fmt;

use crate::StoreError;

/// Why a transaction was not done.
#[derive(Debug)]
pub enum TransactError<E> {
    /// The closure said so: nothing of it is left.
    Rejected(E),
    /// The database crashed: nothing of it is left, or all of it is.
    Store(StoreError),
}

impl<E: fmt::Display> fmt::Display for TransactError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransactError::Rejected(error) => error.fmt(f),
            TransactError::Store(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for TransactError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TransactError::Rejected(error) => Some(error),
            TransactError::Store(error) => Some(error),
        }
    }
}
