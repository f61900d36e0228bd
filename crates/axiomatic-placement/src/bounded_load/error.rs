use std::error::Error;
use std::fmt;

use axiomatic_core::Ratio;

/// A balance below 100 %: the nodes together would have less room than there
/// are requests.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BalanceError(pub(super) Ratio);

impl BalanceError {
    /// What was asked for.
    pub fn balance(&self) -> Ratio {
        self.0
    }
}

impl fmt::Display for BalanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a balance of {} is less than 100 %", self.0)
    }
}

impl Error for BalanceError {}
