//! Shards that are numbers: nothing but how many there are, or which.
//!
//! | | Which shards | What may change | A lookup at 1000 shards |
//! |---|---|---|---|
//! | [`JumpBack`] | `0..n` | the last one comes or goes | 3.2 ns |
//! | [`Jump`] | `0..n` | the last one comes or goes | 51 ns; for compatibility |
//! | [`ShardSet`] | any of `0..capacity` | any comes or goes | 5.6 ns, half of them working |
//!
//! Each takes the hash of a key, which must be well mixed in all its 64 bits,
//! as those of [`axiomatic_core::hash`] are. Balance is exact: the shares
//! differ as chance has it, and by nothing else; and a change moves the keys
//! of the shard that comes or goes, and no other.
//!
//! Two levels must not use the same hash: whoever places keys in a region by
//! their hash and then in a shard of it by the same one finds the keys of a
//! region in some of its shards only. Hash with another seed, or
//! [`mix`](axiomatic_core::hash::mix) in a number of the level.
//!
//! # Whom to ask next
//!
//! [`candidates`](NumberedShards::candidates) has all shards, each once, the
//! owner first. How much of it a change leaves alone differs.
//!
//! - [`ShardSet`]: all. Without a shard the sequence is what it was, without
//!   that shard (`without_a_shard_the_candidates_are_the_same_without_it`).
//! - [`JumpBack`] and [`Jump`]: the owner is as stable as promised above. The
//!   others are the owners of rehashed keys, 31 of them, and a new last shard
//!   is drawn by each with probability 1/n, so the first k candidates change
//!   with a probability of at most about k/n
//!   (`a_new_shard_seldom_changes_the_first_candidates`). But where it takes
//!   the place of one that was drawn, that one may come later, or not until
//!   the rotation that ends the sequence; it is not just pushed back. The
//!   rotation begins at the owner, and so changes with it.

mod candidates;
mod draws;
mod error;
mod jump;
mod jump_back;
mod order;
mod shard_set;
mod stored;

pub use error::{DecodeShardsError, ShardsError};
pub use jump::Jump;
pub use jump_back::JumpBack;
pub use shard_set::ShardSet;

/// The most shards that there can be: 2^31 - 1, for the numbers of the other
/// implementations are signed.
pub const MAX_SHARDS: u32 = i32::MAX as u32;

/// Shards that are known by their numbers.
///
/// An implementation is a pure function of its value and the hash, on every
/// platform, in every version; it allocates nothing for an owner.
pub trait NumberedShards {
    /// The number that stands for the algorithm in stored forms; never reused,
    /// and another one if an answer ever differs.
    const ALGORITHM: u16;

    /// The shard that owns the keys of this hash.
    fn owner(&self, hash: u64) -> u32;

    /// All shards, each once, the owner first: whom to ask next. Found as they
    /// are asked for; memory is taken, if at all, behind the first.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + '_;

    /// How many shards there are; never 0.
    fn count(&self) -> u32;
}

const fn checked(shards: u32) -> Result<u32, ShardsError> {
    match shards {
        0 => Err(ShardsError::Empty),
        1..=MAX_SHARDS => Ok(shards),
        _ => Err(ShardsError::TooMany(shards)),
    }
}
