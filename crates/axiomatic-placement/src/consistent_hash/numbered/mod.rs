//! Shards that are numbers: nothing but how many there are, or which.

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
/// | | Which shards | What may change | A lookup at 1000 shards |
/// |---|---|---|---|
/// | [`JumpBack`] | `0..n` | the last one comes or goes | 3 ns |
/// | [`Jump`] | `0..n` | the last one comes or goes | 50 ns; for compatibility |
/// | [`ShardSet`] | any of `0..capacity` | any one comes or goes | 4.6 ns, if half of them work |
///
/// An implementation is a pure function of its value and of the hash, on every
/// platform, in every version; it allocates nothing for an owner.
///
/// The hash must be well mixed in all its 64 bits, as those of
/// [`axiomatic_core::hash`] are, and must not have placed the key before:
/// whoever chooses a region by a hash and then a shard of it by the same one
/// finds the keys of a region in some of its shards only. Hash with another
/// seed, or [`mix`](axiomatic_core::hash::mix) the hash with a number of the
/// level.
///
/// # Guarantees
///
/// - Balance is exact: shards differ by chance and by nothing else, about
///   powers of two, too (`jump_back_is_balanced_as_by_chance`,
///   `jump_is_balanced_as_by_chance`,
///   `a_set_is_balanced_as_by_chance_when_shards_are_out_by_lot`,
///   `a_set_is_balanced_as_by_chance_where_most_draws_miss`).
/// - A change moves the keys of the shard that comes or goes, and no other
///   (`a_new_last_shard_of_jump_back_takes_keys_and_no_key_goes_elsewhere`,
///   `a_new_last_shard_of_jump_takes_keys_and_no_key_goes_elsewhere`,
///   `only_keys_of_the_changed_shard_move`).
/// - The candidates are all shards, each once, the owner first
///   (`all_shards_are_candidates_once_and_the_owner_is_the_first`).
/// - The answers are the same for ever (`jump_back_answers_as_ever`,
///   `jump_answers_as_ever`, `a_set_answers_as_ever`).
///
/// How much of the candidates a change leaves alone differs:
///
/// - [`ShardSet`]: all. Without a shard the sequence is what it was, without
///   that shard (`without_a_shard_the_candidates_are_the_same_without_it`).
/// - [`JumpBack`] and [`Jump`]: the owner is as stable as promised above. The
///   others are the owners of rehashed keys, up to 31 of them. Each moves to a
///   new last shard with probability 1/n, so the first k candidates change
///   with a probability of about k/n
///   (`a_new_shard_seldom_changes_the_first_candidates`). But where the new
///   shard takes the place of another, that one is not just pushed back: it
///   may come later, or not before the rotation that ends the sequence. The
///   rotation begins at the owner, and changes with it.
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
