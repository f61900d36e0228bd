//! Where a message stands: the lane of its key, and the bucket of its lane.

use std::fmt;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use axiomatic_core::hash::{Algorithm, Encoder, Hasher, Seed};

use crate::MessageId;

/// The order in which a key's messages stand: one lane a key, and a lane of
/// its own for each message without one.
///
/// It is the XXH3 hash, with seed 0, of the tenant and the key as core's
/// [`Encoder`] writes them. Two keys whose hashes are equal share a lane: they
/// wait for each other, and nothing is lost. That happens once among a
/// million keys with a probability of 3 in 10⁸.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(u64);

impl Lane {
    /// The lane with the smallest number.
    pub const FIRST: Lane = Lane(0);

    /// The lane with the greatest number.
    pub const LAST: Lane = Lane(u64::MAX);

    /// The lane of a tenant's key.
    pub fn of_key(tenant: Option<&str>, key: &str) -> Self {
        let bytes = tenant.map_or(1, |tenant| 9 + tenant.len()) + 9 + key.len();
        let mut part = Encoder::with_capacity(bytes);
        match tenant {
            Some(tenant) => part.text(tenant),
            None => part.absent(),
        };
        part.text(key);
        Lane(HASHER.hash(part.as_bytes()))
    }

    /// The lane of a message that has no key.
    pub fn of_message(id: MessageId) -> Self {
        let mut part = Encoder::with_capacity(17);
        part.wide(id.as_u128());
        Lane(HASHER.hash(part.as_bytes()))
    }

    /// The lane behind this one, unless it is the last.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Lane(next)),
            None => None,
        }
    }

    /// How far this lane is behind another, around the end if it must be.
    #[cfg(feature = "tokio")]
    pub(super) const fn behind(self, other: Lane) -> u64 {
        self.0.wrapping_sub(other.0)
    }

    /// The lane before this one; before the first comes the last.
    pub const fn before(self) -> Self {
        Lane(self.0.wrapping_sub(1))
    }

    /// As databases store it, which have no unsigned numbers: in the same
    /// order.
    pub const fn to_stored(self) -> i64 {
        (self.0 ^ (1 << 63)) as i64
    }

    /// From what a database has stored.
    pub const fn from_stored(stored: i64) -> Self {
        Lane(stored as u64 ^ (1 << 63))
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Frozen: rows were hashed with it that other releases will read.
const HASHER: Hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));

/// One of the parts into which all lanes are divided: what a relay leases.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(pub u16);

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many buckets there are: the most relays that can share the work.
///
/// A bucket is a range of lanes, so no row says which bucket it is in, and the
/// number can be changed while no relay runs without touching a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Buckets(NonZeroU16);

impl Buckets {
    /// This many buckets.
    pub const fn new(count: NonZeroU16) -> Self {
        Buckets(count)
    }

    /// How many there are.
    pub const fn count(self) -> u16 {
        self.0.get()
    }

    /// All of them.
    pub fn all(self) -> impl Iterator<Item = Bucket> + Clone {
        (0..self.0.get()).map(Bucket)
    }

    /// The bucket of a lane: its share of 2⁶⁴, by one multiplication (Lemire,
    /// "Fast Random Integer Generation in an Interval", 2019).
    pub const fn of(self, lane: Lane) -> Bucket {
        Bucket(((lane.0 as u128 * self.0.get() as u128) >> 64) as u16)
    }

    /// The lanes of a bucket.
    pub const fn lanes(self, bucket: Bucket) -> RangeInclusive<Lane> {
        let count = self.0.get() as u128;
        // The first lane that `of` gives to a bucket: its share, rounded up.
        let from = ((bucket.0 as u128) << 64).div_ceil(count);
        let until = ((bucket.0 as u128 + 1) << 64).div_ceil(count);
        Lane(from as u64)..=Lane((until - 1) as u64)
    }
}

impl Default for Buckets {
    /// 64: enough for more relays than anybody runs, and few enough that
    /// renewing them all is one small statement.
    fn default() -> Self {
        Buckets(NonZeroU16::new(64).expect("64 is not 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_buckets_follow_each_other_without_a_hole() {
        for count in [1, 2, 3, 7, 64, 1000, u16::MAX] {
            let buckets = Buckets::new(NonZeroU16::new(count).unwrap());
            let mut next = Some(0);
            for bucket in buckets.all() {
                let lanes = buckets.lanes(bucket);
                assert_eq!(Some(lanes.start().0), next, "{bucket} of {count}");
                assert_eq!(buckets.of(*lanes.start()), bucket);
                assert_eq!(buckets.of(*lanes.end()), bucket);
                next = lanes.end().0.checked_add(1);
            }
            assert_eq!(next, None, "the last of {count} ends with the last lane");
        }
    }

    #[test]
    fn what_is_stored_has_the_order_of_lanes() {
        let lanes = [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX].map(Lane);
        assert!(lanes.is_sorted_by_key(|lane| lane.to_stored()));
        for lane in lanes {
            assert_eq!(Lane::from_stored(lane.to_stored()), lane);
        }
    }

    /// Rows of earlier releases were hashed so: if this changes, they are lost
    /// to the order of their keys.
    #[test]
    fn lanes_are_what_they_were() {
        assert_eq!(
            Lane::of_key(None, "order-17").to_string(),
            "77770090b0ffdf62"
        );
        assert_eq!(
            Lane::of_key(Some("acme"), "order-17").to_string(),
            "b316f9c59f84d138"
        );
        assert_eq!(
            Lane::of_message(MessageId::from_u128(17)).to_string(),
            "c68eef85b2f2701e"
        );
        assert_ne!(Lane::of_key(Some(""), "a"), Lane::of_key(None, "a"));
        assert_ne!(Lane::of_key(Some("a"), "b"), Lane::of_key(None, "ab"));
    }
}
