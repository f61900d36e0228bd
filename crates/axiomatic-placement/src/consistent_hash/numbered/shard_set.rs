use std::fmt;
use std::sync::Arc;

use axiomatic_core::hash::rendezvous;

use super::draws::Draws;
use super::order::Candidates;
use super::{NumberedShards, ShardsError, checked};

/// Numbered shards with holes: any of them may leave and come back.
///
/// The capacity is fixed by the operator: the numbers are `0..capacity`, and
/// some of them work. A key's owner is the first of its draws that works, the
/// draws being uniform over `0..capacity` and a function of the hash alone;
/// after 256 that all miss, it is the working shard with the greatest
/// [rendezvous](fn@axiomatic_core::hash::rendezvous) score. It is a relative of
/// DxHash (Dong, Feng and Wang, 2021, <https://arxiv.org/abs/2107.07930>), and no
/// AnchorHash: that one's answers depend on the order in which shards left,
/// and so differ between two processes that saw the same shards leave.
///
/// # Why it is consistent, and balanced
///
/// A hash orders all numbers `0..capacity` once and for all, by its first
/// draw of each, and behind them those never drawn by their rendezvous score;
/// its owner is the first in that order that works. So a shard that leaves
/// takes away only the keys that had it first, and one that comes takes only
/// the keys that have it before all others that work. And neither draws nor
/// scores prefer a number, so each working one is equally often first: by
/// the draws, and where they all miss, by the scores.
///
/// # Cost
///
/// A bit for each number of the capacity, shared by clones. A lookup takes
/// `capacity / working` draws on average, and tests four at once, which hides
/// that up to half of the capacity is unused: 4.4 ns where all work, 4.6 with
/// one in two, 10 with one in four, 20 with one in eight, 75 to 120 with one in
/// sixty (an EPYC of 2.6 GHz, all in its nearest cache). With one in sixteen all
/// draws miss for one key in 15 million, and with one in sixty for one in 74:
/// then all bits are passed over, and each working shard costs 2 ns. So a
/// capacity of some times the shards, for what they may become, is cheap; one
/// of hundreds of times is not.
///
/// The candidates are drawn one by one, the second after 31 ns with one in two
/// working; they take memory, for those that were never drawn, once all draws
/// are over.
///
/// A change copies the bits.
///
/// ```
/// use axiomatic_placement::consistent_hash::{NumberedShards, ShardSet};
///
/// let shards = ShardSet::of(16, [0, 1, 2, 5, 9])?;
/// let hash = 0x9e37_79b9_7f4a_7c15;
/// let order: Vec<u32> = shards.candidates(hash).collect();
/// assert_eq!(order[0], shards.owner(hash));
///
/// // Its owner leaves: the second takes over. It comes back: all is as before.
/// let without = shards.without(order[0])?;
/// assert_eq!(without.owner(hash), order[1]);
/// assert_eq!(without.with(order[0])?, shards);
/// # Ok::<_, axiomatic_placement::consistent_hash::ShardsError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ShardSet {
    capacity: u32,
    /// How many work: never none.
    working: u32,
    /// Bit `n % 64` of word `n / 64`: whether shard `n` works. As many words
    /// as the capacity needs, and no bit beyond it.
    words: Arc<[u64]>,
}

impl ShardSet {
    /// All of `0..capacity` work.
    ///
    /// # Errors
    ///
    /// If the capacity is 0, or above [`MAX_SHARDS`](super::MAX_SHARDS).
    pub fn full(capacity: u32) -> Result<Self, ShardsError> {
        let capacity = checked(capacity)?;
        let mut words = vec![u64::MAX; words_for(capacity)];
        if let (Some(last), odd @ 1..) = (words.last_mut(), capacity % 64) {
            *last = (1 << odd) - 1;
        }
        Ok(ShardSet {
            capacity,
            working: capacity,
            words: words.into(),
        })
    }

