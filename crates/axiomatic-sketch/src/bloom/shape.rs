//! How large a filter is: the arithmetic, done once.

use std::fmt;
use std::num::NonZeroU32;

use super::error::ShapeError;
use crate::load;

/// Bits of a block.
const BITS: u64 = 256;
/// Bytes of a block.
const BYTES: u64 = BITS / 8;
/// Blocks that there may be: 64 GiB of them. Of words as many.
const MOST: u64 = 1 << 31;

/// How large a filter is, and for how many keys.
///
/// Sized by the exact rate: the number of keys in a block is Poisson's, and a
/// key's bit in each of eight words is set by each of them with a chance of
/// 1/32. Two keys of one block that agree in the lower half of their hash are
/// one key; that is counted too, and is felt from a rate of a millionth down.
///
/// ```
/// use axiomatic_sketch::bloom::Shape;
///
/// let shape = Shape::for_items(1_000_000).false_positives(0.01)?;
/// assert_eq!(shape.blocks(), 41_130);
/// assert_eq!(
///     shape.to_string(),
///     "1000000 items in 41130 blocks (1.3 MiB, 10.53 bits an item): 1.000 % false positives"
/// );
/// // What a third more than planned would come to.
/// assert!(shape.false_positives_at(1_333_333) > 0.033);
/// # Ok::<(), axiomatic_sketch::bloom::ShapeError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    blocks: NonZeroU32,
    items: u64,
}

/// So many items, and the question what is wanted of them.
#[derive(Copy, Clone, Debug)]
#[must_use = "it is not yet a shape"]
pub struct Sizing {
    items: u64,
}

impl Shape {
    /// For so many different items; say next at
    /// [which rate](Sizing::false_positives) or in
    /// [how much memory](Sizing::bytes).
    pub fn for_items(items: u64) -> Sizing {
        Sizing { items }
    }

    /// The same with a number of blocks that is divisible by `factor`, by so
    /// many more as it takes: [`fold_to`](super::BloomFilter::fold_to) can only
    /// make a filter smaller by a divisor of its blocks.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooLarge`].
    pub fn divisible_by(self, factor: NonZeroU32) -> Result<Shape, ShapeError> {
        let blocks = u64::from(self.blocks.get()).next_multiple_of(u64::from(factor.get()));
        Shape::of(blocks, self.items)
    }

    /// The number of blocks, of 256 bits each.
    pub fn blocks(&self) -> u32 {
        self.blocks.get()
    }

    /// How many bytes of memory the bits take.
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks.get()) * BYTES
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
        rate(items as f64 / f64::from(self.blocks.get()))
    }

    /// As stored: checked like what users ask for.
    pub(super) fn of(blocks: u64, items: u64) -> Result<Shape, ShapeError> {
        let blocks = count_of(blocks, items)?;
        Ok(Shape { blocks, items })
    }
}

impl Sizing {
    /// As small as it can be with no more than this share of absent keys
    /// answered with "maybe".
    ///
    /// # Errors
    ///
    /// [`ShapeError::Rate`] if that is not between 0 and 1, both excluded;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`] if 64 GiB are not
    /// enough.
    pub fn false_positives(self, rate: f64) -> Result<Shape, ShapeError> {
        let load = load_for(rate)?;
        // Casts of f64 saturate: at infinity there are too many.
        Shape::of((self.items as f64 / load).ceil() as u64, self.items)
    }

    /// With so many bits for each item: 10.53 are 1 % false positives.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooSmall`] if that is no positive number;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`].
    pub fn bits_per_item(self, bits: f64) -> Result<Shape, ShapeError> {
        let blocks = (self.items as f64 * bits / BITS as f64).ceil();
        // NaN is nothing.
        Shape::of(blocks as u64, self.items)
    }

    /// In so many bytes, rounded down to whole blocks of 32.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooSmall`] if that is not one block;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`].
    pub fn bytes(self, bytes: u64) -> Result<Shape, ShapeError> {
        Shape::of(bytes / BYTES, self.items)
    }

    /// In so many blocks of 32 bytes.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooSmall`] if there are none;
    /// [`ShapeError::NoItems`]; [`ShapeError::TooLarge`].
    pub fn blocks(self, blocks: u32) -> Result<Shape, ShapeError> {
        Shape::of(u64::from(blocks), self.items)
    }
}

/// The rate at so many keys a block.
fn rate(load: f64) -> f64 {
    // (31/32) to the number of keys in the block: what is still zero of a word.
    let mut zero = 1.0;
    let mixture = load::mean(load, |keys| {
        if keys > 0 {
            zero *= 31.0 / 32.0;
        }
        let squared = (1.0 - zero) * (1.0 - zero);
        let fourth = squared * squared;
        fourth * fourth
    });
    // Masks are made of 32 bits, so the chance of meeting the same one again
    // is not 32 to the minus 8.
    let same = load / 4_294_967_296.0;
    (mixture + same).min(1.0)
}

/// How many keys a block may get for this rate.
pub(super) fn load_for(wanted: f64) -> Result<f64, ShapeError> {
    check_rate(wanted)?;
    Ok(load::greatest(wanted, rate))
}

/// So many blocks or words, if there can be a filter of them for so many items.
pub(super) fn count_of(count: u64, items: u64) -> Result<NonZeroU32, ShapeError> {
    if items == 0 {
        return Err(ShapeError::NoItems);
    }
    if count > MOST {
        return Err(ShapeError::TooLarge);
    }
    let count = u32::try_from(count).ok().and_then(NonZeroU32::new);
    count.ok_or(ShapeError::TooSmall)
}

