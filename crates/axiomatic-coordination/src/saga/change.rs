//! What an executor has a store write.

use std::time::Duration;

use bytes::Bytes;

use super::id::SagaId;
use super::record::{Record, Stage};

/// What is written of a saga at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Appended to its log, in this order. There may be none.
    pub records: Vec<Record>,
    /// How far it is thereafter.
    pub stage: Stage,
    /// When it is looked at next, unless mail comes before.
    pub wake: Wake,
    /// What is set as its result: the output of a saga that is
    /// [`Done`](Stage::Done), JSON; why it is stuck, parked, being undone or
    /// undone, as text. If it is `None`, what was set before stays.
    pub result: Option<Bytes>,
    /// It goes forward: the count of [loads](super::Loaded::loads) begins anew.
    pub progress: bool,
}

/// When a saga is looked at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Who wrote this goes on with it: nobody else looks, until the bucket has
    /// another lease.
    Held,
    /// So much later, by whoever has the bucket then. [`Duration::MAX`]: only
    /// when mail comes.
    In(Duration),
}

/// A change of a saga, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Whose.
    pub saga: SagaId,
    /// How many lines its log has before.
    pub after: u64,
    /// What is written.
    pub change: Change,
    /// How many of its letters, from the oldest on, were read: they are thrown
    /// away. If there are any, the change has a record at least, by which a
    /// store knows an append that is asked again.
    pub read: u32,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nothing was written if the lease was lost"]
pub enum Appended {
    /// It is written.
    Held,
    /// The lease has ended, or another has the bucket: nothing was written.
    /// Stop.
    Lost,
    /// The log is longer, or shorter, or the saga is gone or has ended:
    /// nothing was written. Whoever holds the lease has written it twice with
    /// different contents, or the saga was deleted by hand.
    Conflict,
}
