//! How large a ring of generations is: the arithmetic, done once.

use std::fmt;
use std::num::NonZeroU32;

use super::error::ShapeError;
use super::mask::TAGGED_BITS;
use super::shape::{Memory, Percentage, check_rate};
use crate::load;

/// Bits of a key. With fewer a word is best only at rates that nobody asks
/// for; more were not tried, since each costs a question a multiplication.
const DRAWS: std::ops::RangeInclusive<u32> = 4..=8;
/// Words that there may be: 64 GiB of them.
const MOST_WORDS: u64 = 1 << 33;
/// Groups that a hash can choose among.
const MOST_GROUPS: u64 = 1 << 31;

/// How many generations a window is divided into: the more, the sooner after
/// the window a key is forgotten, and the more bits each question looks at.
///
/// | | Forgotten at most | Memory for 1 % | A key's words |
/// |---|---|---|---|
/// | `Two` | 2 windows after | 35.6 bits an item | 16 bytes |
/// | `Four` | 1 1/3 windows after | 29.5 bits an item | 32 bytes |
/// | `Eight` | 1 1/7 windows after | 31.1 bits an item | 64 bytes |
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generations {
    /// One that is filled, and one that is remembered.
    Two,
    /// One that is filled, and three that are remembered.
    #[default]
    Four,
    /// One that is filled, and seven that are remembered.
    Eight,
}

impl Generations {
    /// How many they are.
    pub const fn count(self) -> u32 {
        1 << self.log2()
    }

    pub(super) const fn log2(self) -> u32 {
        match self {
            Generations::Two => 1,
            Generations::Four => 2,
            Generations::Eight => 3,
        }
    }

    /// How many of them are filled in one window: all but one, since the
    /// current one has only begun.
    pub(super) const fn per_window(self) -> u64 {
        (self.count() - 1) as u64
    }
}

/// Groups of one word a generation, and bits of a key in a word.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct RingShape {
    groups: NonZeroU32,
    draws: u32,
    generations: Generations,
    /// Planned for in each generation.
    items: f64,
}

impl RingShape {
    /// For so many items a window: no more than this share of absent keys is
    /// answered with "maybe" when every generation is full.
    pub(super) fn new(
        items: u64,
        generations: Generations,
        rate: f64,
    ) -> Result<RingShape, ShapeError> {
        check_rate(rate)?;
        if items == 0 {
            return Err(ShapeError::NoItems);
        }
        let items = items as f64 / generations.per_window() as f64;
        let (mut draws, mut load) = (*DRAWS.start(), 0.0);
        for of_a_key in DRAWS {
            let words = WordRates::new(of_a_key);
            let most = load::greatest(rate, |load| words.any(load, generations));
            if most > load {
                (draws, load) = (of_a_key, most);
            }
        }
        // Casts of f64 saturate: at infinity there are too many.
        let groups = (items / load).ceil() as u64;
        let words = groups.saturating_mul(u64::from(generations.count()));
        if words > MOST_WORDS || groups > MOST_GROUPS {
            return Err(ShapeError::TooLarge);
        }
        let groups = u32::try_from(groups).ok().and_then(NonZeroU32::new);
        Ok(RingShape {
            groups: groups.ok_or(ShapeError::TooSmall)?,
            draws,
            generations,
            items,
        })
    }

    #[inline(always)]
    pub(super) fn groups(&self) -> u32 {
        self.groups.get()
    }

    #[inline(always)]
    pub(super) fn draws(&self) -> u32 {
        self.draws
    }

    #[inline(always)]
    pub(super) fn generations(&self) -> Generations {
        self.generations
    }

    pub(super) fn words(&self) -> u64 {
        u64::from(self.groups()) * u64::from(self.generations.count())
    }

    pub(super) fn items_per_generation(&self) -> f64 {
        self.items
    }

    /// The share of absent keys that are answered with "maybe" when every
    /// generation is full.
    pub(super) fn false_positives(&self) -> f64 {
        let load = self.items / f64::from(self.groups());
        WordRates::new(self.draws).any(load, self.generations)
    }
}

