use std::error::Error;
use std::fmt;

use axiomatic_core::BoxError;

/// Why a [`ReplayBody`](super::ReplayBody) broke.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// The original did, while this body read it.
    Body(BoxError),
    /// The original did, while another attempt read it.
    Broken,
    /// It was longer than what is kept, so that its beginning is gone.
    Outgrown,
    /// It was longer than what is kept, and the rest went to an attempt that
    /// began later.
    Superseded,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplayError::Body(_) => "the request's body broke",
            ReplayError::Broken => "the request's body broke in another attempt",
            ReplayError::Outgrown => "the request's body is too long to be sent again",
            ReplayError::Superseded => "a later attempt sends the rest of the request's body",
        })
    }
}

impl Error for ReplayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReplayError::Body(error) => Some(&**error),
            ReplayError::Broken | ReplayError::Outgrown | ReplayError::Superseded => None,
        }
    }
}
