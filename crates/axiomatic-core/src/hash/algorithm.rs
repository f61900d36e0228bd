use std::fmt;

/// A hash algorithm, by its number in stored forms. A variant whose feature
/// is off does not exist, so that no hasher can be made of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum Algorithm {
    /// XXH3, 64 and 128 bits, seeded: the default.
    /// <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>
    Xxh3 = 1,
    /// XXH64, seeded, of the same specification.
    Xxh64 = 2,
    /// MurmurHash3 x64-128: the first 64 bits, or all of them.
    /// <https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp>
    ///
    /// The original takes 32 bits of seed and puts them into both halves of
    /// its state, as this does with 64. Cassandra's own variant extends the
    /// sign of bytes from 128 up in a key's last block, and differs there.
    #[cfg(feature = "murmur")]
    Murmur3 = 3,
    /// MurmurHash2, 32 bits, with the seed `0x9747b28c`: Kafka's default
    /// partitioner, which takes the remainder of `hash & 0x7fff_ffff`.
    /// <https://github.com/aappleby/smhasher/blob/master/src/MurmurHash2.cpp>
    #[cfg(feature = "murmur")]
    Murmur2 = 4,
    /// MurmurHash64A, from the same file: Envoy's `MURMUR_HASH_2` with the
    /// seed `0xc70f6907`, RedisBloom.
    #[cfg(feature = "murmur")]
    Murmur64A = 5,
    /// CRC-32 of IEEE 802.3 and zlib.
    /// <https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-32-iso-hdlc>
    #[cfg(feature = "crc")]
    Crc32 = 6,
    /// CRC-16/XMODEM: Redis Cluster takes its remainder by 16384.
    /// <https://reveng.sourceforge.io/crc-catalogue/16.htm#crc.cat.crc-16-xmodem>
    #[cfg(feature = "crc")]
    Crc16 = 7,
    /// MD5 (RFC 1321), for rings that libketama laid out and for nothing that
    /// must be safe. The hash is the digest's first four bytes as a
    /// little-endian number, libketama's key; the digest's four points are
    /// the four `u32` of [`hash128`](super::Hasher::hash128), lowest first.
    #[cfg(feature = "md5")]
    Md5 = 8,
    /// SipHash-1-3, keyed: faster than 2-4, and enough for tables.
    /// <https://www.aumasson.jp/siphash/siphash.pdf>
    #[cfg(feature = "siphash")]
    SipHash13 = 9,
    /// SipHash-2-4, keyed, as its paper proposes it.
    #[cfg(feature = "siphash")]
    SipHash24 = 10,
}

/// Every number given out, compiled in or not, with its name and feature.
const KNOWN: [(u16, &str, Option<&str>); 10] = [
    (1, "xxh3", None),
    (2, "xxh64", None),
    (3, "murmur3-x64-128", Some("murmur")),
    (4, "murmur2-kafka", Some("murmur")),
    (5, "murmur64a", Some("murmur")),
    (6, "crc32", Some("crc")),
    (7, "crc16-xmodem", Some("crc")),
    (8, "md5", Some("md5")),
    (9, "siphash-1-3", Some("siphash")),
    (10, "siphash-2-4", Some("siphash")),
];