impl fmt::Display for RingShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.generations.count();
        let memory = Memory(8 * self.words());
        let rate = Percentage(self.false_positives());
        let items = self.items;
        write!(f, "in {count} generations of {items:.0} items ({memory}): ")?;
        write!(f, "{rate} false positives")
    }
}

/// How a key's draws and the bits of a word meet: exactly.
///
/// All words of a group are asked for the same bits, so they do not err
/// independently: where two draws of a key fall on one bit, each word has one
/// bit less to miss. What is left does not depend on each other, so chances of
/// several words are multiplied for each number of different bits.
pub(super) struct Mask {
    /// By the number of different bits, how often a key has so many.
    chances: [f64; Mask::MOST + 1],
    /// By that, and by the number of bits that are set in a word, the chance
    /// that all of them are.
    hits: [[f64; BITS + 1]; Mask::MOST + 1],
}

impl Mask {
    const MOST: usize = *DRAWS.end() as usize;

    /// Of so many draws.
    pub(super) fn new(draws: u32) -> Self {
        let mut chances = [0.0; Self::MOST + 1];
        chances[0] = 1.0;
        for _ in 0..draws {
            draw(&mut chances);
        }
        let left = |n: usize, bit| n.saturating_sub(bit) as f64;
        let hit = |bits, ones| {
            let each = (0..bits).map(|bit| left(ones, bit) / left(BITS, bit));
            each.product()
        };
        let hits = |bits| std::array::from_fn(|ones| hit(bits, ones));
        Mask {
            chances,
            hits: std::array::from_fn(hits),
        }
    }

    /// What comes of `of(different bits)`, on the average.
    pub(super) fn mean(&self, of: impl Fn(usize) -> f64) -> f64 {
        let chances = self.chances.iter().enumerate().skip(1);
        chances.map(|(bits, chance)| chance * of(bits)).sum()
    }

    /// The chance that so many different bits are all among those set.
    pub(super) fn hit(&self, bits: usize, ones: u32) -> f64 {
        self.hits[bits][ones as usize]
    }
}

const BITS: usize = TAGGED_BITS as usize;

/// One more draw: the number of bits that are set is a Markov chain, which a
/// draw takes from `m` to `m + 1` with a chance of `1 - m/56`.
fn draw(chances: &mut [f64]) {
    let share = |ones: usize| ones as f64 / BITS as f64;
    for ones in (1..chances.len()).rev() {
        let newly = chances[ones - 1] * (1.0 - share(ones - 1));
        chances[ones] = chances[ones] * share(ones) + newly;
    }
    chances[0] = 0.0;
}

/// Rates of a word, by the keys in it and the different bits asked for.
struct WordRates {
    mask: Mask,
    /// On the heap, since loom's stacks are small.
    rates: Vec<[f64; WordRates::KEYS]>,
}

impl WordRates {
    /// A word with so many keys answers everything with yes.
    const KEYS: usize = 129;

    /// Of keys with so many draws.
    fn new(draws: u32) -> Self {
        let mask = Mask::new(draws);
        let mut rates = vec![[0.0; Self::KEYS]; Mask::MOST + 1];
        let mut chances = [0.0; BITS + 1];
        chances[0] = 1.0;
        for keys in 0..Self::KEYS {
            for (bits, rates) in rates.iter_mut().enumerate() {
                let weighted = chances.iter().zip(&mask.hits[bits]);
                rates[keys] = weighted.map(|(chance, hit)| chance * hit).sum();
            }
            for _ in 0..draws {
                draw(&mut chances);
            }
        }
        WordRates { mask, rates }
    }

    /// The chance that any of so many words errs, each with so many keys on
    /// the average.
    fn any(&self, load: f64, generations: Generations) -> f64 {
        let any = self.mask.mean(|bits| {
            let rates = &self.rates[bits];
            let of = |keys: u32| rates.get(keys as usize).copied().unwrap_or(1.0);
            either(load::mean(load, of), generations)
        });
        any.min(1.0)
    }
}

