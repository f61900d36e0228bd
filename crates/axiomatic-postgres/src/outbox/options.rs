//! How an outbox is kept.

use std::num::{NonZeroU16, NonZeroU64};
use std::time::Duration;

use axiomatic_coordination::outbox::{Buckets, Keep};

/// How an outbox is kept.
///
/// ```
/// use std::time::Duration;
/// use axiomatic_postgres::outbox::{Keep, Options};
///
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let options = Options::new().keep(Keep::Archive(week));
/// # let _ = options;
/// ```
#[derive(Copy, Clone, Debug)]
pub struct Options {
    pub(super) buckets: Buckets,
    pub(super) keep: Keep,
    pub(super) forget_sequences_after: Duration,
    pub(super) largest_body: usize,
    pub(super) cap: NonZeroU64,
    pub(super) when_full: WhenFull,
    pub(super) notify: Notify,
}

impl Options {
    /// 64 buckets; what is published is deleted; the numbers of a key are
    /// forgotten 30 days after its last message; bodies of at most 1 MiB; a
    /// warning at a million messages that wait; relays in other processes are
    /// notified every 10 ms at most.
    pub const fn new() -> Self {
        Options {
            buckets: Buckets::new(NonZeroU16::new(64).expect("64 is not 0")),
            keep: Keep::Nothing,
            forget_sequences_after: Duration::from_secs(30 * 24 * 60 * 60),
            largest_body: 1 << 20,
            cap: NonZeroU64::new(1_000_000).expect("a million is not 0"),
            when_full: WhenFull::Warn,
            notify: Notify::Debounced(Duration::from_millis(10)),
        }
    }

    /// Into how many buckets the lanes are divided: the most relays that can
    /// share the work. All processes must say the same; it can be changed
    /// while no relay runs.
    #[must_use]
    pub const fn buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = buckets;
        self
    }

    /// What becomes of messages that are published.
    #[must_use]
    pub const fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// How long a key of [ordered](axiomatic_coordination::outbox::Message::ordered)
    /// messages has been quiet when its last number is forgotten; without this
    /// the table of numbers would grow with every key there ever was. The next
    /// message of the key is the [first](axiomatic_coordination::outbox::Sequence::first)
    /// of new numbers, greater than all it has had. It should be longer than
    /// consumers wait for one that is missing.
    #[must_use]
    pub const fn forget_sequences_after(mut self, quiet: Duration) -> Self {
        self.forget_sequences_after = quiet;
        self
    }

    /// The longest body that is taken, in bytes. What is larger belongs in a
    /// place of its own, and the message says where.
    #[must_use]
    pub const fn largest_body(mut self, bytes: usize) -> Self {
        self.largest_body = bytes;
        self
    }

    /// How many messages may wait, and what happens to the next. They are
    /// counted once a second, or less often if that takes long, on a connection
    /// of the [`Database`](crate::Database), and not in the producer's
    /// transaction; in between each process adds what it has enqueued itself.
    /// So the cap is exceeded by what other processes enqueue in that time, and
    /// what was rolled back counts until the next count.
    ///
    /// No producer waits for a count, but with [`WhenFull::Reject`] the first,
    /// and whoever would be refused for a count that is older. If they cannot
    /// be counted, producers go by the last count, or by none: whether the
    /// store takes messages is for the store to say.
    #[must_use]
    pub const fn backlog(mut self, cap: NonZeroU64, when_full: WhenFull) -> Self {
        self.cap = cap;
        self.when_full = when_full;
        self
    }

    /// How relays in other processes hear that there is something to publish.
    #[must_use]
    pub const fn notify(mut self, notify: Notify) -> Self {
        self.notify = notify;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens when too many messages wait.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// They are taken all the same, and an event says so.
    Warn,
    /// They are refused with [`EnqueueError::Full`](super::EnqueueError::Full).
    Reject,
}

/// How relays in other processes hear that there is something to publish.
/// Without it they find it when they look, every 5 ms to 1 s.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// They do not.
    Off,
    /// By a NOTIFY on a connection of its own, once in so long at most, behind
    /// the commit. Within the transaction it would have all commits of the
    /// server take turns: 228 a second where 3351 were without.
    Debounced(Duration),
}
