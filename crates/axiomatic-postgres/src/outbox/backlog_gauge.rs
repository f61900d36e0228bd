//! How many messages wait, as far as a producer needs to know: counted now and
//! then, on a connection of the database's own, and reckoned up in between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_core::time::{Clock, Instant};
use tokio::sync::watch;

use super::enqueue_error::EnqueueError;
use super::options::{Options, WhenFull};
use crate::database::Database;
use crate::options::Schema;
use crate::wire::Param;

/// How long a count is good for.
const EVERY: Duration = Duration::from_secs(1);

/// Counting may take this part of the time at most: of a million rows it takes
/// a while, and it is done when the store has enough to do.
const SHARE: u32 = 50;

#[derive(Debug)]
pub(super) struct Sql {
    count: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        Sql {
            count: format!(
                "SELECT count(*)::int8 FROM (SELECT FROM {schema}.outbox LIMIT $1::int8) AS waiting"
            ),
        }
    }
}

/// The backlog as the producers of this process know it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct BacklogGauge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    known: Mutex<Known>,
    /// How many counts have ended: those who need one wait for it.
    rounds: watch::Sender<u64>,
    clock: Clock,
    cap: u64,
    when_full: WhenFull,
}

impl BacklogGauge {
    pub(super) fn new(options: &Options) -> Self {
        BacklogGauge(Arc::new(Inner {
            known: Mutex::default(),
            rounds: watch::Sender::new(0),
            clock: Clock::Precise,
            cap: options.cap.get(),
            when_full: options.when_full,
        }))
    }

    /// Whether so many more messages may be enqueued: if so, they count as
    /// waiting from here on.
    pub(super) async fn admit(
        &self,
        messages: usize,
        database: &Database,
        sql: &Sql,
    ) -> Result<(), EnqueueError> {
        let Inner { cap, when_full, .. } = *self.0;
        let messages = messages as u64;
        let mut ended = self.0.rounds.subscribe();
        loop {
            let (answer, to_count) = {
                let mut known = self.known();
                let now = self.0.clock.now();
                let answer = known.admit(now, messages, cap, when_full);
                (answer, known.is_to_be_counted(now))
            };
            if to_count {
                self.count(database.clone(), sql.count.clone());
            }
            match answer {
                Answer::Taken { over: None } => return Ok(()),
                Answer::Taken {
                    over: Some(backlog),
                } => {
                    full(backlog, cap);
                    return Ok(());
                }
                Answer::Full { backlog } => return Err(EnqueueError::Full { backlog, cap }),
                // Whatever becomes of the count, the round ends: the sender is
                // in here, and does not go.
                Answer::Wait => drop(ended.changed().await),
            }
        }
    }

    /// Counts in a task of its own, which whoever is dropped leaves behind.
    fn count(&self, database: Database, count: String) {
        let round = Round(self.clone());
        tokio::spawn(async move {
            let Inner { cap, when_full, .. } = *round.0.0;
            let limit = i64::try_from(cap).unwrap_or(i64::MAX).saturating_add(1);
            let counted = database.query(&count, &[Param::new(limit)]).await;
            let counted = counted.and_then(|rows| read(&rows));
            let over = {
                let mut known = round.0.known();
                known.counted(round.0.0.clock.now(), counted.ok(), cap)
            };
            if let (Some(backlog), WhenFull::Warn) = (over, when_full) {
                full(backlog, cap);
            }
        });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        let known = self.0.known.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A count that goes on. It ends also when its task is thrown away.
struct Round(BacklogGauge);

impl Drop for Round {
    fn drop(&mut self) {
        self.0.known().ends();
        self.0.0.rounds.send_modify(|rounds| *rounds += 1);
    }
}

fn read(rows: &[crate::wire::Row]) -> Result<u64, StoreError> {
    let counted: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
    Ok(counted.max(0).cast_unsigned())
}

/// What is known of the backlog.
#[derive(Debug, Default)]
struct Known {
    /// How many waited when they were counted last, if they ever were.
    waited: Option<u64>,
    /// How many this process has enqueued since that count began.
    since: u64,
    /// How many of them before the count that goes on began.
    before: u64,
    /// When the count that goes on began.
    began: Option<Instant>,
    /// When the next is due.
    due: Option<Instant>,
    /// Whether a count was tried, whatever came of it.
    tried: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// And they are the first above the cap, which only warns.
    Taken {
        over: Option<u64>,
    },
    Full {
        backlog: u64,
    },
    /// Until a count has ended.
    Wait,
}

impl Known {
    fn backlog(&self) -> u64 {
        self.waited.unwrap_or(0).saturating_add(self.since)
    }

    fn admit(&mut self, now: Instant, messages: u64, cap: u64, when_full: WhenFull) -> Answer {
        let before = self.backlog();
        let backlog = before.saturating_add(messages);
        if when_full == WhenFull::Reject {
            if !self.tried {
                return Answer::Wait;
            }
            if backlog > cap {
                // It may have drained: nobody is refused for an old count.
                let is_old = self.due.is_none_or(|due| now >= due);
                return match is_old || self.began.is_some() {
                    true => Answer::Wait,
                    false => Answer::Full { backlog: before },
                };
            }
        }
        self.since = self.since.saturating_add(messages);
        Answer::Taken {
            over: (before <= cap && backlog > cap).then_some(backlog),
        }
    }

    /// Whether it is time for a count, which then is for the caller to do.
    fn is_to_be_counted(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_none_or(|due| now >= due);
        if !is_due || self.began.is_some() {
            return false;
        }
        self.began = Some(now);
        self.before = self.since;
        true
    }

    /// So many were counted, or they could not be. Returns how many wait if
    /// that is above the cap for the first time.
    fn counted(&mut self, now: Instant, counted: Option<u64>, cap: u64) -> Option<u64> {
        let took = self.began.map_or(Duration::ZERO, |began| now - began);
        self.due = Some(now + EVERY.max(took.saturating_mul(SHARE)));
        let was_over = self.backlog() > cap;
        if let Some(counted) = counted {
            self.waited = Some(counted);
            self.since = self.since.saturating_sub(self.before);
        }
        (!was_over && self.backlog() > cap).then(|| self.backlog())
    }

    fn ends(&mut self) {
        self.began = None;
        self.tried = true;
    }
}

/// Says that more messages wait than should.
fn full(backlog: u64, cap: u64) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "axiomatic::outbox", backlog, cap, "backlog full");
    #[cfg(not(feature = "tracing"))]
    let _ = (backlog, cap);
}

#[cfg(test)]
mod tests;
