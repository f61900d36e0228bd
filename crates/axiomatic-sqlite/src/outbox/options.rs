//! How an outbox is kept.

use std::num::NonZeroU16;
use std::time::Duration;

use axiomatic_coordination::outbox::{Buckets, Keep};

/// How an outbox is kept.
///
/// ```
/// use std::time::Duration;
/// use axiomatic_sqlite::outbox::{Keep, Options};
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
}

impl Options {
    /// 64 buckets; what is published is deleted; the numbers of a key are
    /// forgotten 30 days after its last message.
    pub const fn new() -> Self {
        Options {
            buckets: Buckets::new(NonZeroU16::new(64).expect("64 is not 0")),
            keep: Keep::Nothing,
            forget_sequences_after: Duration::from_secs(30 * 24 * 60 * 60),
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
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
