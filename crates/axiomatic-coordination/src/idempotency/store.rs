//! What idempotent requests ask of a database.

use std::time::Duration;

use super::claim::{Adopt, Adopted, Claim, Claimed, Fence, Lease};
use super::message::StoredResponse;
use super::step::Step;
use crate::StoreError;

/// A database that knows which requests were made, and what was answered.
///
/// A handle, cheap to clone. Time is the database's. Each operation is atomic,
/// and can be dropped at any time, when it is done or not done; and it can be
/// asked again with the same arguments when its answer was lost, and then
/// answers as if it had been asked once.
///
/// A store also has atomic phases, in transactions of its engine's own type,
/// which no trait can name: in a transaction it looks whether the lease is
/// held, locking the record so that nobody takes it over before the end; does
/// the work; and appends the step.
pub trait Store: Clone + Send + Sync + 'static {
    /// Claims a key. A fingerprint other than the stored one is a mismatch,
    /// whatever the state. A key whose retention has ended is new, unless its
    /// lease is held. A lease that has ended, or was released, can be followed
    /// by a higher epoch. Never waits for who runs the request.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as all that follow.
    fn claim(&self, claim: &Claim<'_>) -> impl Future<Output = Result<Claimed, StoreError>> + Send;

    /// The lease lasts this long, from now.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn renew(
        &self,
        lease: &Lease,
        lasts: Duration,
    ) -> impl Future<Output = Result<Fence, StoreError>> + Send;

    /// Appends a step, unless one of this name is there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn record(
        &self,
        lease: &Lease,
        step: &Step,
    ) -> impl Future<Output = Result<Fence, StoreError>> + Send;

    /// The request was run, and this is its answer, for this long from now.
    /// Steps and the stored request may be forgotten. Asked again with the
    /// same lease: [`Fence::Held`].
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn complete(
        &self,
        lease: &Lease,
        response: &StoredResponse,
        retention: Duration,
    ) -> impl Future<Output = Result<Fence, StoreError>> + Send;

    /// Gives the lease up: the next claim goes on from the last step, at once.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn release(&self, lease: &Lease) -> impl Future<Output = Result<Fence, StoreError>> + Send;

    /// Claims one request that was stored and abandoned, the longest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn adopt(
        &self,
        adopt: &Adopt,
    ) -> impl Future<Output = Result<Option<Adopted>, StoreError>> + Send;

    /// Forgets keys whose retention has ended and whose lease is not held, at
    /// most so many. Returns how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn sweep(&self, at_most: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;
}
