//! Asking the store for locks.

use std::sync::Arc;

use bytes::Bytes;

use super::driver::Driver;
use crate::crash_points::reach;
use crate::saga::definition::Doing;
use crate::saga::fault::Fault;
use crate::saga::locks::{Lock, LockRequest, Locked};
use crate::saga::store::Store;

impl<S: Store> Driver<'_, S> {
    /// Asks for locks. That the lease is lost is heard by who writes next.
    pub(super) fn asking(&self, name: Arc<str>, locks: Vec<Lock>, waits: bool) -> Doing<Bytes> {
        let (store, lease) = (self.shared.store.clone(), self.held.lease.clone());
        let request = LockRequest {
            saga: self.saga,
            name,
            locks,
            waits,
        };
        Box::pin(async move {
            let is_name = |lock: &Lock| (1..=200).contains(&lock.resource.len());
            if !request.locks.iter().all(is_name) {
                return Err(Fault::failed("a resource's name has 1 to 200 bytes"));
            }
            reach("saga.locking");
            let locked = store.lock(&lease, &request).await;
            reach("saga.locked");
            match locked {
                Ok(Locked::Held | Locked::Waits) => Ok(Bytes::from_static(b"null")),
                Ok(Locked::Busy) => Err(Fault::failed("another saga has what it asks for")),
                Ok(Locked::Lost) => Err(Fault::unknown("the lease is lost")),
                Err(error) => Err(Fault::Unknown(error.into())),
            }
        })
    }
}
