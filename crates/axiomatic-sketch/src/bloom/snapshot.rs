//! What the bits tell of the keys.

use std::fmt;

use super::mask::Block;
use super::shape::{Memory, Percentage, Shape};
use super::word_shape::WordShape;

/// How full a filter is, and what that means.
///
/// ```
/// # use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// # use axiomatic_sketch::bloom::{BloomFilter, Shape};
/// # let shape = Shape::for_items(1000).false_positives(0.01)?;
/// # let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let mut filter = BloomFilter::new(shape, hasher)?;
/// for key in 0..1000u64 {
///     filter.insert(&key.to_le_bytes());
/// }
/// let snapshot = filter.snapshot();
/// assert!(snapshot.len().is_about(1000));
/// assert!((0.005..0.015).contains(&snapshot.false_positives()));
/// println!("{snapshot}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Snapshot {
    items: u64,
    bytes: u64,
    ones: u64,
    false_positives: f64,
    len: Estimate,
}

/// A number that was estimated, and how far it may be off.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Estimate {
    value: f64,
    standard_error: f64,
}

impl Snapshot {
    pub(super) fn of(shape: Shape, blocks: impl Iterator<Item = Block>) -> Self {
        let (mut ones, mut rates) = (0, 0.0);
        for block in blocks {
            let set = block.map(u32::count_ones);
            ones += set.iter().map(|ones| u64::from(*ones)).sum::<u64>();
            // An absent key hits a bit in each word independently.
            let hit: f64 = set.iter().map(|ones| f64::from(*ones) / 32.0).product();
            rates += hit;
        }
        let blocks = f64::from(shape.blocks());
        Snapshot {
            items: shape.items(),
            bytes: shape.bytes(),
            ones,
            false_positives: rates / blocks,
            len: Estimate::of_blocks(blocks, ones as f64 / (256.0 * blocks)),
        }
    }

    pub(super) fn of_words(shape: WordShape, words: impl Iterator<Item = u64>) -> Self {
        let bits_per_key = shape.bits_per_key();
        let (mut ones, mut rates) = (0, 0.0);
        for word in words {
            let set = word.count_ones();
            ones += u64::from(set);
            // Each bit of an absent key hits independently.
            rates += (f64::from(set) / 64.0).powi(bits_per_key as i32);
        }
        let words = f64::from(shape.words());
        Snapshot {
            items: shape.items(),
            bytes: shape.bytes(),
            ones,
            false_positives: rates / words,
            len: Estimate::of_words(words, bits_per_key, ones as f64 / (64.0 * words)),
        }
    }

    /// For how many different items it was planned.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// How many bytes of memory the bits take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The share of its bits that are set.
    pub fn fill(&self) -> f64 {
        self.ones as f64 / (8.0 * self.bytes as f64)
    }

    /// The share of absent keys that would be answered with "maybe" now: no
    /// estimate, but counted from the bits.
    pub fn false_positives(&self) -> f64 {
        self.false_positives
    }

    /// How many different keys are in it.
    ///
    /// By linear counting (Whang, Vander-Zanden and Taylor, "A linear-time
    /// probabilistic counting algorithm", 1990): of `n` keys in `b` blocks a
    /// bit is still zero with a chance of `e^(-n/32b)`; where keys have `k`
    /// bits in one of `w` words, of `e^(-nq/w)` with `q = 1 - (63/64)^k`.
    /// Without an end once every bit is set.
    pub fn len(&self) -> Estimate {
        self.len
    }

    /// Whether no bit is set.
    pub fn is_empty(&self) -> bool {
        self.ones == 0
    }

    /// Whether there are over a tenth more keys in it than it was planned for:
    /// the rate grows fast beyond.
    pub fn is_overfull(&self) -> bool {
        self.len.value > 1.1 * self.items as f64
    }
}

impl Estimate {
    /// Of a filter whose bits are all set: any number of keys may be in it.
    const ENDLESS: Estimate = Estimate {
        value: f64::INFINITY,
        standard_error: f64::INFINITY,
    };

    fn of_blocks(blocks: f64, fill: f64) -> Self {
        // One word of each block is a counter of this many bits; all eight of
        // them together are at least as exact as one.
        let bits = 32.0 * blocks;
        // Not `-ln`, which of an empty filter is `-0`.
        let load = (1.0 - fill).recip().ln();
        if load.is_infinite() {
            return Estimate::ENDLESS;
        }
        Estimate {
            value: bits * load,
            standard_error: (bits * (load.exp() - load - 1.0)).max(0.0).sqrt(),
        }
    }

    /// Not of independent bits: those of a key are in one word.
    fn of_words(words: f64, bits_per_key: u32, fill: f64) -> Self {
        // How likely it is that a key sets a certain bit of its word, and one
        // of a certain pair.
        let power = bits_per_key as i32;
        let one = 1.0 - (63.0_f64 / 64.0).powi(power);
        let either = 1.0 - (62.0_f64 / 64.0).powi(power);
        // How likely it is that it is zero with so many keys a word, and both
        // of a pair.
        let zero = 1.0 - fill;
        let load = zero.recip().ln() / one;
        if load.is_infinite() {
            return Estimate::ENDLESS;
        }
        let both = (-load * either).exp();
        // How many zeros of a word come with one key more.
        let slope = 64.0 * one * zero;
        // Keys a word would be Poisson's if their sum were not given, which
        // is what the last term takes off.
        let variance =
            64.0 * zero * fill + 64.0 * 63.0 * (both - zero * zero) - load * slope * slope;
        Estimate {
            value: words * load,
            standard_error: (words * variance).max(0.0).sqrt() / slope,
        }
    }

    pub(super) fn of(value: f64, standard_error: f64) -> Self {
        Estimate {
            value,
            standard_error,
        }
    }

    /// The estimate.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Its standard error: in two of three cases it is off by no more.
    pub fn standard_error(&self) -> f64 {
        self.standard_error
    }

    /// Whether `value` is within four standard errors, rounding apart: outside
    /// of them is one in 16,000.
    pub fn is_about(&self, value: u64) -> bool {
        (self.value - value as f64).abs() <= 4.0 * self.standard_error + 0.5
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} \u{b1} {:.0}", self.value, self.standard_error)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} items, {} full at {}: {} false positives{}",
            self.len,
            self.items,
            Percentage(self.fill()),
            Memory(self.bytes),
            Percentage(self.false_positives),
            if self.is_overfull() { ", OVERFULL" } else { "" },
        )
    }
}
