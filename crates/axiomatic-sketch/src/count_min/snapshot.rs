//! What the counters tell.

use std::fmt;

use super::line_cell::Line;
use super::shape::Shape;

/// How full a sketch is, and what that means.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub(super) shape: Shape,
    pub(super) total: u64,
    pub(super) ageings: u64,
    pub(super) used: u64,
    pub(super) saturated: u64,
}

impl Snapshot {
    /// The size of the sketch.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How much was added, halved with each ageing.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often it has aged.
    pub fn ageings(&self) -> u64 {
        self.ageings
    }

    /// The share of its counters that are not zero.
    pub fn fill(&self) -> f64 {
        let counters = (Line::ROWS * Line::COLUMNS) as f64;
        self.used as f64 / (counters * f64::from(self.shape.lines()))
    }

    /// How many counters are at their end, 2^31: keys that have all of theirs
    /// there may have been counted more often than the estimate says.
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// By how much estimates are too high at most, in as many cases as the
    /// shape's confidence says.
    pub fn over_by(&self) -> f64 {
        self.shape.error() * self.total as f64
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "total {}, estimates too high by {:.0} at most in {:.3} % of cases, {:.1} % of counters in use, aged {} times",
            self.total,
            self.over_by(),
            100.0 * self.shape.confidence(),
            100.0 * self.fill(),
            self.ageings,
        )?;
        if self.saturated > 0 {
            write!(f, ", {} SATURATED", self.saturated)?;
        }
        Ok(())
    }
}
