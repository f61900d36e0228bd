//! The outbox in SQLite.

mod enqueue_error;
mod fetch;
mod leases;
mod operate;
mod outgoing;
mod producer;
mod row;
mod settle;
mod store;
mod tidy;

use std::num::NonZeroU16;
use std::thread;
use std::time::Duration;

pub use axiomatic_coordination::outbox::Keep;
use axiomatic_coordination::outbox::{Buckets, Wake};
use axiomatic_coordination::{StoreError, Why};

pub use self::enqueue_error::EnqueueError;
pub(crate) use self::outgoing::Outgoing;
use crate::database::Database;
pub use crate::schema::outbox as schema;

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
    buckets: Buckets,
    keep: Keep,
    forget_sequences_after: Duration,
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

/// The outbox of a database: what producers, relays and operators have.
#[derive(Clone, Debug)]
pub struct Outbox {
    database: Database,
    wake: Wake,
    options: Options,
}

impl Outbox {
    /// The outbox of this database. Blocks until its lanes are divided as the
    /// options say, which is one transaction at most.
    ///
    /// # Errors
    ///
    /// [`Why::Incompatible`] if they are divided otherwise while a relay runs,
    /// or one that did not depart may run still; otherwise what the disk or
    /// SQLite said.
    pub fn new(database: &Database, options: Options) -> Result<Outbox, StoreError> {
        let writer = database.writer();
        let divide = || writer.run_blocking(move |tx| leases::divide(tx, options.buckets));
        // On a thread of its own, since one that executes a runtime's tasks
        // refuses to wait in this way.
        let divided = thread::scope(|scope| scope.spawn(divide).join());
        let divided = divided.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if !divided.map_err(StoreError::from)? {
            return Err(StoreError::new(Why::Incompatible)
                .because("the outbox has another number of buckets, and relays that go by it"));
        }
        Ok(Outbox {
            database: database.clone(),
            wake: database.wake().clone(),
            options,
        })
    }
}
