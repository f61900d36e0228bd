//! Which buckets a relay may rely on, and until when.

use std::collections::BTreeMap;

use axiomatic_core::time::Instant;

use crate::outbox::lane::Bucket;
use crate::outbox::store::Lease;

/// The leases of a relay. It trusts one until the time from *before* it asked
/// for it plus what the lease lasts: the store's clock began later.
#[derive(Debug, Default)]
pub(in crate::outbox) struct Tenure(BTreeMap<Bucket, Held>);

#[derive(Copy, Clone, Debug)]
struct Held {
    lease: Lease,
    until: Instant,
    leaving: bool,
}

impl Tenure {
    /// All leases, also of buckets that are left.
    pub(in crate::outbox) fn all(&self) -> Vec<Lease> {
        self.0.values().map(|held| held.lease).collect()
    }

    pub(in crate::outbox) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::outbox) fn lease(&self, bucket: Bucket) -> Option<Lease> {
        Some(self.0.get(&bucket)?.lease)
    }

    /// The lease of a bucket, unless the bucket is left.
    pub(super) fn lease_to_begin(&self, bucket: Bucket) -> Option<Lease> {
        let held = self.0.get(&bucket).filter(|held| !held.leaving);
        Some(held?.lease)
    }

    pub(super) fn hold(&mut self, lease: Lease, until: Instant) {
        let leaving = false;
        let held = Held {
            lease,
            until,
            leaving,
        };
        self.0.insert(lease.bucket, held);
    }

    pub(super) fn prolong(&mut self, lease: Lease, until: Instant) {
        let held = self.0.get_mut(&lease.bucket);
        if let Some(held) = held.filter(|held| held.lease == lease) {
            held.until = held.until.max(until);
        }
    }

    pub(super) fn leave(&mut self, bucket: Bucket) {
        if let Some(held) = self.0.get_mut(&bucket) {
            held.leaving = true;
        }
    }

    pub(super) fn lose(&mut self, bucket: Bucket) -> bool {
        self.0.remove(&bucket).is_some()
    }

    pub(super) fn expired(&self, now: Instant) -> Vec<Bucket> {
        let expired = self.0.iter().filter(|(_, held)| held.until <= now);
        expired.map(|(bucket, _)| *bucket).collect()
    }

    /// Those of which something may be fetched, in the order of their lanes.
    pub(super) fn usable(&self, now: Instant) -> Vec<Lease> {
        let usable = self.0.values();
        let usable = usable.filter(|held| !held.leaving && held.until > now);
        usable.map(|held| held.lease).collect()
    }

    /// Whether something may be begun under this lease.
    pub(super) fn is_usable(&self, lease: Lease, now: Instant) -> bool {
        let held = self.0.get(&lease.bucket);
        held.is_some_and(|held| held.lease == lease && !held.leaving && held.until > now)
    }

    pub(super) fn take_left(&mut self, is_free: impl Fn(Bucket) -> bool) -> Vec<Lease> {
        let mut left = Vec::new();
        self.0.retain(|bucket, held| {
            let is_left = held.leaving && is_free(*bucket);
            left.extend(is_left.then_some(held.lease));
            !is_left
        });
        left
    }
}
