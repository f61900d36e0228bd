//! Why an action was not done.

use std::fmt;

use axiomatic_core::BoxError;

/// Why an action was not done, or is not known to be.
///
/// Any error becomes [`Unknown`](Fault::Unknown) with `?`: whoever calls
/// another service and gets an error cannot tell, unless the other side said
/// so.
#[derive(Debug)]
pub enum Fault {
    /// It is known not to have happened, and will not: there is no such
    /// account, the card was declined. It is not tried again; the saga turns.
    Failed(BoxError),
    /// It may have happened: a timeout, a connection that broke. It is probed,
    /// or tried again, and undone if the saga turns.
    Unknown(BoxError),
}

impl Fault {
    /// It is known not to have happened.
    pub fn failed(why: impl Into<BoxError>) -> Self {
        Fault::Failed(why.into())
    }

    /// It may have happened.
    pub fn unknown(why: impl Into<BoxError>) -> Self {
        Fault::Unknown(why.into())
    }
}

impl<E: Into<BoxError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Fault::Unknown(error.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Failed(error) => write!(f, "failed: {error}"),
            Fault::Unknown(error) => write!(f, "not known: {error}"),
        }
    }
}
