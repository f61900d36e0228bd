//! The filter of those who do not know how many keys will come.

use std::fmt;

use axiomatic_core::hash::Hasher;

use super::error::{BuildError, ShapeError};
use super::filter::BloomFilter;
use super::shape::{Memory, Percentage, Shape, check_rate};

/// A filter that grows: layer after layer, each for twice as many keys as the
/// one before it and with a smaller rate of false positives, such that all of
/// them together are not expected to have more than was asked for (Almeida,
/// Baquero, Preguiça and Hutchison, "Scalable Bloom Filters", 2007). By chance
/// a layer has a little more or less, and the more so the fewer keys it has.
///
/// A question asks every layer until one says "maybe", one cache line each.
/// Who knows how many keys will come is better served by one
/// [`BloomFilter`] of that size.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_sketch::bloom::{ScalableConfig, ScalableFilter};
///
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let mut filter = ScalableConfig::for_items(100).false_positives(0.01).build(hasher)?;
/// for key in 0..10_000u64 {
///     filter.insert(&key.to_le_bytes())?;
/// }
/// assert!((0..10_000u64).all(|key| filter.may_contain(&key.to_le_bytes())));
/// assert!(filter.false_positives() <= 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScalableFilter {
    config: ScalableConfig,
    hasher: Hasher,
    /// At least one.
    layers: Vec<BloomFilter>,
    /// Different keys in the last layer.
    in_last: u64,
}

/// How a [`ScalableFilter`] begins and grows.
#[derive(Copy, Clone, Debug, PartialEq)]
#[must_use = "it is not yet a filter"]
pub struct ScalableConfig {
    items: u64,
    rate: f64,
    tightening: f64,
}

/// Why a layer was not added: nothing has changed then.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrowError {
    /// No filter is as large as the next layer would have to be.
    Shape(ShapeError),
    /// There was no memory for it.
    Build(BuildError),
}

impl ScalableConfig {
    /// So many keys in the first layer; with 1 % false positives in all of
    /// them, unless it is said otherwise.
    pub fn for_items(items: u64) -> Self {
        ScalableConfig {
            items,
            rate: 0.01,
            tightening: 0.5,
        }
    }

    /// The share of absent keys that may be answered with "maybe", however far
    /// the filter grows: over 0 and below 1.
    pub fn false_positives(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// What each layer's rate is to the one before it, over 0 and below 1. At
    /// the default of a half, a layer takes two bits a key more than the one
    /// before it, and the first one has half of all false positives; at 0.9
    /// it begins with a tenth of them and grows by a third of a bit.
    pub fn tightened_by(mut self, tightening: f64) -> Self {
        self.tightening = tightening;
        self
    }

    /// The filter, with its first layer.
    ///
    /// # Errors
    ///
    /// [`GrowError`] if a number makes no sense, or there is no memory.
    pub fn build(self, hasher: Hasher) -> Result<ScalableFilter, GrowError> {
        check_rate(self.rate)?;
        check_rate(self.tightening)?;
        let first = BloomFilter::new(self.layer(0)?, hasher)?;
        Ok(ScalableFilter {
            config: self,
            hasher,
            layers: vec![first],
            in_last: 0,
        })
    }

    /// The shape of the layer after so many others. The rates are a geometric
    /// series whose sum is the whole rate.
    fn layer(&self, before: usize) -> Result<Shape, ShapeError> {
        let doublings = u32::try_from(before).unwrap_or(u32::MAX);
        let items = 1_u64.checked_shl(doublings);
        let items = items.and_then(|growth| self.items.checked_mul(growth));
        let mut rate = self.rate * (1.0 - self.tightening);
        // By multiplication, which is the same everywhere.
        for _ in 0..before {
            rate *= self.tightening;
        }
        Shape::for_items(items.ok_or(ShapeError::TooLarge)?).false_positives(rate)
    }
}

impl ScalableFilter {
    /// Remembers the key. `true` if it was surely not there before; `false` if
    /// it seemed to be, and then nothing has changed. Every so often it first
    /// adds a layer.
    ///
    /// # Errors
    ///
    /// [`GrowError`] if the last layer is full and there can be no other:
    /// nothing has changed, and the filter still answers.
    pub fn insert(&mut self, key: &[u8]) -> Result<bool, GrowError> {
        self.insert_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    ///
    /// # Errors
    ///
    /// [`GrowError`], as [`insert`](Self::insert).
    pub fn insert_hash(&mut self, hash: u64) -> Result<bool, GrowError> {
        if self.may_contain_hash(hash) {
            return Ok(false);
        }
        if self.in_last >= self.last().shape().items() {
            let shape = self.config.layer(self.layers.len())?;
            self.layers.push(BloomFilter::new(shape, self.hasher)?);
            self.in_last = 0;
        }
        self.in_last += 1;
        // There is always a last one.
        let last = self.layers.last_mut();
        Ok(last.is_some_and(|last| last.insert_hash(hash)))
    }

    /// Whether the key may have been inserted; `false` is certain.
    pub fn may_contain(&self, key: &[u8]) -> bool {
        self.may_contain_hash(self.hasher.hash(key))
    }

    /// The same for a key whose [hash](Self::hasher) is known.
    pub fn may_contain_hash(&self, hash: u64) -> bool {
        // The last layers hold the most.
        let mut layers = self.layers.iter().rev();
        layers.any(|layer| layer.may_contain_hash(hash))
    }

    /// The share of absent keys that would be answered with "maybe" now,
    /// counted from the bits: any layer may say it.
    pub fn false_positives(&self) -> f64 {
        let layers = self.layers.iter().map(BloomFilter::snapshot);
        let silent: f64 = layers.map(|layer| 1.0 - layer.false_positives()).product();
        1.0 - silent
    }

    /// How many different keys were inserted, but for those that seemed to be
    /// there already.
    pub fn len(&self) -> u64 {
        let full = &self.layers[..self.layers.len() - 1];
        self.in_last + full.iter().map(|layer| layer.shape().items()).sum::<u64>()
    }

    /// Whether nothing was ever inserted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The layers, the first one first.
    pub fn layers(&self) -> &[BloomFilter] {
        &self.layers
    }

    /// How many bytes of memory the bits take.
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.shape().bytes()).sum()
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> Hasher {
        self.hasher
    }

    fn last(&self) -> &BloomFilter {
        &self.layers[self.layers.len() - 1]
    }
}

impl fmt::Debug for ScalableFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScalableFilter")
            .field("config", &self.config)
            .field("layers", &self.layers.len())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ScalableFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} items in {} layers of {}: {} false positives",
            self.len(),
            self.layers.len(),
            Memory(self.bytes()),
            Percentage(self.false_positives()),
        )
    }
}

impl fmt::Display for GrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GrowError::Shape(error) => error.fmt(f),
            GrowError::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GrowError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            GrowError::Shape(error) => Some(error),
            GrowError::Build(error) => Some(error),
        }
    }
}

impl From<ShapeError> for GrowError {
    fn from(error: ShapeError) -> Self {
        GrowError::Shape(error)
    }
}

impl From<BuildError> for GrowError {
    fn from(error: BuildError) -> Self {
        GrowError::Build(error)
    }
}
