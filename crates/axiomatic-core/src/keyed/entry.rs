//! What the map holds: keys that know their hash and their place, and values
//! that give the place back.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use papaya::Equivalent;

use super::grace_cell::Graces;
use super::phase_cell::Phase;
use super::slots_cell::Slots;

/// A key as the map has it. The hash was computed when it was looked up, so
/// that the map never calls the key's own `Hash`, not even when it grows.
pub(super) struct Key<K> {
    pub(super) hash: u64,
    pub(super) slot: u32,
    pub(super) key: K,
}

impl<K> Hash for Key<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Eq> PartialEq for Key<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }
}

impl<K: Eq> Eq for Key<K> {}

/// A key as callers have it.
pub(super) struct ByKey<'a, Q: ?Sized> {
    pub(super) hash: u64,
    pub(super) key: &'a Q,
}

impl<Q: ?Sized> Hash for ByKey<'_, Q> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Borrow<Q>, Q: ?Sized + Eq> Equivalent<Key<K>> for ByKey<'_, Q> {
    #[inline]
    fn equivalent(&self, key: &Key<K>) -> bool {
        self.hash == key.hash && self.key == key.key.borrow()
    }
}

/// A key as the hand has it. No two keys in the map have one place, and none
/// gets the place of another while anybody is inside who saw the other.
pub(super) struct BySlot {
    pub(super) hash: u64,
    pub(super) slot: u32,
}

impl Hash for BySlot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K> Equivalent<Key<K>> for BySlot {
    fn equivalent(&self, key: &Key<K>) -> bool {
        self.slot == key.slot
    }
}

/// A value as the map has it. The fields are dropped in this order, after the
/// key: when the place is free, both are gone.
pub(super) struct Stored<V> {
    pub(super) value: V,
    pub(super) phase: Phase,
    pub(super) place: Place,
}

/// A place that is held.
pub(super) struct Place {
    slots: Arc<Slots>,
    pub(super) slot: u32,
}

impl Place {
    pub(super) fn reserve(slots: &Arc<Slots>) -> Option<Self> {
        slots.reserve().map(|slot| Place {
            slots: Arc::clone(slots),
            slot,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slots.release(self.slot);
    }
}

/// Says, when the collector drops it, that a round has had its grace.
pub(super) struct Ticket {
    graces: Arc<Graces>,
    round: u64,
}

impl Ticket {
    pub(super) fn new(graces: &Arc<Graces>, round: u64) -> Self {
        graces.issue();
        Ticket {
            graces: Arc::clone(graces),
            round,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.graces.pass(self.round);
    }
}

/// Passes on the hash that a key already has.
#[derive(Copy, Clone, Default)]
pub(super) struct AsIs(u64);

impl BuildHasher for AsIs {
    type Hasher = AsIs;

    #[inline]
    fn build_hasher(&self) -> AsIs {
        AsIs(0)
    }
}

impl Hasher for AsIs {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys write one number; the tickets' map has one key.
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
