use std::sync::Arc;

use super::Endpoint;
use crate::sync::{AtomicU64, Ordering};

/// Where a balancer says which endpoint it chose for an attempt, and a hedge
/// reads it while that attempt is still under way. Clones are one place.
///
/// It travels beside the context and not in it, since it is shared and a
/// context is plain data; see [`Carrier::set_choice`](crate::Carrier::set_choice).
///
/// ```
/// use axiomatic_core::context::{Choice, Endpoint};
///
/// let choice = Choice::new();
/// let told = choice.clone(); // with the first attempt
/// // … the balancer, further in …
/// let chosen = Endpoint::from_bytes(b"10.0.0.7:443");
/// told.tell(chosen);
/// // … and the second attempt avoids it.
/// assert_eq!(choice.told(), Some(chosen));
/// ```
///
/// Layout    the hash of the endpoint, 0 before there is one: an endpoint
///           whose hash is 0 is never told.
/// Writers   `tell`. Readers `told`.
/// Orderings all Relaxed: the number is all there is.
#[derive(Clone, Debug)]
pub struct Choice(Arc<AtomicU64>);

impl Choice {
    /// A place where nothing is said yet.
    pub fn new() -> Self {
        Choice(Arc::new(AtomicU64::new(0)))
    }

    /// Says that this endpoint was chosen; the latest is remembered.
    pub fn tell(&self, endpoint: Endpoint) {
        // ORDERING: Relaxed: a number; no other memory is read on its
        // strength.
        self.0.store(endpoint.as_hash(), Ordering::Relaxed);
    }

    /// The endpoint that was chosen, if somebody said so.
    pub fn told(&self) -> Option<Endpoint> {
        // ORDERING: Relaxed: a number; one that is seen late is not avoided.
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            hash => Some(Endpoint::from_hash(hash)),
        }
    }
}

impl Default for Choice {
    fn default() -> Self {
        Self::new()
    }
}
