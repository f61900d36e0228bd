use axiomatic_core::hash::mix;

use super::candidates::Rehashed;
use super::{NumberedShards, ShardsError, checked};

/// What SplitMix64 adds to its state at each step.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// JumpBackHash: the owner among shards `0..n`, exactly balanced, in
/// integers, in a time that does not grow with `n`.
///
/// A shard is added or removed at the end: of the keys only those that the
/// last one owns move, and its share of 1/n of all is what moves.
///
/// Bit-compatible with `ConsistentHashing.jumpBackHash` of
/// [hash4j](https://github.com/dynatrace-oss/hash4j) with its generator
/// SplitMix64, whose published checksum the tests reproduce.
///
/// # How it works
///
/// The numbers above 0 fall into ranges `2^k..2^(k+1)`. In the world of
/// 2^31 shards, which is always the same one, the key has a sequence of
/// shards that it would be moved to, one after the other, were they added one
/// by one; its owner among `0..n` is the last of them below `n`. Two facts
/// make that cheap to find from above: a range contains a member of the
/// sequence with probability 1/2, independently of the others, so 31 random
/// bits say which do; and the greatest member in a range is uniform over it.
/// So the highest range that is taken gives the owner at once, unless the
/// drawn shard is `n` or above, where one draws on, downwards, within the
/// range, until a shard is there or the range is exhausted.
///
/// Ertl, "JumpBackHash: Say Goodbye to the Modulo Operation to Distribute
/// Keys Uniformly to Buckets", 2024: <https://arxiv.org/abs/2403.18682>.
///
/// ```
/// use axiomatic_core::hash::{Algorithm, Hasher, Seed};
/// use axiomatic_placement::consistent_hash::{JumpBack, NumberedShards};
///
/// let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
/// let hash = hasher.hash(b"customer 4711");
/// let (seven, eight) = (JumpBack::new(7)?, JumpBack::new(8)?);
///
/// // It stays where it is, or it is among the eighth of the new shard.
/// let owner = eight.owner(hash);
/// assert!(owner == seven.owner(hash) || owner == 7);
/// # Ok::<_, axiomatic_placement::consistent_hash::ShardsError>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct JumpBack {
    shards: u32,
}

impl JumpBack {
    /// As many shards.
    ///
    /// # Errors
    ///
    /// If there are none, or more than [`MAX_SHARDS`](super::MAX_SHARDS).
    pub const fn new(shards: u32) -> Result<Self, ShardsError> {
        match checked(shards) {
            Ok(shards) => Ok(JumpBack { shards }),
            Err(error) => Err(error),
        }
    }
}

impl NumberedShards for JumpBack {
    const ALGORITHM: u16 = 1;

    #[inline]
    fn owner(&self, hash: u64) -> u32 {
        let shards = self.shards;
        let mut state = hash;
        // `mix` adds the step itself: this is the generator's first number.
        let first = mix(state);
        // One bit a range, for those that begin below the number of shards.
        let ranges = shards.next_power_of_two() - 1;
        let mut taken = (first ^ (first >> 32)) as u32 & ranges;
        while taken != 0 {
            let begin = 1 << taken.ilog2();
            // At most two ranges are looked at, and each has a half of the
            // number to itself: the parity of the remaining bits tells which,
            // and does not depend on the number of shards.
            let half = first >> (32 * (taken.count_ones() & 1));
            let drawn = begin + (half as u32 & (begin - 1));
            if drawn < shards {
                return drawn;
            }
            // Only the highest range reaches beyond the shards, so this is
            // done for one range at most. Downwards, a draw below twice the
            // range's beginning is in it, or says that it is exhausted.
            'range: loop {
                state = state.wrapping_add(STEP);
                let number = mix(state);
                for half in [number as u32, (number >> 32) as u32] {
                    let drawn = half & (2 * begin - 1);
                    if drawn < begin {
                        break 'range;
                    }
                    if drawn < shards {
                        return drawn;
                    }
                }
            }
            taken ^= begin;
        }
        0
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        Rehashed::new(*self, hash)
    }

    fn count(&self) -> u32 {
        self.shards
    }
}