/// The chance of any if each has this one: what becomes of `1 - (1 - one)^2`
/// by doubling, which keeps the digits that the subtraction would lose.
fn either(one: f64, generations: Generations) -> f64 {
    (0..generations.log2()).fold(one, |rate, _| 2.0 * rate - rate * rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_a_word_are_exact() {
        // What can be counted by hand: one key of two draws has set one bit
        // with a chance of 1/56, otherwise two, and another one has as many.
        let words = WordRates::new(2);
        let (one, two) = (1.0 / 56.0, 2.0 / 56.0);
        let hit = |bits: usize| words.rates[bits][1];
        assert!((hit(1) / (one * one + (1.0 - one) * two) - 1.0).abs() < 1e-12);
        assert!((hit(2) / ((1.0 - one) * two / 55.0) - 1.0).abs() < 1e-12);
        for draws in DRAWS {
            let words = WordRates::new(draws);
            assert!((words.mask.mean(|_| 1.0) - 1.0).abs() < 1e-12);
            for rates in &words.rates[1..] {
                assert_eq!(rates[0], 0.0);
                assert!(rates.windows(2).all(|pair| pair[0] <= pair[1]));
                assert!(rates[128] <= 1.0 + 1e-12 && rates[128] > 0.99);
            }
            // By draws that need not be different, which is the same.
            let ones = 20;
            let hit = words.mask.mean(|bits| words.mask.hit(bits, ones));
            let expected = (f64::from(ones) / 56.0).powi(draws as i32);
            assert!((hit / expected - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn one_of_several_errs_as_often_as_the_formula_says() {
        for generations in [Generations::Two, Generations::Four, Generations::Eight] {
            let none = (1.0_f64 - 0.01).powi(generations.count() as i32);
            assert!((either(0.01, generations) - (1.0 - none)).abs() < 1e-15);
            let rare = 1e-20 * f64::from(generations.count());
            assert!((either(1e-20, generations) / rare - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_rate_is_at_most_what_was_asked_and_a_group_less_is_too_few() {
        for generations in [Generations::Two, Generations::Four, Generations::Eight] {
            for rate in [0.5, 0.1, 0.01, 1e-3, 1e-6, 1e-9] {
                let shape = RingShape::new(1_000_000, generations, rate).unwrap();
                assert!(shape.false_positives() <= rate, "{shape:?}");
                let groups = NonZeroU32::new(shape.groups() - 1).unwrap();
                let less = RingShape { groups, ..shape };
                assert!(less.false_positives() > rate, "{less:?}");
            }
        }
    }

    /// The column of the table of [`Generations`].
    #[test]
    fn sizes_are_those_of_the_table() {
        let bits = |generations| {
            let shape = RingShape::new(1_000_000, generations, 0.01).unwrap();
            (shape.words() as f64 * 64.0 / 1e5).round() / 10.0
        };
        let sizes = [Generations::Two, Generations::Four, Generations::Eight].map(bits);
        assert_eq!(sizes, [35.6, 29.5, 31.1]);
    }

    #[test]
    fn no_number_of_a_user_panics_and_each_that_makes_no_sense_is_told() {
        let shape = |items, rate| RingShape::new(items, Generations::Eight, rate);
        for rate in [0.0, 1.0, -0.5, 2.0, f64::NAN, f64::INFINITY] {
            assert_eq!(shape(10, rate), Err(ShapeError::Rate));
        }
        assert_eq!(shape(0, 0.5), Err(ShapeError::NoItems));
        assert_eq!(shape(u64::MAX, 0.9), Err(ShapeError::TooLarge));
        assert_eq!(shape(1, f64::MIN_POSITIVE), Err(ShapeError::TooLarge));
        assert!(shape(1, 1.0 - f64::EPSILON).is_ok());
    }
}
