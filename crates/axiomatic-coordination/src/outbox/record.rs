//! A message as a store keeps it, and as a publisher gets it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use super::lane::Lane;
use super::message::Message;
use crate::Timestamp;

/// The number of a row: greater than those of all rows enqueued before it,
/// and never used again.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub i64);

/// An attempt to publish a row, before it begins.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The lane of the row.
    pub lane: Lane,
    /// The number of the row.
    pub row: RowId,
    /// The how-manieth since the last of which anybody heard how it ended:
    /// what [`Stored::started`] is from now on. So to write it down twice, since
    /// the answer was lost, counts it once.
    pub number: u32,
}

/// Which holding of a bucket this is: it grows with each relay that takes the
/// bucket, so a greater epoch is a later one.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a message among the [ordered](Message::ordered) ones of its
/// key.
///
/// The numbers of a key step by one, so that whoever has seen number 7 knows
/// that 8 is next. They do not begin at 1 for ever: a store may forget a key
/// that was quiet for long, and begins again, at a number above all that the
/// key has had, and says so by `first`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// The number.
    pub number: u64,
    /// No message of the key comes before it that the store remembers.
    pub first: bool,
}

/// A message as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The number of its row.
    pub row: RowId,
    /// The lane of its message.
    pub lane: Lane,
    /// Its number among those of its key, if it is ordered.
    pub sequence: Option<Sequence>,
    /// How many attempts to publish it have failed.
    pub failures: u32,
    /// How many attempts were begun of which nobody knows how they ended: the
    /// process that made them died or lost its lease.
    pub started: u32,
    /// When it was enqueued, which is shortly before its transaction
    /// committed.
    pub enqueued_at: Timestamp,
    /// What the producer wrote.
    pub message: Message,
}

impl Stored {
    /// The attempt that would begin next.
    pub fn next_attempt(&self) -> Attempt {
        Attempt {
            lane: self.lane,
            row: self.row,
            number: self.started.saturating_add(1),
        }
    }
}

/// A message as a publisher gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    stored: Stored,
    epoch: Epoch,
}

impl Envelope {
    /// The epoch of the lease under which this is published.
    pub const EPOCH: &str = "outbox-epoch";

    /// The number of the message among those of its key.
    pub const SEQUENCE: &str = "outbox-sequence";

    /// There, with the value 1, if the store remembers no message of the key
    /// before this one.
    pub const FIRST: &str = "outbox-first";

    /// The message's tenant, if it has one.
    pub const TENANT: &str = "outbox-tenant";

    /// The trace, as the W3C names it.
    pub const TRACE_PARENT: &str = "traceparent";

    /// The trace's state, as the W3C names it.
    pub const TRACE_STATE: &str = "tracestate";

    /// What a relay that holds a lease of this epoch publishes.
    pub fn new(stored: Stored, epoch: Epoch) -> Self {
        Envelope { stored, epoch }
    }

    /// The epoch of the lease under which this is published. If two relays
    /// publish one message, the one with the smaller epoch has lost its lease.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// All headers, for publishers to send: the producer's, the trace's, and
    /// the relay's own. The message's id, key and topic are not among them:
    /// brokers have places of their own for them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let message = &self.stored.message;
        let trace = message.trace();
        let sequence = self.stored.sequence;
        let own = [
            trace.map(|trace| (Self::TRACE_PARENT, trace.parent().into())),
            trace.and_then(|trace| Some((Self::TRACE_STATE, trace.state()?.into()))),
            Some((Self::EPOCH, self.epoch.to_string().into())),
            message.tenant().map(|tenant| (Self::TENANT, tenant.into())),
            sequence.map(|sequence| (Self::SEQUENCE, sequence.number.to_string().into())),
            sequence.and_then(|sequence| sequence.first.then(|| (Self::FIRST, "1".into()))),
        ];
        let written = message.headers();
        written
            .filter(|(name, _)| !name.starts_with("outbox-"))
            .map(|(name, value)| (name, value.into()))
            .chain(own.into_iter().flatten())
    }

    /// The message with what its store knows of it.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }
}

impl Deref for Envelope {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.stored.message
    }
}
