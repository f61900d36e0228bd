//! Names of sagas and of who runs them.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::MessageId;
use crate::outbox::{Bucket, Buckets, Lane};

/// One saga: what its caller knows it by, and what the keys of its steps
/// follow from.
///
/// Whoever must not start a saga twice takes the id from what the saga is
/// [for](SagaId::named).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SagaId(pub Uuid);

impl SagaId {
    /// One that no other saga has (UUIDv7, RFC 9562).
    pub fn unique() -> Self {
        SagaId(Uuid::now_v7())
    }

    /// That of what it is for: the same for the same name, in this namespace
    /// (UUIDv5, RFC 9562). A saga that is begun twice by such an id is one.
    pub fn named(namespace: Uuid, name: &str) -> Self {
        SagaId(Uuid::new_v5(&namespace, name.as_bytes()))
    }

    /// The bucket that it is in: what an executor leases to run it.
    pub fn bucket(self) -> Bucket {
        BUCKETS.of(Lane::of_message(MessageId::from_u128(self.0.as_u128())))
    }
}

impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Into how many buckets sagas are divided: the most executors that can share
/// the work. Frozen, since rows are stored with their bucket.
pub const BUCKETS: Buckets = match std::num::NonZeroU16::new(64) {
    Some(count) => Buckets::new(count),
    None => unreachable!(),
};

/// The name of one run of one executor: no two are equal, not even of the same
/// process started again, since a lease that the first left behind is not the
/// second's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutorId(Arc<str>);

impl ExecutorId {
    /// A new name, which begins with what operators call the executor: a host
    /// name, for example.
    pub fn new(called: &str) -> Self {
        ExecutorId(format!("{called}/{}", MessageId::unique()).into())
    }

    /// A name that a store has kept.
    pub fn from_stored(stored: &str) -> Self {
        ExecutorId(stored.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to run the sagas of a bucket, until another has it. A store
/// writes nothing for a lease that another has followed, or that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// What is leased.
    pub bucket: Bucket,
    /// Which holding of the bucket this is: who follows has a greater one. It
    /// is the fencing token of all that the saga's steps do.
    pub epoch: crate::outbox::Epoch,
    /// Who holds it.
    pub owner: ExecutorId,
}
