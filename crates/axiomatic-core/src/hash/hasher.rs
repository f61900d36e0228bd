use std::fmt;

use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};

use super::{Algorithm, Seed};

/// An algorithm with its seed: a pure function from bytes to 64 bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Hasher {
    algorithm: Algorithm,
    seed: Seed,
}

impl Hasher {
    /// A hasher. The seed always has an effect; what it is for an algorithm
    /// that takes none, tells the [module](super#seeds).
    pub const fn new(algorithm: Algorithm, seed: Seed) -> Self {
        Hasher { algorithm, seed }
    }

    /// A hasher that is the named algorithm and nothing else.
    ///
    /// # Errors
    ///
    /// [`SeedError`] if the algorithm takes no seed and this is not
    /// `Seed::fixed(0)`: it would no longer be the named system's hash, and
    /// no seed protects it from keys chosen to collide.
    ///
    /// ```
    /// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
    /// assert!(Hasher::exact(Algorithm::Xxh3, Seed::secret()).is_ok());
    /// # #[cfg(feature = "crc")]
    /// assert!(Hasher::exact(Algorithm::Crc32, Seed::secret()).is_err());
    /// ```
    pub const fn exact(algorithm: Algorithm, seed: Seed) -> Result<Self, SeedError> {
        if algorithm.takes_seed() || matches!(seed.value(), Some(0)) {
            Ok(Hasher { algorithm, seed })
        } else {
            Err(SeedError { algorithm })
        }
    }

    /// The hash of `bytes`, the same on every platform and in every version.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        // The default apart, so that what is inlined is one comparison.
        match self.algorithm {
            Algorithm::Xxh3 => XxHash3_64::oneshot_with_seed(self.seed.word, bytes),
            _ => self.hash_by_another(bytes),
        }
    }

    /// The hash of a number: that of its eight bytes, little-endian, and so the
    /// same as [`hash`](Self::hash) of `number.to_le_bytes()`; by XXH3 in
    /// half of the time, since nothing has to be asked about lengths.
    ///
    /// ```
    /// # use axiomatic_core::hash::{Algorithm, Hasher, Seed};
    /// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(7));
    /// assert_eq!(hasher.hash_u64(42), hasher.hash(&42_u64.to_le_bytes()));
    /// ```
    #[inline]
    pub fn hash_u64(&self, number: u64) -> u64 {
        match self.algorithm {
            Algorithm::Xxh3 => super::xxh3::of_eight_bytes(self.seed.word, number),
            _ => self.hash_by_another(&number.to_le_bytes()),
        }
    }

    fn hash_by_another(&self, bytes: &[u8]) -> u64 {
        let word = self.seed.word;
        match self.algorithm {
            Algorithm::Xxh3 => XxHash3_64::oneshot_with_seed(word, bytes),
            Algorithm::Xxh64 => XxHash64::oneshot(word, bytes),
            #[cfg(feature = "murmur")]
            Algorithm::Murmur3 => super::murmur::murmur3_x64_128(word, bytes) as u64,
            #[cfg(feature = "murmur")]
            Algorithm::Murmur2 => {
                let hash = super::murmur::murmur2(super::murmur::KAFKA, bytes);
                seeded_after(u64::from(hash), word)
            }
            #[cfg(feature = "murmur")]
            Algorithm::Murmur64A => super::murmur::murmur64a(word, bytes),
            #[cfg(feature = "crc")]
            Algorithm::Crc32 => seeded_after(u64::from(super::crc::crc32(bytes)), word),
            #[cfg(feature = "crc")]
            Algorithm::Crc16 => seeded_after(u64::from(super::crc::crc16(bytes)), word),
            #[cfg(feature = "md5")]
            Algorithm::Md5 => seeded_after(md5(bytes) as u64 & u64::from(u32::MAX), word),
            #[cfg(feature = "siphash")]
            Algorithm::SipHash13 => super::sip::sip13(self.seed.key, bytes),
            #[cfg(feature = "siphash")]
            Algorithm::SipHash24 => super::sip::sip24(self.seed.key, bytes),
        }
    }

    /// The hash of `bytes` in 128 bits, of an algorithm that has as many; its
    /// bytes are those of `to_le_bytes`.
    ///
    /// The lower half need not be [`hash`](Self::hash): it is for Murmur3, and
    /// SipHash's are two functions.
    pub fn hash128(&self, bytes: &[u8]) -> Option<u128> {
        match self.algorithm {
            Algorithm::Xxh3 => Some(XxHash3_128::oneshot_with_seed(self.seed.word, bytes)),
            #[cfg(feature = "murmur")]
            Algorithm::Murmur3 => Some(super::murmur::murmur3_x64_128(self.seed.word, bytes)),
            #[cfg(feature = "md5")]
            Algorithm::Md5 => {
                let digest = md5(bytes);
                let low = seeded_after(digest as u64, self.seed.word);
                let high = seeded_after((digest >> 64) as u64, self.seed.word);
                Some(u128::from(high) << 64 | u128::from(low))
            }
            #[cfg(feature = "siphash")]
            Algorithm::SipHash13 => Some(super::sip::sip13_128(self.seed.key, bytes)),
            #[cfg(feature = "siphash")]
            Algorithm::SipHash24 => Some(super::sip::sip24_128(self.seed.key, bytes)),
            _ => None,
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

/// A seed for what takes none: nothing for 0, or else a bijection, so that
/// two keys collide under it if and only if they collide without it.
#[cfg(any(feature = "murmur", feature = "crc", feature = "md5"))]
const fn seeded_after(raw: u64, word: u64) -> u64 {
    use super::mix;
    if word == 0 { raw } else { mix(raw ^ mix(word)) }
}

/// RFC 1321's digest, its first byte lowest.
#[cfg(feature = "md5")]
fn md5(bytes: &[u8]) -> u128 {
    use md5::Digest;
    u128::from_le_bytes(md5::Md5::digest(bytes).into())
}

/// The algorithm takes no seed, and one was given that is not
/// `Seed::fixed(0)`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SeedError {
    algorithm: Algorithm,
}

impl SeedError {
    /// Which algorithm takes no seed.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Display for SeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.algorithm.name();
        write!(
            f,
            "{name} takes no seed: only Seed::fixed(0) leaves it what it is"
        )
    }
}

impl std::error::Error for SeedError {}
