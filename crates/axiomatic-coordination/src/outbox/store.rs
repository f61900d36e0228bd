//! What a relay asks of the place where messages wait.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::lane::{Bucket, Buckets, Lane};
use super::publisher::Class;
use super::record::{Attempt, Epoch, RowId, Stored};
use super::wake::WakeUps;
use crate::{MessageId, StoreError};

/// Where messages wait for a relay.
///
/// Every operation is one transaction: done when it returns `Ok`, and durable;
/// on `Err` either done or not done, and in no case half. Every operation can
/// be repeated. Futures can be dropped at any await; then, too, the operation
/// was either done or not.
///
/// Time is the store's own clock, since relays on several machines have
/// several: operations take how long something shall last, never until when.
///
/// [`conformance::stores`](super::conformance::stores) holds a store to this.
pub trait Store: Send + Sync {
    /// Into how many buckets the lanes are divided. It does not change while a
    /// relay runs.
    fn buckets(&self) -> Buckets;

    /// What wakes relays of this process when there may be something to do.
    fn wake_ups(&self) -> WakeUps;

    /// Writes down that this relay will be here for so long, and returns all
    /// relays that are here.
    fn attend(
        &self,
        relay: &RelayId,
        ttl: Duration,
    ) -> impl Future<Output = Result<Vec<RelayId>, StoreError>> + Send;

