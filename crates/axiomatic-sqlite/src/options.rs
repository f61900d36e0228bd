//! How a database is opened.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use crate::schema::Tables;

/// How a database is opened.
///
/// ```
/// use std::num::NonZeroU64;
/// use axiomatic_sqlite::{Options, WhenFull};
///
/// let million = NonZeroU64::new(1_000_000).expect("not zero");
/// let options = Options::new().backlog(million, WhenFull::Reject);
/// # let _ = options;
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) busy_timeout: Duration,
    pub(crate) group_at_most: NonZeroUsize,
    pub(crate) largest_body: usize,
    pub(crate) cap: NonZeroU64,
    pub(crate) when_full: WhenFull,
    pub(crate) tables: Tables,
}

impl Options {
    /// Durable against a loss of power; five seconds for other processes to
    /// finish; at most 256 closures a commit; bodies of at most 1 MiB; a
    /// warning when a million messages wait; tables made where they are
    /// missing.
    pub const fn new() -> Self {
        Options {
            durability: Durability::Full,
            busy_timeout: Duration::from_secs(5),
            group_at_most: NonZeroUsize::new(256).expect("256 is not 0"),
            largest_body: 1 << 20,
            cap: NonZeroU64::new(1_000_000).expect("a million is not 0"),
            when_full: WhenFull::Warn,
            tables: Tables::Migrate,
        }
    }

    /// What a commit survives.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a group waits for a writer of another process, or on a
    /// connection of the user's, before all of it is told
    /// [`Busy`](axiomatic_coordination::Why::Busy).
    #[must_use]
    pub const fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How many closures share a commit, at most: the more there are, the
    /// longer the first of them waits for the last.
    #[must_use]
    pub const fn group_at_most(mut self, closures: NonZeroUsize) -> Self {
        self.group_at_most = closures;
        self
    }

    /// How many bytes the body of a message has, at most. What is longer
    /// belongs into a place of its own, of which the message says the address.
    #[must_use]
    pub const fn largest_body(mut self, bytes: usize) -> Self {
        self.largest_body = bytes;
        self
    }

    /// How many messages may wait, and what happens to one more.
    #[must_use]
    pub const fn backlog(mut self, cap: NonZeroU64, when_full: WhenFull) -> Self {
        self.cap = cap;
        self.when_full = when_full;
        self
    }

    /// What is done about tables that are missing or old.
    #[must_use]
    pub const fn tables(mut self, tables: Tables) -> Self {
        self.tables = tables;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// What a commit survives.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: the log is on the disk when the commit returns
    /// (`synchronous = FULL`).
    #[default]
    Full,
    /// The end of the process, but not the loss of power, which may take the
    /// last commits, the whole of each (`synchronous = NORMAL`).
    ProcessCrash,
}

/// What happens to a message that would be one too many.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// [`EnqueueError::Full`](crate::EnqueueError): the producer decides
    /// whether its transaction can do without it.
    Reject,
    /// It is enqueued, and an event says so.
    #[default]
    Warn,
}
