use std::fmt;
use std::hash::{BuildHasher, RandomState};

use super::mix;

/// What is mixed into a hash: an explicit choice.
///
/// It holds what each kind of algorithm takes, worked out once, so that
/// hashing need not ask which kind of seed it was.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Seed {
    /// For algorithms that take 64 bits.
    pub(super) word: u64,
    /// For those that take 128.
    pub(super) key: [u64; 2],
    secret: bool,
}

impl Seed {
    /// The same in every process: for whatever is stored or agreed on.
    pub const fn fixed(seed: u64) -> Self {
        let inner = mix(seed);
        Seed {
            word: seed,
            key: [mix(inner), mix(!inner)],
            secret: false,
        }
    }

    /// Another in every process: for tables that nobody else sees.
    pub fn random() -> Self {
        Seed::fixed(entropy())
    }

    /// Another in every process, and never shown: for tables some of whose
    /// keys strangers choose. Its `Debug` prints no digits.
    ///
    /// It makes it harder to choose keys that collide, not impossible: XXH3
    /// is no cryptographic function, and who sees hashes, or can measure
    /// which keys collide, may learn enough of the seed. What must hold
    /// against an attacker has to be cheap when keys collide, or bounded, or
    /// use SipHash.
    pub fn secret() -> Self {
        Seed::of_key(entropy(), entropy())
    }

    /// 128 bits that several processes share and nobody else knows, as
    /// SipHash's key: its halves are little-endian, as in the paper. Secret:
    /// never printed.
    ///
    /// Algorithms that take 64 bits get both halves mixed into one.
    ///
    /// ```
    /// use axiomatic_core::hash::Seed;
    /// let seed = Seed::key(*b"0123456789abcdef");
    /// assert_eq!(format!("{seed:?}"), "Seed(secret)");
    /// ```
    pub const fn key(key: [u8; 16]) -> Self {
        // Both casts cut the number: that is what they are for.
        let key = u128::from_le_bytes(key);
        Seed::of_key(key as u64, (key >> 64) as u64)
    }

    const fn of_key(low: u64, high: u64) -> Self {
        Seed {
            // One after the other: their exclusive or would be 0 for every
            // key whose halves are equal.
            word: mix(mix(low) ^ high),
            key: [low, high],
            secret: true,
        }
    }

    /// The seed of a second hash of the same bytes: the number after this one,
    /// as secret as it.
    ///
    /// ```
    /// use axiomatic_core::hash::Seed;
    /// assert_eq!(Seed::fixed(0).next(), Seed::fixed(1));
    /// ```
    #[must_use = "a seed is a value"]
    pub const fn next(self) -> Self {
        let Seed { word, key, secret } = self;
        if secret {
            return Seed {
                word: word.wrapping_add(1),
                key: [key[0].wrapping_add(1), key[1]],
                secret,
            };
        }
        Seed::fixed(word.wrapping_add(1))
    }

    /// The number, unless it is secret.
    pub const fn value(&self) -> Option<u64> {
        if self.secret { None } else { Some(self.word) }
    }
}

/// 64 bits nobody can predict: SipHash of nothing under keys that std takes
/// from the operating system, once a thread, and steps at each use. It needs
/// no dependency and cannot fail.
pub fn entropy() -> u64 {
    RandomState::new().hash_one(())
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => write!(f, "Seed({value:#x})"),
            None => f.write_str("Seed(secret)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_secret_seed_is_never_printed() {
        for seed in [Seed::secret(), Seed::key([7; 16])] {
            assert_eq!(format!("{seed:?}"), "Seed(secret)");
            assert_eq!(seed.value(), None);
        }
        assert_ne!(Seed::random(), Seed::random());
        assert_ne!(Seed::secret(), Seed::secret());
    }

    #[test]
    fn a_key_is_two_little_endian_halves() {
        let seed = Seed::key(std::array::from_fn(|at| at as u8));
        assert_eq!(seed.key, [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
    }

    /// Two hashes under one seed whose halves are equal were one hash
    /// (bloomfilter 3.0.2).
    #[test]
    fn keys_of_equal_halves_do_not_meet_in_64_bits() {
        let words: HashSet<u64> = (0..=u8::MAX).map(|b| Seed::key([b; 16]).word).collect();
        assert_eq!(words.len(), 256);
        assert!(!words.contains(&0));
        // Nor do those whose halves change places.
        let swapped = |low, high| (Seed::of_key(low, high).word, Seed::of_key(high, low).word);
        for (one, other) in [swapped(1, 2), swapped(0, u64::MAX), swapped(7, 8)] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_halves_of_a_seeds_key_are_unlike_each_other_and_their_neighbours() {
        let mut seen = HashSet::new();
        for seed in (0..2000).chain((0..64).map(|bit| u64::MAX << bit)) {
            let [low, high] = Seed::fixed(seed).key;
            // Two random words differ in fewer than 10 bits or in more than
            // 54 with a chance of 4e-9.
            assert!(
                (10..=54).contains(&(low ^ high).count_ones()),
                "seed {seed}"
            );
            seen.extend([low, high]);
        }
        assert_eq!(seen.len(), 2 * (2000 + 64), "a half came twice");
    }
}
