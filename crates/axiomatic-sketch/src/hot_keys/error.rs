//! What cannot be built.

use std::fmt;

use crate::count_min;

/// Why there is no list of hot keys.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The sketch beneath was not made.
    Sketch(count_min::BuildError),
    /// There is no memory for the list.
    OutOfMemory,
}

impl From<count_min::BuildError> for BuildError {
    fn from(error: count_min::BuildError) -> Self {
        BuildError::Sketch(error)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Sketch(error) => error.fmt(f),
            BuildError::OutOfMemory => f.write_str("there is no memory for the list of hot keys"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BuildError::Sketch(error) => Some(error),
            BuildError::OutOfMemory => None,
        }
    }
}
