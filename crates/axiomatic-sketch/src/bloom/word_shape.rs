//! How large a filter of single words is, and how many bits a key has in it.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::error::{DecodeError, ShapeError};
use super::shape::{Memory, Percentage, check_rate, count_of};
use super::word_rate::{BITS, Rates};
use crate::load;

/// Bytes of a word.
const BYTES: u64 = BITS as u64 / 8;
/// How many bits a key may have. Fewer are better only with less than six bits
/// of memory an item, more only with over 35, and there split blocks take two
/// thirds of the memory.
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
///     "1000000 items in 189668 words (1.4 MiB, 12.14 bits an item, 5 bits a key): \
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

    /// As stored. The number of bits a key is taken as it stands there, lest a
    /// better idea of it make filters unreadable.
    pub(super) fn stored(words: u64, items: u64, bits_per_key: u8) -> Result<Self, DecodeError> {
        let words = count_of(words, items)?;
        if !BITS_PER_KEY.contains(&u32::from(bits_per_key)) {
            return Err(DecodeError::BitsPerKey(bits_per_key));
        }
        Ok(WordShape {
            words,
            items,
            bits_per_key: u32::from(bits_per_key),
        })
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

    /// With so many bits of memory for each item: 12.14 are 1 % false
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(bits: f64) -> WordShape {
        let sizing = WordShape::for_items(1_000_000);
        sizing.bits_per_item(bits).unwrap()
    }

    /// The table of data-structures.md takes the mean of the bits that so many
    /// keys set for all of them, which is a little too low, and more so the
    /// more bits a key has.
    #[test]
    fn rates_are_a_little_above_those_of_the_table() {
        let rates = [
            (6.0, 6.736, 4, 1.03),
            (8.0, 3.259, 4, 1.03),
            (10.0, 1.705, 5, 1.05),
            (10.5, 1.474, 5, 1.05),
            (12.0, 0.977, 5, 1.07),
            (16.0, 0.378, 6, 1.08),
            (20.0, 0.172, 7, 1.11),
            (26.4, 0.063, 8, 1.15),
        ];
        for (bits, percent, bits_per_key, most) in rates {
            let shape = shape(bits);
            assert_eq!(shape.bits_per_key(), bits_per_key, "{shape}");
            let above = 100.0 * shape.false_positives() / percent;
            assert!((1.01..most).contains(&above), "{shape}: {above}");
        }
    }

    #[test]
    fn a_key_has_as_many_bits_as_are_best() {
        for bits in [4.0, 7.0, 9.0, 13.0, 17.0, 30.0, 60.0] {
            let shape = shape(bits);
            for bits_per_key in BITS_PER_KEY {
                let other = WordShape {
                    bits_per_key,
                    ..shape
                };
                assert!(
                    other.false_positives() >= shape.false_positives(),
                    "{other}"
                );
            }
        }
    }

    #[test]
    fn the_rate_of_a_shape_is_at_most_what_was_asked_and_a_word_less_is_too_few() {
        for rate in [0.5, 0.1, 0.01, 1e-3, 1e-5] {
            let shape = WordShape::for_items(1_000_000)
                .false_positives(rate)
                .unwrap();
            assert!(shape.false_positives() <= rate, "{shape}");
            let less = WordShape::for_items(1_000_000)
                .words(shape.words() - 1)
                .unwrap();
            assert!(less.false_positives() > rate, "{less}");
        }
    }

    /// To the last bit, whatever the platform: who stores a filter reads it
    /// elsewhere.
    #[test]
    fn sizes_are_these_everywhere() {
        let sizes = [
            (0.1, 84_186, 4, 0x3fb9_996c_2462_37fe_u64),
            (0.01, 198_881, 5, 0x3f84_7ad9_8539_7515),
            (1e-3, 393_180, 7, 0x3f50_624a_ed3c_d743),
            (1e-6, 3_279_257, 8, 0x3eb0_c6f7_25d9_2e57),
        ];
        let ours = sizes.map(|(rate, ..)| {
            let shape = WordShape::for_items(1 << 20).false_positives(rate);
            let shape = shape.unwrap();
            let bits = shape.false_positives().to_bits();
            (rate, shape.words(), shape.bits_per_key(), bits)
        });
        assert_eq!(ours, sizes);
    }

    #[test]
    fn no_number_of_a_user_panics_and_each_that_makes_no_sense_is_told() {
        let sizing = WordShape::for_items(1000);
        for rate in [0.0, 1.0, -0.5, 2.0, f64::NAN, f64::INFINITY] {
            assert_eq!(sizing.false_positives(rate), Err(ShapeError::Rate));
        }
        for bits in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(sizing.bits_per_item(bits), Err(ShapeError::TooSmall));
        }
        let nothing = WordShape::for_items(0);
        assert_eq!(nothing.false_positives(0.1), Err(ShapeError::NoItems));
        assert_eq!(nothing.bytes(320), Err(ShapeError::NoItems));
        assert_eq!(sizing.bytes(7), Err(ShapeError::TooSmall));
        assert_eq!(sizing.words(0), Err(ShapeError::TooSmall));
        let large = [
            sizing.bits_per_item(f64::INFINITY),
            sizing.bytes(u64::MAX),
            sizing.words(u32::MAX),
            sizing.false_positives(f64::MIN_POSITIVE),
            WordShape::for_items(u64::MAX).false_positives(0.99),
        ];
        assert_eq!(large, [Err(ShapeError::TooLarge); 5]);
        // The greatest of each that does, and the fullest.
        assert!(sizing.words(1 << 31).is_ok());
        assert!(sizing.false_positives(1.0 - f64::EPSILON).is_ok());
        let full = WordShape::for_items(u64::MAX).words(1).unwrap();
        assert_eq!(full.false_positives(), 1.0);
        assert_eq!(full.false_positives_at(0), 0.0);
    }

    #[test]
    fn it_prints_for_people() {
        assert_eq!(
            WordShape::for_items(10).words(1).unwrap().to_string(),
            "10 items in 1 words (8 B, 6.40 bits an item, 4 bits a key): 5.900 % false positives"
        );
    }
}
