//! How large a filter of single words is, and how many bits a key has in it.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::error::ShapeError;
use super::shape::{Memory, Percentage, check_rate, count_of};
use crate::load;

/// Bits of a word.
const BITS: usize = u64::BITS as usize;
/// Bytes of a word.
const BYTES: u64 = BITS as u64 / 8;
/// How many bits a key may have. Fewer are better only with less than six bits
/// of memory an item, more only with over 45: there split blocks take half of
/// the memory.
const BITS_PER_KEY: RangeInclusive<u32> = 4..=8;

/// How large an [`AtomicWordFilter`](super::AtomicWordFilter) is, for how many
/// keys, and how many bits each of them has.
///
/// Sized by the exact rate. The number of keys in a word is Poisson's, and so
/// many keys have set some number of its 64 bits, of whose distribution the
/// rate is the mean again: words, and bits of one key, may coincide. How many
/// bits a key has is not chosen but follows: as many as are best.
///
/// ```
/// use axiomatic_sketch::bloom::WordShape;
///
/// let shape = WordShape::for_items(1_000_000).false_positives(0.01)?;
/// assert_eq!(shape.bits_per_key(), 5);
/// assert_eq!(
///     shape.to_string(),
///     "1000000 items in 189982 words (1.4 MiB, 12.16 bits an item, 5 bits a key): \
///      1.000 % false positives"
/// );
/// // What a third more than planned would come to.
/// assert!(shape.false_positives_at(1_333_333) > 0.019);
/// # Ok::<(), axiomatic_sketch::bloom::ShapeError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct WordShape {
    words: NonZeroU32,
    items: u64,
    bits_per_key: u32,
}

/// So many items, and the question what is wanted of them.
#[derive(Copy, Clone, Debug)]
#[must_use = "it is not yet a shape"]
pub struct WordSizing {
    items: u64,
}

impl WordShape {
    /// For so many different items; say next at
    /// [which rate](WordSizing::false_positives) or in
    /// [how much memory](WordSizing::bytes).
    pub fn for_items(items: u64) -> WordSizing {
        WordSizing { items }
    }

    /// The number of words, of 64 bits each.
    pub fn words(&self) -> u32 {
        self.words.get()
    }

    /// How many bits a key has in its word, some of which may coincide: from 4
    /// to 8.
    pub fn bits_per_key(&self) -> u32 {
        self.bits_per_key
    }

    /// How many bytes of memory the words take.
    pub fn bytes(&self) -> u64 {
        u64::from(self.words.get()) * BYTES
    }

    /// For how many different items it was planned.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Bits of memory for each item planned for.
    pub fn bits_per_item(&self) -> f64 {
        8.0 * self.bytes() as f64 / self.items as f64
    }

    /// The share of absent keys that are answered with "maybe" once as many
    /// items are in it as planned.
    pub fn false_positives(&self) -> f64 {
        self.false_positives_at(self.items)
    }

    /// The share of absent keys that are answered with "maybe" once so many
    /// items are in it.
    pub fn false_positives_at(&self, items: u64) -> f64 {
        let load = items as f64 / f64::from(self.words.get());
        Rates::of(self.bits_per_key).at(load)
    }

    /// With as many bits a key as give the lowest rate.
    fn of(words: u64, items: u64) -> Result<WordShape, ShapeError> {
        let words = count_of(words, items)?;
        let load = items as f64 / f64::from(words.get());
        let (mut best, mut lowest) = (*BITS_PER_KEY.start(), f64::INFINITY);
        for bits_per_key in BITS_PER_KEY {
            let rate = Rates::of(bits_per_key).at(load);
            if rate < lowest {
                (best, lowest) = (bits_per_key, rate);
            }
        }
        Ok(WordShape {
            words,
            items,
            bits_per_key: best,
        })
    }
}

impl WordSizing {
    /// As small as it can be with no more than this share of absent keys
    /// answered with "maybe".
    ///
    /// # Errors
    ///
    /// [`ShapeError::Rate`] if that is not between 0 and 1, both excluded;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`] if 16 GiB are not
    /// enough.
    pub fn false_positives(self, rate: f64) -> Result<WordShape, ShapeError> {
        check_rate(rate)?;
        let mut load: f64 = 0.0;
        for bits_per_key in BITS_PER_KEY {
            let mut rates = Rates::of(bits_per_key);
            load = load.max(load::greatest(rate, |load| rates.at(load)));
        }
        // Casts of f64 saturate: at infinity there are too many.
        WordShape::of((self.items as f64 / load).ceil() as u64, self.items)
    }

    /// With so many bits of memory for each item: 12.16 are 1 % false
    /// positives.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooSmall`] if that is no positive number;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`].
    pub fn bits_per_item(self, bits: f64) -> Result<WordShape, ShapeError> {
        let words = (self.items as f64 * bits / BITS as f64).ceil();
        // NaN is nothing.
        WordShape::of(words as u64, self.items)
    }

    /// In so many bytes, rounded down to whole words of 8.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooSmall`] if that is not one word;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`].
    pub fn bytes(self, bytes: u64) -> Result<WordShape, ShapeError> {
        WordShape::of(bytes / BYTES, self.items)
    }

    /// In so many words of 8 bytes.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooSmall`] if there are none;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`].
    pub fn words(self, words: u32) -> Result<WordShape, ShapeError> {
        WordShape::of(u64::from(words), self.items)
    }
}

/// The rates of false positives with one number of bits a key.
struct Rates {
    bits_per_key: u32,
    /// Of a word with so many keys, as far as anybody has asked.
    of_keys: Vec<f64>,
    /// How likely it is that the last of them has so many bits set.
    bits_set: [f64; BITS + 1],
}

impl Rates {
    fn of(bits_per_key: u32) -> Self {
        let mut bits_set = [0.0; BITS + 1];
        bits_set[0] = 1.0;
        Rates {
            bits_per_key,
            of_keys: vec![0.0],
            bits_set,
        }
    }

    /// At so many keys a word.
    fn at(&mut self, load: f64) -> f64 {
        let mixture = load::mean(load, |keys| {
            while self.of_keys.len() <= keys as usize {
                self.add_key();
            }
            self.of_keys[keys as usize]
        });
        // Bits are made of 32, so the chance of meeting the same ones again is
        // not less than that.
        let same = load / 4_294_967_296.0;
        (mixture + same).min(1.0)
    }

    fn add_key(&mut self) {
        const SHARE: f64 = 1.0 / BITS as f64;
        for _ in 0..self.bits_per_key {
            let before = self.bits_set;
            // A bit hits one of those that are set, or is one more.
            self.bits_set = std::array::from_fn(|set| match set.checked_sub(1) {
                None => 0.0,
                Some(one_less) => {
                    let hit = set as f64 * SHARE;
                    let missed = (BITS - one_less) as f64 * SHARE;
                    before[set] * hit + before[one_less] * missed
                }
            });
        }
        let mut rate = 0.0;
        for (set, chance) in self.bits_set.iter().enumerate() {
            let hit = set as f64 * SHARE;
            let hits = (0..self.bits_per_key).fold(1.0, |all, _| all * hit);
            rate += chance * hits;
        }
        self.of_keys.push(rate);
    }
}

impl fmt::Display for WordShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WordShape {
            words,
            items,
            bits_per_key,
        } = self;
        let bits = self.bits_per_item();
        let memory = Memory(self.bytes());
        write!(
            f,
            "{items} items in {words} words ({memory}, {bits:.2} bits an item, \
             {bits_per_key} bits a key): {}",
            Percentage(self.false_positives())
        )?;
        f.write_str(" false positives")
    }
}
