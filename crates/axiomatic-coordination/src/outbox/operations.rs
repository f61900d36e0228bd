//! What an operator asks of a store.

use std::fmt;
use std::time::Duration;

use super::lane::{Bucket, Lane};
use super::record::{Epoch, RowId, Stored};
use super::store::{Cause, RelayId};
use crate::{StoreError, Timestamp};

/// What an operator can see and do. None of it needs a lease, and all of it
/// takes effect while relays run.
pub trait Operate: Send + Sync {
    /// How much waits, and for how long.
    fn backlog(&self) -> impl Future<Output = Result<Backlog, StoreError>> + Send;

    /// Who holds which bucket.
    fn leases(&self) -> impl Future<Output = Result<Vec<Holding>, StoreError>> + Send;

    /// Nothing of this is published until it is resumed. What is in flight is
    /// not called back.
    fn pause(&self, what: &Scope) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a pause; returns whether there was one.
    fn resume(&self, what: &Scope) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// What is paused.
    fn paused(&self) -> impl Future<Output = Result<Vec<Scope>, StoreError>> + Send;

    /// The messages that wait, the oldest first, at most this many, with what
    /// keeps the lane of each.
    fn peek(&self, most: usize) -> impl Future<Output = Result<Vec<Waiting>, StoreError>> + Send;

    /// The lanes that are not ready because their first message failed, at
    /// most this many.
    fn blocked(&self, most: usize)
    -> impl Future<Output = Result<Vec<Blocked>, StoreError>> + Send;

    /// A blocked or parked lane is ready again, its first message with all its
    /// attempts. Returns whether it was blocked.
    fn unblock(&self, lane: Lane) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The messages that were given up, the oldest first, at most this many.
    fn dead(&self, most: usize)
    -> impl Future<Output = Result<Vec<DeadLetter>, StoreError>> + Send;

    /// These dead letters wait again, behind all others of their keys, with
    /// the same ids and all their attempts. Returns how many there were.
    fn requeue(&self, rows: &[RowId]) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// These dead letters are thrown away. Returns how many there were.
    fn discard(&self, rows: &[RowId]) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// What the archive holds of this is published once more, in the order of
    /// its rows, at most `most`. Returns the last row of it, from where to go
    /// on, and nothing once there is no more.
    fn replay(
        &self,
        what: &Replay,
        most: usize,
    ) -> impl Future<Output = Result<Option<RowId>, StoreError>> + Send;
}

/// How much waits, and for how long.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that wait, those of parked lanes included.
    pub messages: u64,
    /// Of these, those of parked lanes: they wait for an operator.
    pub parked: u64,
    /// Lanes that are parked.
    pub parked_lanes: u64,
    /// Lanes that wait for another attempt.
    pub blocked_lanes: u64,
    /// Dead letters.
    pub dead: u64,
    /// The lag: how long ago the oldest unpublished message was enqueued, but
    /// for those of parked lanes.
    pub lag: Duration,
}

#[cfg(feature = "metrics")]
impl Backlog {
    /// Sets the gauges of the outbox of this name, which TELEMETRY.md lists:
    /// for whoever asks for the backlog now and then.
    pub fn record(&self, name: axiomatic_core::Name) {
        let name = name.as_str();
        let set = |gauge: metrics::Gauge, value: u64| gauge.set(value as f64);
        set(
            metrics::gauge!("axiomatic_outbox_backlog", "name" => name),
            self.messages,
        );
        set(
            metrics::gauge!("axiomatic_outbox_blocked_keys", "name" => name),
            self.blocked_lanes,
        );
        set(
            metrics::gauge!("axiomatic_outbox_parked_keys", "name" => name),
            self.parked_lanes,
        );
        set(
            metrics::gauge!("axiomatic_outbox_dead_letters", "name" => name),
            self.dead,
        );
        metrics::gauge!("axiomatic_outbox_lag_seconds", "name" => name).set(self.lag.as_secs_f64());
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backlog {
            messages,
            parked,
            parked_lanes,
            blocked_lanes,
            dead,
            lag,
        } = self;
        write!(
            f,
            "{messages} messages wait, the oldest for {lag:?}; {blocked_lanes} keys blocked; \
             {parked_lanes} parked with {parked} messages; {dead} dead letters"
        )
    }
}

/// A bucket and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The bucket.
    pub bucket: Bucket,
    /// The last epoch of it.
    pub epoch: Epoch,
    /// Who holds it, unless it was released.
    pub owner: Option<RelayId>,
    /// For how long yet; nothing if it has expired.
    pub left: Duration,
}

/// What can be paused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    All,
    /// A topic. A key's messages keep their order: one of another topic that
    /// stands behind one of this waits with it.
    Topic(Box<str>),
    /// A tenant, as a topic.
    Tenant(Box<str>),
    /// A bucket.
    Bucket(Bucket),
}

impl Scope {
    /// As stores keep it: what kind of scope, and which of them.
    pub fn to_stored(&self) -> (&'static str, String) {
        match self {
            Scope::All => ("all", String::new()),
            Scope::Topic(topic) => ("topic", topic.to_string()),
            Scope::Tenant(tenant) => ("tenant", tenant.to_string()),
            Scope::Bucket(bucket) => ("bucket", bucket.to_string()),
        }
    }

    /// From what a store has kept.
    pub fn from_stored(kind: &str, which: &str) -> Option<Self> {
        Some(match kind {
            "all" => Scope::All,
            "topic" => Scope::Topic(which.into()),
            "tenant" => Scope::Tenant(which.into()),
            "bucket" => Scope::Bucket(Bucket(which.parse().ok()?)),
            _ => return None,
        })
    }
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The message.
    pub stored: Stored,
    /// What its lane waits for, if its first message has failed.
    pub blocked: Option<Blocked>,
}

/// A lane that is not ready because its first message failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The lane.
    pub lane: Lane,
    /// For how long yet; nothing if it is parked, until an operator says so.
    pub left: Option<Duration>,
    /// What failed; nothing if nobody knows whether anything did.
    pub cause: Option<Cause>,
    /// What was said of it.
    pub error: Box<str>,
    /// Since when.
    pub since: Timestamp,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message, by the number that its row had.
    pub stored: Stored,
    /// Why.
    pub cause: Cause,
    /// What was said of it.
    pub error: Box<str>,
    /// Since when.
    pub since: Timestamp,
}

/// What to publish once more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Rows behind this one.
    pub after: RowId,
    /// Of this topic only.
    pub topic: Option<Box<str>>,
    /// Of this key only.
    pub key: Option<Box<str>>,
    /// With ids of their own, so that inboxes take them for new messages;
    /// otherwise with the same, so that only those who missed them take them.
    pub ids: Ids,
}

/// With which ids messages are published once more.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// Those they had.
    #[default]
    Same,
    /// New ones, and no numbers among those of their keys.
    New,
}