/// Whether it is a share between nothing and all.
pub(super) fn check_rate(rate: f64) -> Result<(), ShapeError> {
    let is_between = rate > 0.0 && rate < 1.0;
    is_between.then_some(()).ok_or(ShapeError::Rate)
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { blocks, items } = self;
        let bits = self.bits_per_item();
        let memory = Memory(self.bytes());
        write!(
            f,
            "{items} items in {blocks} blocks ({memory}, {bits:.2} bits an item): {}",
            Percentage(self.false_positives())
        )?;
        f.write_str(" false positives")
    }
}

/// Bytes as people read them.
pub(super) struct Memory(pub(super) u64);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
        let bytes = self.0 as f64;
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let unit = (self.0.ilog2() / 10).clamp(1, 3);
        let size = bytes / 1024_f64.powi(unit as i32);
        write!(f, "{size:.1} {}", UNITS[unit as usize - 1])
    }
}

/// A share, to four digits that say something.
pub(super) struct Percentage(pub(super) f64);

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.0;
        if percent == 0.0 || percent >= 0.001 {
            return write!(f, "{percent:.3} %");
        }
        write!(f, "{percent:.2e} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of data-structures.md, which agrees with parquet-format's.
    #[test]
    fn rates_and_sizes_are_those_of_the_table() {
        let rates = [
            (6.0, 9.934),
            (8.0, 3.321),
            (10.0, 1.265),
            (10.5, 1.013),
            (12.0, 0.542),
            (16.0, 0.132),
            (20.0, 0.0420),
            (26.4, 0.0099),
        ];
        for (bits, percent) in rates {
            let rate = 100.0 * rate(256.0 / bits);
            // As many digits as the table has.
            assert!((rate / percent - 1.0).abs() < 6e-3, "{bits} {rate}");
        }
        let sizes = [
            (10.0, 5.99),
            (3.0, 8.20),
            (1.0, 10.53),
            (0.1, 16.89),
            (0.01, 26.34),
            (0.001, 40.99),
        ];
        for (percent, bits) in sizes {
            let needed = 256.0 / load_for(percent / 100.0).unwrap();
            assert!((needed - bits).abs() < 0.006, "{percent} {needed}");
        }
    }

    #[test]
    fn keys_that_look_alike_to_a_block_are_counted() {
        // Ten blocks a key, of which one in ten is met, and then one mask in
        // 2^32 is the same. That two keys' bits cover a third one's is rarer.
        let rate = rate(0.1) * 4_294_967_296.0;
        assert!((0.1..0.11).contains(&rate), "{rate}");
    }

    #[test]
    fn the_rate_of_a_shape_is_at_most_what_was_asked_and_a_block_less_is_too_few() {
        for rate in [0.5, 0.1, 0.01, 1e-3, 1e-5, 1e-8] {
            let shape = Shape::for_items(1_000_000).false_positives(rate).unwrap();
            assert!(shape.false_positives() <= rate, "{shape}");
            let less = Shape::for_items(1_000_000)
                .blocks(shape.blocks() - 1)
                .unwrap();
            assert!(less.false_positives() > rate, "{less}");
        }
    }

    #[test]
    fn no_number_of_a_user_panics_and_each_that_makes_no_sense_is_told() {
        let sizing = Shape::for_items(1000);
        for rate in [0.0, 1.0, -0.5, 2.0, f64::NAN, f64::INFINITY] {
            assert_eq!(sizing.false_positives(rate), Err(ShapeError::Rate));
        }
        for bits in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(sizing.bits_per_item(bits), Err(ShapeError::TooSmall));
        }
        let nothing = Shape::for_items(0);
        assert_eq!(nothing.false_positives(0.1), Err(ShapeError::NoItems));
        assert_eq!(nothing.bytes(320), Err(ShapeError::NoItems));
        assert_eq!(sizing.bytes(31), Err(ShapeError::TooSmall));
        assert_eq!(sizing.blocks(0), Err(ShapeError::TooSmall));
        let large = [
            sizing.bits_per_item(f64::INFINITY),
            sizing.bytes(u64::MAX),
            sizing.blocks(u32::MAX),
            sizing.false_positives(f64::MIN_POSITIVE),
            Shape::for_items(u64::MAX).false_positives(0.99),
        ];
        assert_eq!(large, [Err(ShapeError::TooLarge); 5]);
        // The greatest of each that does.
        assert!(sizing.blocks(1 << 31).is_ok());
        assert!(sizing.false_positives(1.0 - f64::EPSILON).is_ok());
        let whole = Shape::for_items(7).blocks(5).unwrap();
        let factor = |n| NonZeroU32::new(n).unwrap();
        assert_eq!(whole.divisible_by(factor(4)).unwrap().blocks(), 8);
        assert_eq!(whole.divisible_by(factor(5)).unwrap().blocks(), 5);
        assert_eq!(
            whole.divisible_by(factor(u32::MAX)),
            Err(ShapeError::TooLarge)
        );
    }

    #[test]
    fn it_prints_for_people() {
        let print = |items, rate| {
            let shape = Shape::for_items(items).false_positives(rate);
            shape.unwrap().to_string()
        };
        assert_eq!(
            print(10, 0.001),
            "10 items in 1 blocks (32 B, 25.60 bits an item): 0.012 % false positives"
        );
    }
}