    /// Takes those of these buckets that nobody holds: never held, released,
    /// or expired. Each one taken has a greater epoch than ever before, from
    /// now on for `ttl`. Those that it holds already are not touched.
    ///
    /// If the last holder did not release the bucket, what waits in it now is
    /// [suspect](Lease::suspect_through).
    fn claim(
        &self,
        relay: &RelayId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> impl Future<Output = Result<Vec<Lease>, StoreError>> + Send;

    /// Prolongs these leases to `ttl` from now, and returns the buckets of
    /// those that it held still: owner and epoch are the same, and it has not
    /// expired. One that has expired stays so.
    fn renew(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        ttl: Duration,
    ) -> impl Future<Output = Result<Vec<Bucket>, StoreError>> + Send;

    /// Gives these leases back, those that it held still; and, if `departing`,
    /// forgets that the relay is here.
    fn release(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        departing: Departing,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The oldest messages of lanes that are ready, lane by lane from
    /// [`after`](Fetch::after) on, around once at most.
    ///
    /// It changes nothing, and so needs no lease. What stands behind the first
    /// [`per_lane`](Fetch::per_lane) messages of a lane must not be looked at:
    /// a hundred thousand of them must cost the other lanes nothing.
    fn fetch(&self, fetch: &Fetch<'_>) -> impl Future<Output = Result<Fetched, StoreError>> + Send;

    /// Writes down, durably, that these attempts to publish begin: that their
    /// rows' [`started`](Stored::started) is the attempts' number. Only in
    /// buckets whose lease is held still, which are returned.
    fn start(
        &self,
        relay: &RelayId,
        attempts: &[Settlement<Attempt>],
    ) -> impl Future<Output = Result<Vec<Bucket>, StoreError>> + Send;

    /// Writes down what became of messages: only in buckets whose lease is
    /// held still, which are returned. The lease is compared (owner, epoch,
    /// not expired) in the transaction that changes the rows, and locked by
    /// it; the rows of a bucket that is lost are not touched.
    fn settle(
        &self,
        relay: &RelayId,
        fates: &[Settlement<Settled>],
    ) -> impl Future<Output = Result<Vec<Bucket>, StoreError>> + Send;

    /// Throws away what is kept no longer: relays that are gone, published
    /// messages past their retention. A bounded piece of work; returns whether
    /// there is more of it.
    fn tidy(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl<S: Store> Store for Arc<S> {
    fn buckets(&self) -> Buckets {
        S::buckets(self)
    }

    fn wake_ups(&self) -> WakeUps {
        S::wake_ups(self)
    }

    async fn attend(&self, relay: &RelayId, ttl: Duration) -> Result<Vec<RelayId>, StoreError> {
        S::attend(self, relay, ttl).await
    }

    async fn claim(
        &self,
        relay: &RelayId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        S::claim(self, relay, wanted, ttl).await
    }

    async fn renew(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        ttl: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        S::renew(self, relay, leases, ttl).await
    }

    async fn release(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        S::release(self, relay, leases, departing).await
    }

    async fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, StoreError> {
        S::fetch(self, fetch).await
    }

    async fn start(
        &self,
        relay: &RelayId,
        attempts: &[Settlement<Attempt>],
    ) -> Result<Vec<Bucket>, StoreError> {
        S::start(self, relay, attempts).await
    }

    async fn settle(
        &self,
        relay: &RelayId,
        fates: &[Settlement<Settled>],
    ) -> Result<Vec<Bucket>, StoreError> {
        S::settle(self, relay, fates).await
    }

    async fn tidy(&self) -> Result<bool, StoreError> {
        S::tidy(self).await
    }
}

/// The name of one run of one relay: no two are equal, not even of the same
/// process started again, since a lease that the first left behind is not the
/// second's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(Arc<str>);

impl RelayId {
    /// A new name, which begins with what operators call the relay: a host
    /// name, for example.
    pub fn new(called: &str) -> Self {
        RelayId(format!("{called}/{}", MessageId::unique()).into())
    }

    /// A name that a store has kept.
    pub fn from_stored(stored: &str) -> Self {
        RelayId(stored.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to publish what is in a bucket.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The bucket.
    pub bucket: Bucket,
    /// Which holding of it this is.
    pub epoch: Epoch,
    /// Rows up to this one may have been in flight when a lease of this bucket
    /// was lost: that publishing one of them begins is written down before it
    /// does, so that a message that ends processes is found out.
    pub suspect_through: RowId,
}

/// Whether a relay that releases leases goes away for good.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Departing {
    /// It does.
    Yes,
    /// It goes on, with other buckets.
    No,
}

/// What a relay wants to have.
#[derive(Clone, Debug)]
pub struct Fetch<'a> {
    /// The buckets that it holds, in the order of their lanes.
    pub leases: &'a [Lease],
    /// The lane after which to begin; after [`Lane::LAST`] comes the first.
    pub after: Lane,
    /// Lanes to leave out, in order: those of which it has messages that are
    /// not settled.
    pub busy: &'a [Lane],
    /// How many messages, at most.
    pub rows: usize,
    /// How many of one lane, at most.
    pub per_lane: usize,
    /// How many lanes may be looked at, at most, ready or not: what bounds the
    /// time this takes where many are blocked.
    pub lanes: usize,
}

/// What a store found.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// Messages, those of a lane one behind the other in the order of their
    /// rows, the oldest first.
    pub rows: Vec<Stored>,
    /// The last lane that was looked at, from which to go on.
    pub reached: Option<Lane>,
    /// All lanes were looked at that there are.
    pub came_round: bool,
}

/// Something about rows of one bucket, and the lease under which it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement<T> {
    /// The lease.
    pub lease: Lease,
    /// What is said.
    pub rows: Vec<T>,
}

/// What became of a message, and what comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its row.
    pub row: RowId,
    /// Its lane.
    pub lane: Lane,
    /// What comes next.
    pub fate: Fate,
}

/// What comes next for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is published: its row goes to the archive, or away.
    Published,
    /// It is tried again. Its lane is not ready until `after` from now; its
    /// [`started`](Stored::started) is zero again.
    Again {
        /// How long nothing of the lane is ready.
        after: Duration,
        /// What failed, if it did: then [`failures`](Stored::failures) is one
        /// more. Nothing if nobody knows, or if all failed alike.
        failure: Option<Failure>,
    },
    /// It goes to the dead letters, and its lane goes on without it.
    Buried(Failure),
    /// Its lane is parked: nothing of it is ready until an operator says so.
    /// One more [failure](Stored::failures); `started` is zero again.
    Parked(Failure),
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The cause.
    pub cause: Cause,
    /// What was said of it, for the operator.
    pub error: Box<str>,
}

/// What a message was not published for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The broker refused it.
    Rejected(Class),
    /// Processes that tried to publish it died of it, or lost their leases:
    /// it was not tried again.
    Poison,
}

impl Cause {
    /// In a word, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Rejected(class) => class.as_str(),
            Cause::Poison => "poison",
        }
    }

    /// From a word that a store has kept.
    pub fn from_stored(word: &str) -> Option<Self> {
        let classes = [
            Class::Transient,
            Class::Permanent,
            Class::Unroutable,
            Class::TooLarge,
        ];
        let causes = classes.map(Cause::Rejected).into_iter();
        let mut causes = causes.chain([Cause::Poison]);
        causes.find(|cause| cause.as_str() == word)
    }
}
