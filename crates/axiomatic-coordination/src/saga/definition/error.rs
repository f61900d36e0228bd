//! Why a definition is none.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axiomatic_core::backoff;

/// Why a definition is none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DefinitionError {
    /// Two steps have this name.
    Twice(Arc<str>),
    /// A step, or the saga, has no name, or one of more than 200 bytes, or
    /// with a character that is a control.
    Name(Arc<str>),
    /// A step depends on one of another definition.
    Foreign(Arc<str>),
    /// There are no steps.
    Empty,
    /// There are more than 1000 steps.
    TooManySteps,
    /// A step's time is zero.
    NoTime(Arc<str>),
    /// A step for each of many may work on none at once.
    NoneAtOnce(Arc<str>),
    /// A step's backoff makes no sense.
    Backoff(Arc<str>, backoff::ConfigError),
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefinitionError::Twice(step) => write!(f, "two steps are named {step:?}"),
            DefinitionError::Name(name) => write!(
                f,
                "{name:?} is no name: it has 1 to 200 bytes and no control characters"
            ),
            DefinitionError::Foreign(step) => {
                write!(f, "step {step:?} depends on a step of another definition")
            }
            DefinitionError::Empty => f.write_str("there are no steps"),
            DefinitionError::TooManySteps => f.write_str("there are more than 1000 steps"),
            DefinitionError::NoTime(step) => write!(f, "step {step:?} has no time"),
            DefinitionError::NoneAtOnce(step) => {
                write!(f, "step {step:?} may work on no item at once")
            }
            DefinitionError::Backoff(step, error) => write!(f, "step {step:?}: {error}"),
        }
    }
}

impl Error for DefinitionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            DefinitionError::Backoff(_, error) => Some(error),
            _ => None,
        }
    }
}
