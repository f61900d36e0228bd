use std::fmt;

use crate::adaptive::AlgorithmError;

/// Between which limits an algorithm moves, and where it begins.
///
/// ```
/// use axiomatic_capacity::adaptive::{Aimd, Bounds};
///
/// let bounds = Bounds::between(2, 500).starting_at(50);
/// assert!(Aimd::config().within(bounds).build().is_ok());
/// assert!(Aimd::config().within(Bounds::between(0, 500)).build().is_err());
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    least: u32,
    first: u32,
    most: u32,
}

impl Bounds {
    /// From the least to the most, both included. The first limit is 20, or
    /// the nearest one to it.
    pub const fn between(least: u32, most: u32) -> Self {
        let first = if 20 < least {
            least
        } else if 20 > most {
            most
        } else {
            20
        };
        Bounds { least, first, most }
    }

    /// The limit before anything was seen.
    #[must_use]
    pub const fn starting_at(mut self, first: u32) -> Self {
        self.first = first;
        self
    }

    /// The least limit.
    pub const fn least(self) -> u32 {
        self.least
    }

    /// The first limit.
    pub const fn first(self) -> u32 {
        self.first
    }

    /// The greatest limit.
    pub const fn most(self) -> u32 {
        self.most
    }

    pub(super) const fn check(self) -> Result<(), AlgorithmError> {
        if self.least == 0 || self.first < self.least || self.most < self.first {
            return Err(AlgorithmError::Bounds(self));
        }
        Ok(())
    }

    /// The nearest limit that is allowed.
    pub(super) const fn clamp(self, limit: f64) -> f64 {
        limit.clamp(self.least as f64, self.most as f64)
    }
}

/// From 1 to 1000.
impl Default for Bounds {
    fn default() -> Self {
        Bounds::between(1, 1_000)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { least, first, most } = self;
        write!(f, "{least} ≤ {first} ≤ {most}")
    }
}
