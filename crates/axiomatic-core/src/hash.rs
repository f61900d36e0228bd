//! The hash contract: bytes in, a named algorithm, an explicit seed.
//!
//! Whatever another process, another version or a file sees must be hashed
//! in a way that is written down. `std::hash::Hash` is not: its bytes and its
//! algorithm may change with any release. So placement, sketches, buckets and
//! keyed tables hash bytes, and stored forms carry the [`Algorithm`]'s id.
//!
//! ```
//! use axiomatic_core::hash::{Algorithm, Encoder, Hasher, Seed};
//!
//! let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
//! // The published XXH3-64 of no bytes with seed 0.
//! assert_eq!(hasher.hash(b""), 0x2d06_8005_38d3_94c2);
//!
//! // ("ab", "c") and ("a", "bc") are different keys.
//! let key = |tenant: &str, user: &str| {
//!     let mut encoder = Encoder::new();
//!     encoder.text(tenant).text(user);
//!     hasher.hash(encoder.as_bytes())
//! };
//! assert_ne!(key("ab", "c"), key("a", "bc"));
//! ```

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// A hash algorithm, by its number in stored forms.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum Algorithm {
    /// XXH3, 64 bits, seeded: the default.
    /// <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>
    Xxh3 = 1,
}

impl Algorithm {
    /// The number that stands for it in stored forms; never reused.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// The algorithm of a number, if this version knows it.
    pub const fn from_id(id: u16) -> Option<Self> {
        match id {
            1 => Some(Algorithm::Xxh3),
            _ => None,
        }
    }
}

/// What is mixed into a hash: an explicit choice.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Seed {
    value: u64,
    secret: bool,
}

impl Seed {
    /// The same in every process: for whatever is stored or agreed on.
    pub const fn fixed(seed: u64) -> Self {
        Seed {
            value: seed,
            secret: false,
        }
    }

    /// Another in every process: for tables that nobody else sees.
    pub fn random() -> Self {
        Seed {
            value: entropy(),
            secret: false,
        }
    }

    /// Another in every process, and never shown: for tables some of whose
    /// keys strangers choose. Its `Debug` prints no digits.
    ///
    /// It makes it harder to choose keys that collide, not impossible: XXH3
    /// is no cryptographic function, and who sees hashes, or can measure
    /// which keys collide, may learn enough of the seed. What must hold
    /// against an attacker has to be cheap when keys collide, or bounded.
    pub fn secret() -> Self {
        Seed {
            value: entropy(),
            secret: true,
        }
    }

    /// The number, unless it is secret.
    pub const fn value(&self) -> Option<u64> {
        if self.secret { None } else { Some(self.value) }
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

/// An algorithm with its seed: a pure function from bytes to 64 bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Hasher {
    algorithm: Algorithm,
    seed: Seed,
}

impl Hasher {
    /// A hasher.
    pub const fn new(algorithm: Algorithm, seed: Seed) -> Self {
        Hasher { algorithm, seed }
    }

    /// The hash of `bytes`, the same on every platform and in every version.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        match self.algorithm {
            Algorithm::Xxh3 => twox_hash::XxHash3_64::oneshot_with_seed(self.seed.value, bytes),
        }
    }

    /// Which algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Which seed.
    pub const fn seed(&self) -> Seed {
        self.seed
    }
}

/// A bijective mixer: every input bit reaches every output bit
/// (SplitMix64's finaliser; Steele, Lea and Flood, OOPSLA 2014).
#[inline]
pub const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The order in which nodes are preferred for a key: rendezvous hashing
/// (Thaler and Ravishankar, 1998). Greater comes first; when a node leaves,
/// only its own keys move.
///
/// ```
/// use axiomatic_core::hash::rendezvous;
/// let nodes = [11u64, 22, 33];
/// let owner = nodes.iter().max_by_key(|node| rendezvous(7, **node));
/// assert!(owner.is_some());
/// ```
#[inline]
pub const fn rendezvous(key: u64, node: u64) -> (u64, u64) {
    (mix(key ^ mix(node)), node)
}

/// Writes a composite key so that different keys have different bytes: each
/// part is a tag, its length as a little-endian `u64` where it varies, and
/// its bytes.
#[derive(Clone, Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// An empty key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    pub fn text(&mut self, part: &str) -> &mut Self {
        self.part(1, part.as_bytes())
    }

    /// Adds bytes.
    pub fn bytes(&mut self, part: &[u8]) -> &mut Self {
        self.part(2, part)
    }

    /// Adds a number.
    pub fn number(&mut self, part: u64) -> &mut Self {
        self.0.push(3);
        self.0.extend_from_slice(&part.to_le_bytes());
        self
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Empties it for the next key, keeping its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        self.0.push(tag);
        self.0
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From xxHash's own sanity test vectors: buffers of its generator, seed
    /// 0 and the prime 0x9e3779b185ebca8d.
    #[test]
    fn xxh3_matches_published_vectors() {
        let mut byte_generator: u64 = 2_654_435_761;
        let buffer: Vec<u8> = (0..2367)
            .map(|_| {
                let byte = (byte_generator >> 56) as u8;
                byte_generator = byte_generator.wrapping_mul(11_400_714_785_074_694_797);
                byte
            })
            .collect();
        let plain = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
        let seeded = Hasher::new(Algorithm::Xxh3, Seed::fixed(0x9e37_79b1_85eb_ca8d));
        for (length, with_zero, with_prime) in [
            (0, 0x2d06_8005_38d3_94c2, 0xa8a6_b918_b2f0_364a),
            (1, 0xc44b_dff4_074e_ecdb, 0x032b_e332_dd76_6ef8),
            (6, 0x27b5_6a84_cd2d_7325, 0x8458_9c11_6ab5_9ab9),
            (512, 0x617e_4959_9013_cb6b, 0x3ce4_57de_14c2_7708),
            (2367, 0xcb37_aeb9_e5d3_61ed, 0xd2db_3415_b942_b42a),
        ] {
            assert_eq!(plain.hash(&buffer[..length]), with_zero, "length {length}");
            assert_eq!(
                seeded.hash(&buffer[..length]),
                with_prime,
                "length {length}"
            );
        }
    }

    #[test]
    fn a_secret_seed_is_never_printed() {
        let seed = Seed::secret();
        assert_eq!(format!("{seed:?}"), "Seed(secret)");
        assert_eq!(seed.value(), None);
        assert_ne!(Seed::random(), Seed::random());
    }

    #[test]
    fn only_keys_of_the_removed_node_move() {
        let nodes = [1u64, 2, 3, 4, 5];
        let owner = |key, nodes: &[u64]| nodes.iter().copied().max_by_key(|n| rendezvous(key, *n));
        for key in 0..10_000 {
            let before = owner(key, &nodes);
            let after = owner(key, &nodes[1..]);
            assert!(before == Some(1) || before == after);
        }
    }

    #[test]
    fn ids_are_stable() {
        assert_eq!(Algorithm::Xxh3.id(), 1);
        assert_eq!(Algorithm::from_id(1), Some(Algorithm::Xxh3));
        assert_eq!(Algorithm::from_id(0), None);
    }
}