    /// These shards work, in whatever order and however often they are named.
    ///
    /// # Errors
    ///
    /// If there are none, if one is not below the capacity, or if that is 0
    /// or above [`MAX_SHARDS`](super::MAX_SHARDS).
    pub fn of(capacity: u32, shards: impl IntoIterator<Item = u32>) -> Result<Self, ShardsError> {
        let capacity = checked(capacity)?;
        let mut words = vec![0; words_for(capacity)];
        for shard in shards {
            if shard >= capacity {
                return Err(ShardsError::BeyondCapacity { shard, capacity });
            }
            words[shard as usize / 64] |= 1 << (shard % 64);
        }
        Self::from_words(capacity, words).ok_or(ShardsError::Empty)
    }

    /// The shards of these words, none of which is beyond the capacity; none
    /// if there is none.
    pub(super) fn from_words(capacity: u32, words: Vec<u64>) -> Option<Self> {
        let working = words.iter().map(|word| word.count_ones()).sum();
        (working > 0).then(|| ShardSet {
            capacity,
            working,
            words: words.into(),
        })
    }

    /// The set with this shard; the same if it has it.
    ///
    /// # Errors
    ///
    /// If the shard is not below the capacity.
    pub fn with(&self, shard: u32) -> Result<Self, ShardsError> {
        if shard >= self.capacity {
            let capacity = self.capacity;
            return Err(ShardsError::BeyondCapacity { shard, capacity });
        }
        Ok(self.flipped_if(!self.contains(shard), shard))
    }

    /// The set without this shard; the same if it does not have it.
    ///
    /// # Errors
    ///
    /// If no shard would remain.
    pub fn without(&self, shard: u32) -> Result<Self, ShardsError> {
        let leaves = self.contains(shard);
        if leaves && self.working == 1 {
            return Err(ShardsError::Empty);
        }
        Ok(self.flipped_if(leaves, shard))
    }

    fn flipped_if(&self, changes: bool, shard: u32) -> Self {
        if !changes {
            return self.clone();
        }
        let mut words = self.words.to_vec();
        words[shard as usize / 64] ^= 1 << (shard % 64);
        let working = match self.contains(shard) {
            true => self.working - 1,
            false => self.working + 1,
        };
        ShardSet {
            capacity: self.capacity,
            working,
            words: words.into(),
        }
    }

    /// How many shards there may be; fixed, since another capacity is another
    /// placement of all keys.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Whether this shard works.
    #[inline]
    pub fn contains(&self, shard: u32) -> bool {
        shard < self.capacity && self.bit(shard) != 0
    }

    /// The working shards, in ascending order.
    pub fn shards(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&*self.words).flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    #[inline]
    fn bit(&self, shard: u32) -> u64 {
        (self.words[shard as usize / 64] >> (shard % 64)) & 1
    }

    /// The owner of a hash whose draws all miss.
    #[cold]
    pub(super) fn best(&self, hash: u64) -> u32 {
        let scores = self.shards().map(|shard| rendezvous(hash, shard.into()));
        // It is never empty.
        scores.max().map_or(0, |(_, shard)| shard as u32)
    }
}

impl NumberedShards for ShardSet {
    const ALGORITHM: u16 = 3;

    #[inline]
    fn owner(&self, hash: u64) -> u32 {
        let mut draws = Draws::new(hash, self.capacity);
        // Branches on each draw would be guessed wrong once a lookup, which
        // takes longer than four draws. Measured with half of the capacity
        // working: one at a time 13.2 ns, two 7.8, three 6.8, four 6.9, five
        // 7.8, eight 13.4; with a quarter, four were far ahead. (All with a
        // stronger mixer of the hash, which took 2 ns and improved nothing.)
        for _ in 0..Draws::FOURS {
            let [a, b, c, d] = draws.four();
            let (in_a, in_b, in_c, in_d) = (self.bit(a), self.bit(b), self.bit(c), self.bit(d));
            if (in_a | in_b | in_c | in_d) != 0 {
                let owner = if in_c != 0 { c } else { d };
                let owner = if in_b != 0 { b } else { owner };
                return if in_a != 0 { a } else { owner };
            }
        }
        self.best(hash)
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        Candidates::new(self, hash)
    }

    fn count(&self) -> u32 {
        self.working
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardSet")
            .field("working", &self.working)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// How many words hold a bit for each number of this capacity.
pub(super) const fn words_for(capacity: u32) -> usize {
    capacity.div_ceil(64) as usize
}
