use std::error::Error;
use std::fmt;
use std::io;

use axiomatic_core::pressure::Pressure;

/// Why there is no such signal here.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalError {
    /// The system is not Linux, and has no such files.
    Unsupported,
    /// None of the files that could tell is there, can be read and holds what
    /// it should.
    Unreadable {
        /// What was sought.
        sought: &'static str,
        /// Why the last of the files will not do.
        kind: io::ErrorKind,
    },
    /// There is no runtime here that could run the task which measures.
    NoRuntime,
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignalError::Unsupported => f.write_str("only Linux has the files that tell"),
            SignalError::Unreadable { sought, kind } => {
                write!(f, "no file tells {sought}: {kind}")
            }
            SignalError::NoRuntime => f.write_str("outside a runtime there is no lag to watch"),
        }
    }
}

impl Error for SignalError {}

/// Why thresholds of overload cannot work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverloadError {
    /// It would end at a higher pressure than the one at which it begins.
    Crossed {
        /// Where it would begin.
        enter: Pressure,
        /// Below which it would end.
        leave: Pressure,
    },
    /// It would never end: no pressure is below none.
    Endless,
}

impl fmt::Display for OverloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OverloadError::Crossed { enter, leave } => write!(
                f,
                "overload that begins at {enter} cannot end below {leave}, which is more"
            ),
            OverloadError::Endless => f.write_str("overload that ends below 0 % never ends"),
        }
    }
}

impl Error for OverloadError {}