impl Algorithm {
    /// Those that are compiled in, by their numbers.
    pub const ALL: &'static [Algorithm] = &[
        Algorithm::Xxh3,
        Algorithm::Xxh64,
        #[cfg(feature = "murmur")]
        Algorithm::Murmur3,
        #[cfg(feature = "murmur")]
        Algorithm::Murmur2,
        #[cfg(feature = "murmur")]
        Algorithm::Murmur64A,
        #[cfg(feature = "crc")]
        Algorithm::Crc32,
        #[cfg(feature = "crc")]
        Algorithm::Crc16,
        #[cfg(feature = "md5")]
        Algorithm::Md5,
        #[cfg(feature = "siphash")]
        Algorithm::SipHash13,
        #[cfg(feature = "siphash")]
        Algorithm::SipHash24,
    ];

    /// The number that stands for it in stored forms; never 0, never reused.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// The algorithm of a number, if this program can compute it. Why not,
    /// tells [`try_from`](Self#impl-TryFrom%3Cu16%3E-for-Algorithm).
    pub const fn from_id(id: u16) -> Option<Self> {
        let mut at = 0;
        while at < Self::ALL.len() {
            if Self::ALL[at].id() == id {
                return Some(Self::ALL[at]);
            }
            at += 1;
        }
        None
    }

    /// Its name, in lower case, for logs and files that people read.
    pub const fn name(self) -> &'static str {
        // Numbers are given out without a gap (`numbers_are_without_a_gap`).
        KNOWN[self.id() as usize - 1].1
    }

    /// How many bits of a [`hash`](super::Hasher::hash) may be set, from the
    /// lowest up, with `Seed::fixed(0)`.
    pub const fn bits(self) -> u32 {
        match self {
            #[cfg(feature = "murmur")]
            Algorithm::Murmur2 => 32,
            #[cfg(feature = "crc")]
            Algorithm::Crc32 => 32,
            #[cfg(feature = "crc")]
            Algorithm::Crc16 => 16,
            #[cfg(feature = "md5")]
            Algorithm::Md5 => 32,
            _ => 64,
        }
    }

    /// Whether the algorithm itself takes a seed, so that another seed also
    /// means other collisions.
    pub const fn takes_seed(self) -> bool {
        match self {
            #[cfg(feature = "murmur")]
            Algorithm::Murmur2 => false,
            #[cfg(feature = "crc")]
            Algorithm::Crc32 | Algorithm::Crc16 => false,
            #[cfg(feature = "md5")]
            Algorithm::Md5 => false,
            _ => true,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a number stands for no algorithm here.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlgorithmError {
    /// No algorithm that this version knows has it: the form is of a later
    /// version, or damaged.
    Unknown(u16),
    /// The algorithm exists, and the program was built without it.
    NotCompiled {
        /// Its number.
        id: u16,
        /// Its name.
        name: &'static str,
        /// The feature of axiomatic-core that brings it.
        feature: &'static str,
    },
}

impl TryFrom<u16> for Algorithm {
    type Error = AlgorithmError;

    /// # Errors
    ///
    /// [`AlgorithmError`] if no algorithm has the number, or if the program
    /// was built without it.
    fn try_from(id: u16) -> Result<Self, AlgorithmError> {
        if let Some(algorithm) = Algorithm::from_id(id) {
            return Ok(algorithm);
        }
        match KNOWN.iter().find(|known| known.0 == id) {
            Some(&(id, name, Some(feature))) => {
                Err(AlgorithmError::NotCompiled { id, name, feature })
            }
            _ => Err(AlgorithmError::Unknown(id)),
        }
    }
}

impl fmt::Display for AlgorithmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlgorithmError::Unknown(id) => write!(f, "no hash algorithm has the number {id}"),
            AlgorithmError::NotCompiled { id, name, feature } => write!(
                f,
                "hash algorithm {id} ({name}) needs the feature `{feature}` of axiomatic-core"
            ),
        }
    }
}

impl std::error::Error for AlgorithmError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable() {
        assert_eq!(Algorithm::Xxh3.id(), 1);
        assert_eq!(Algorithm::Xxh64.id(), 2);
        #[cfg(feature = "murmur")]
        {
            assert_eq!(Algorithm::Murmur3.id(), 3);
            assert_eq!(Algorithm::Murmur2.id(), 4);
            assert_eq!(Algorithm::Murmur64A.id(), 5);
        }
        #[cfg(feature = "crc")]
        {
            assert_eq!(Algorithm::Crc32.id(), 6);
            assert_eq!(Algorithm::Crc16.id(), 7);
        }
        #[cfg(feature = "md5")]
        assert_eq!(Algorithm::Md5.id(), 8);
        #[cfg(feature = "siphash")]
        {
            assert_eq!(Algorithm::SipHash13.id(), 9);
            assert_eq!(Algorithm::SipHash24.id(), 10);
        }
    }

    /// `name` finds a row by its place.
    #[test]
    fn numbers_are_without_a_gap() {
        for (at, known) in KNOWN.iter().enumerate() {
            assert_eq!(usize::from(known.0), at + 1);
        }
    }

    #[test]
    fn every_number_is_an_algorithm_not_compiled_or_unknown() {
        let mut compiled = Vec::new();
        for id in 0..=u16::MAX {
            let known = KNOWN.iter().find(|known| known.0 == id);
            match (Algorithm::try_from(id), known) {
                (Ok(algorithm), Some(_)) => {
                    assert_eq!(algorithm.id(), id);
                    assert_eq!(Algorithm::from_id(id), Some(algorithm));
                    compiled.push(algorithm);
                }
                (Err(AlgorithmError::NotCompiled { id: at, .. }), Some(_)) => assert_eq!(at, id),
                (Err(error), None) => assert_eq!(error, AlgorithmError::Unknown(id)),
                (answer, known) => panic!("{id} is {known:?}, and {answer:?}"),
            }
        }
        assert_eq!(compiled, Algorithm::ALL, "unique, in order, never 0");
        assert_eq!(Algorithm::from_id(0), None);
    }

    #[test]
    fn what_is_not_compiled_says_which_feature_brings_it() {
        let features = [
            (3, "murmur", cfg!(feature = "murmur")),
            (6, "crc", cfg!(feature = "crc")),
            (8, "md5", cfg!(feature = "md5")),
            (9, "siphash", cfg!(feature = "siphash")),
        ];
        for (id, feature, on) in features {
            match Algorithm::try_from(id) {
                Ok(algorithm) => assert!(on, "{algorithm} without {feature}"),
                Err(error) => {
                    assert!(!on);
                    assert!(error.to_string().contains(feature), "{error}");
                }
            }
        }
    }
}
