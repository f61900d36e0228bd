use std::fmt;
use std::hash::Hash;

use axiomatic_core::{BoxError, Plain, Reason, Rejected};

use super::{Admission, Ask, BulkheadLayer, Gate, KeyedBulkhead, OwnedPermit, Unmetered};
use crate::gate::Sealed;

/// A layer that asks the bulkhead of each request's key.
pub type KeyedBulkheadLayer<K, F, E = BoxError, B = Plain> = BulkheadLayer<E, B, ByKey<K, F>>;

/// Bulkheads by key, and how to tell the key of a request.
pub struct ByKey<K, F> {
    bulkheads: KeyedBulkhead<K>,
    key_of: F,
}

impl<K, F> ByKey<K, F> {
    pub(super) fn new(bulkheads: KeyedBulkhead<K>, key_of: F) -> Self {
        ByKey { bulkheads, key_of }
    }

    /// The bulkheads.
    pub fn bulkheads(&self) -> &KeyedBulkhead<K> {
        &self.bulkheads
    }
}

impl<K, F> Sealed for ByKey<K, F> {}

impl<K, F, Req> Gate<Req> for ByKey<K, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    F: Fn(&Req) -> K,
{
    type Meter = Unmetered;

    /// Readiness knows no key.
    fn is_full(&self) -> bool {
        false
    }

    fn admit(&self, request: &Req, ask: Ask) -> Result<OwnedPermit, Rejected> {
        self.bulkheads.admit(&(self.key_of)(request), ask)
    }

    fn admit_or_wait(&self, request: &Req, ask: Ask) -> Result<Admission, Rejected> {
        self.bulkheads.admit_or_wait(&(self.key_of)(request), ask)
    }

    fn refuse(&self) -> Rejected {
        self.bulkheads.rejected(Reason::Full)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.bulkheads.rejected(reason)
    }
}

impl<K, F: Clone> Clone for ByKey<K, F> {
    fn clone(&self) -> Self {
        ByKey {
            bulkheads: self.bulkheads.clone(),
            key_of: self.key_of.clone(),
        }
    }
}

impl<K, F> fmt::Debug for ByKey<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey")
            .field("bulkheads", &self.bulkheads)
            .finish_non_exhaustive()
    }
}
