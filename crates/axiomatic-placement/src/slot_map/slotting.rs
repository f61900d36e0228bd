#[cfg(feature = "redis-slots")]
use axiomatic_core::hash::Algorithm::Crc16;
use axiomatic_core::hash::Algorithm::Xxh3;
use axiomatic_core::hash::{Hasher, Seed};

/// Which slot a key is in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slotting {
    /// Redis Cluster's: the CRC16 of the key's [`hash_tag`] modulo 16384.
    /// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>
    #[cfg(feature = "redis-slots")]
    RedisCluster,
    /// By the XXH3 of the key, under a seed, multiplied by the number of slots
    /// and shifted down, so that any number of slots is as even as another.
    /// (D. Lemire, "Fast random integer generation in an interval", ACM
    /// TOMACS, 2019, without its rejection: no slot is more likely than
    /// another by more than one in 2^44.)
    Xxh3(Seed),
}

/// The number of slots of a Redis Cluster.
pub(super) const REDIS_SLOTS: u32 = 16384;

/// What Redis Cluster hashes of a key: what stands between the first `{` and
/// the next `}` after it, or all of it where that is nothing.
///
/// ```
/// use axiomatic_placement::slot_map::hash_tag;
///
/// assert_eq!(hash_tag(b"{user1000}.following"), b"user1000");
/// assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
/// assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
/// ```
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let find = |bytes: &[u8], wanted| bytes.iter().position(|byte| *byte == wanted);
    let Some(open) = find(key, b'{') else {
        return key;
    };
    let after = &key[open + 1..];
    match find(after, b'}') {
        None | Some(0) => key,
        Some(close) => &after[..close],
    }
}

impl Slotting {
    /// The hash by which a key has its slot.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        match self {
            #[cfg(feature = "redis-slots")]
            Slotting::RedisCluster => Hasher::new(Crc16, Seed::fixed(0)).hash(hash_tag(key)),
            Slotting::Xxh3(seed) => Hasher::new(Xxh3, *seed).hash(key),
        }
    }

    /// The slot of a hash, of so many, which are not none.
    #[inline]
    pub(super) fn slot(&self, hash: u64, slots: u32) -> u32 {
        match self {
            #[cfg(feature = "redis-slots")]
            Slotting::RedisCluster => (hash % u64::from(slots)) as u32,
            // Less than `slots`, so the cast cuts nothing.
            Slotting::Xxh3(_) => ((u128::from(hash) * u128::from(slots)) >> 64) as u32,
        }
    }

    /// Whether there can be so many slots.
    pub(super) fn takes(&self, slots: u32) -> bool {
        let only: Option<u32> = match self {
            #[cfg(feature = "redis-slots")]
            Slotting::RedisCluster => Some(REDIS_SLOTS),
            Slotting::Xxh3(_) => None,
        };
        only.is_none_or(|only| only == slots)
    }

    /// The number that stands for it in stored forms: its hash algorithm's.
    pub(super) fn id(&self) -> u16 {
        match self {
            #[cfg(feature = "redis-slots")]
            Slotting::RedisCluster => Crc16.id(),
            Slotting::Xxh3(_) => Xxh3.id(),
        }
    }

    /// The seed that is stored with it, unless that is secret.
    pub(super) fn stored_seed(&self) -> Option<u64> {
        match self {
            #[cfg(feature = "redis-slots")]
            Slotting::RedisCluster => Some(0),
            Slotting::Xxh3(seed) => seed.value(),
        }
    }

    /// What was stored under a number, if this program can compute it.
    pub(super) fn stored(id: u16, seed: u64) -> Option<Self> {
        #[cfg(feature = "redis-slots")]
        if id == Crc16.id() && seed == 0 {
            return Some(Slotting::RedisCluster);
        }
        (id == Xxh3.id()).then_some(Slotting::Xxh3(Seed::fixed(seed)))
    }
}
