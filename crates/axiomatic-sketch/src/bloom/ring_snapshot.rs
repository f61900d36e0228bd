//! What the bits of generations tell of the keys.

use std::fmt;

use super::mask::TAGGED_BITS;
use super::ring::Ring;
use super::ring_shape::{Mask, RingShape};
use super::shape::{Memory, Percentage};
use super::snapshot::Estimate;

/// How full each living generation of a
/// [`WindowedFilter`](super::WindowedFilter) or a
/// [`RecentFilter`](super::RecentFilter) is, and what that means.
///
/// ```
/// # use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// # use axiomatic_sketch::bloom::RecentConfig;
/// # let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let filter = RecentConfig::last(3_000).build(hasher)?;
/// for key in 0..1_500_u32 {
///     filter.insert(&key.to_le_bytes());
/// }
/// let snapshot = filter.snapshot();
/// // The current generation is half full, and the one before is full.
/// let [current, before, ..] = snapshot.generations() else {
///     unreachable!("there are four");
/// };
/// assert!(current.is_about(500) && before.is_about(1_000));
/// assert!(snapshot.false_positives() < 0.01);
/// println!("{snapshot}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Copy, Clone, Debug)]
pub struct WindowedSnapshot {
    shape: RingShape,
    bytes: u64,
    /// As many as there are generations, the others are nothing.
    items: [Estimate; 8],
    false_positives: f64,
}

impl WindowedSnapshot {
    pub(super) fn of(ring: &Ring, now: Option<u64>) -> Self {
        let shape = ring.shape();
        let mask = Mask::new(shape.draws());
        let (mut ones, mut rates) = ([0_u64; 8], 0.0);
        ring.for_each_group(now, |words| {
            for (sum, word) in ones.iter_mut().zip(words) {
                *sum += u64::from(*word);
            }
            rates += mask.mean(|bits| {
                let misses = words.iter().map(|word| 1.0 - mask.hit(bits, *word));
                1.0 - misses.product::<f64>()
            });
        });
        WindowedSnapshot {
            shape,
            bytes: ring.bytes(),
            items: ones.map(|ones| items(ones, shape)),
            false_positives: rates / f64::from(shape.groups()),
        }
    }

    /// How many different keys came to each living generation, from the
    /// current one to the oldest. A key is in as many as it came to.
    pub fn generations(&self) -> &[Estimate] {
        &self.items[..self.shape.generations().count() as usize]
    }

    /// The share of absent keys that would be answered with "maybe" now: no
    /// estimate, but counted from the bits.
    pub fn false_positives(&self) -> f64 {
        self.false_positives
    }

    /// Whether a generation has over a tenth more keys than planned: the rate
    /// grows fast beyond.
    pub fn is_overfull(&self) -> bool {
        let most = 1.1 * self.shape.items_per_generation();
        self.generations().iter().any(|items| items.value() > most)
    }
}

/// How many keys have set so many bits of one generation, as
/// [`Snapshot::len`](super::Snapshot::len) counts.
///
/// Of `n` keys in `g` words a bit is still zero with a chance of
/// `e^(-n a / g)`, where `a` is the chance that a key sets it. The error is
/// that of the share of zeros, of which those of one word depend on each
/// other, less what comes from the number of keys alone, which is the one
/// that is asked for.
fn items(ones: u64, shape: RingShape) -> Estimate {
    let (bits, words) = (f64::from(TAGGED_BITS), f64::from(shape.groups()));
    let draws = shape.draws() as i32;
    let sets = 1.0 - (1.0 - 1.0 / bits).powi(draws);
    let sets_of_two = 1.0 - (1.0 - 2.0 / bits).powi(draws);
    let zero = 1.0 - ones as f64 / (bits * words);
    let load = -zero.ln() / sets;
    let two_zeros = (-load * sets_of_two).exp();
    let strewn = zero / bits + (1.0 - 1.0 / bits) * two_zeros - zero * zero;
    let by_load = sets * zero;
    let variance = (strewn - load * by_load * by_load).max(0.0) / words;
    Estimate::of(words * load, words * variance.sqrt() / by_load)
}

impl fmt::Display for WindowedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (age, items) in self.generations().iter().enumerate() {
            let sign = if age > 0 { " + " } else { "" };
            write!(f, "{sign}{items}")?;
        }
        write!(
            f,
            " items, of {:.0} a generation, in {}: {} false positives{}",
            self.shape.items_per_generation(),
            Memory(self.bytes),
            Percentage(self.false_positives),
            if self.is_overfull() { ", OVERFULL" } else { "" },
        )
    }
}
