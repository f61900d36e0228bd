//! The sketch: `&self` for everything.

use std::num::NonZeroU64;

use axiomatic_core::hash::Hasher;
use axiomatic_core::number_cell::Tally;

use super::error::BuildError;
use super::estimate::Estimate;
use super::line_cell::Line;
use super::shape::Shape;
use super::snapshot::Snapshot;
use super::total_cell::Total;
use crate::bloom::mask::block_of;

/// Counts of keys in one cache line a key, shared by all threads.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::count_min::{CountMinSketch, Shape};
///
/// let shape = Shape::within(0.001).with_confidence(0.99)?;
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::random());
/// let sketch = CountMinSketch::new(shape, hasher)?;
///
/// assert_eq!(sketch.add(b"user:17", 2).at_most(), 2);
/// assert_eq!(sketch.add(b"user:17", 1).at_most(), 3);
/// assert_eq!(sketch.estimate(b"user:17").at_most(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CountMinSketch {
    lines: Vec<Line>,
    total: Total,
    ageings: Tally,
    every: Option<NonZeroU64>,
    shape: Shape,
    hasher: Hasher,
}

/// When counts are halved, so that what is recent counts more.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ageing {
    /// When [`CountMinSketch::age`] is called, and not otherwise.
    WhenAsked,
    /// Whenever the total has come to this: it is then halved with the rest, so
    /// that it is between half of this and all of it. The thread that adds the
    /// last one does the work, and meanwhile the others go on.
    ///
    /// "TinyLFU: A Highly Efficient Cache Admission Policy" (Einziger, Friedman
    /// and Manes, 2017) calls it the sample, and takes ten for each entry of a
    /// cache.
    AtTotal(NonZeroU64),
}

impl CountMinSketch {
    /// A sketch of this shape without any counts, whose keys are hashed so, and
    /// that ages when asked.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no memory for it, or if the hasher has fewer
    /// than 64 bits.
    pub fn new(shape: Shape, hasher: Hasher) -> Result<Self, BuildError> {
        BuildError::check(hasher)?;
        let count = shape.lines() as usize;
        let mut lines = Vec::new();
        lines
            .try_reserve_exact(count)
            .map_err(|_| BuildError::OutOfMemory {
                bytes: shape.bytes(),
            })?;
        lines.resize_with(count, Line::new);
        Ok(CountMinSketch {
            lines,
            total: Total::new(),
            ageings: Tally::new(),
            every: None,
            shape,
            hasher,
        })
    }

    /// The same, which ages so.
    #[must_use]
    pub fn with_ageing(mut self, ageing: Ageing) -> Self {
        self.every = match ageing {
            Ageing::WhenAsked => None,
            Ageing::AtTotal(total) => Some(total),
        };
        self
    }

    /// Counts the key so many times more, and says how often it was counted
    /// then.
    #[inline]
    pub fn add(&self, key: &[u8], count: u32) -> Estimate {
        self.add_hash(self.hasher.hash(key), count)
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn add_hash(&self, hash: u64, count: u32) -> Estimate {
        let total = self.total.at_most();
        let (counted, due) = self.raise(hash, count);
        if let Some(least) = due {
            self.age_from(least);
        }
        Estimate {
            count: counted,
            total: total.saturating_add(u64::from(count)),
            shape: self.shape,
        }
    }

    /// How often the key was counted.
    #[inline]
    pub fn estimate(&self, key: &[u8]) -> Estimate {
        self.estimate_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    #[inline]
    pub fn estimate_hash(&self, hash: u64) -> Estimate {
        // First: a total that is halved already is no bound of a count that
        // is not.
        let total = self.total.at_most();
        Estimate {
            count: self.line(hash).least(hash),
            total,
            shape: self.shape,
        }
    }

    /// Halves all counts, rounding down: one that was counted once is
    /// forgotten. `false` if another thread is just doing it, and then nothing
    /// is done: what ages twice at the same time has aged once.
    ///
    /// Others go on counting meanwhile. What they add while it lasts is halved
    /// with the rest or not at all, and what they add afterwards is not.
    pub fn age(&self) -> bool {
        self.age_from(0)
    }

    /// How much was added in all, halved with each ageing and rounded up:
    /// exact while nobody adds.
    pub fn total(&self) -> u64 {
        self.total.about()
    }

    /// How full it is, and what that means. Reads all of it.
    pub fn snapshot(&self) -> Snapshot {
        let (mut used, mut saturated) = (0, 0);
        for line in &self.lines {
            let fill = line.fill();
            used += u64::from(fill.0);
            saturated += u64::from(fill.1);
        }
        Snapshot {
            shape: self.shape,
            total: self.total(),
            ageings: self.ageings.load(),
            used,
            saturated,
        }
    }

    /// How large it is.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> Hasher {
        self.hasher
    }
}

impl CountMinSketch {
    /// Counts, and says at which total an ageing is due if one is: to be handed
    /// to `age_from`.
    #[inline(always)]
    pub(crate) fn raise(&self, hash: u64, count: u32) -> (u32, Option<u64>) {
        let counted = self.line(hash).raise(hash, count);
        (counted, self.due(self.total.add(count)))
    }

    /// Halves all counts, unless another thread is doing it or has done it, so
    /// that the total is below `least`.
    #[cold]
    pub(crate) fn age_from(&self, least: u64) -> bool {
        let Some(claimed) = self.total.claim(least) else {
            return false;
        };
        self.lines.iter().for_each(Line::halve);
        self.total.halve(claimed);
        self.ageings.count();
        true
    }

    #[inline(always)]
    fn due(&self, told: Option<u64>) -> Option<u64> {
        let every = self.every?.get();
        (told? >= every).then_some(every)
    }

    #[inline(always)]
    fn line(&self, hash: u64) -> &Line {
        &self.lines[block_of(hash, self.lines.len() as u32) as usize]
    }
}
