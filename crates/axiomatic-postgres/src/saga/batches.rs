//! Changes of many sagas share a statement, and so a commit.
//!
//! Whoever has something to write puts it in line. If nobody is writing, a
//! task is begun which writes what stands in line, as one statement, then what
//! came meanwhile, and so on, until the line is empty. So nothing waits for
//! company: a batch is what came while the one before was under way, and what
//! those who were in that one write as soon as they hear of it.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Wake as Bell;
use axiomatic_coordination::saga::{Change, Stage, Wake};
use axiomatic_coordination::{StoreError, Why};
use futures::StreamExt;
use tokio::sync::oneshot;

use super::lines::Lines;
use super::sql::Sql;
use super::write::{self, How, Left, Outcome, What};
use crate::database::Database;

/// How many are written at once, and about how many bytes: not so many that
/// who comes next waits for long. Neither was measured against others.
const AT_ONCE: usize = 256;
const BYTES: usize = 4 << 20;

/// How long a batch waits for a row that another has locked, and how long one
/// that is alone. A user's transaction may hold the id of a saga for as long
/// as it likes, and is not to hold up all others; but a letter that a slow disk
/// is about to commit should not have all of them written alone.
const TOGETHER: &str = "500ms";
const ALONE: &str = "2s";

/// How many are written at the same time that held up a batch.
const APART: usize = 2;

/// Writes what is put in line. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Batches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    sql: Arc<Sql>,
    bell: Bell,
    lines: Lines,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Asked>,
    is_written: bool,
    commits: u64,
}

#[derive(Debug)]
struct Asked {
    what: What,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl Batches {
    pub(super) fn new(database: &Database, sql: &Arc<Sql>, bell: &Bell, lines: &Lines) -> Self {
        Batches(Arc::new(Inner {
            database: database.clone(),
            sql: sql.clone(),
            bell: bell.clone(),
            lines: lines.clone(),
            line: Mutex::default(),
        }))
    }

    /// Writes this, with whatever else there is to write.
    ///
    /// Can be dropped while it waits: it is written, or it is not.
    pub(super) async fn write(&self, what: What) -> Result<Outcome, StoreError> {
        what.check()?;
        let (answer, answered) = oneshot::channel();
        let is_written = {
            let mut line = self.0.line();
            line.waiting.push_back(Asked { what, answer });
            std::mem::replace(&mut line.is_written, true)
        };
        if !is_written {
            tokio::spawn(Writing(Some(self.0.clone())).run());
        }
        let unheard = |_| {
            StoreError::new(Why::Unavailable).because("the runtime of who wrote it was shut down")
        };
        answered.await.map_err(unheard)?
    }

    /// How many transactions were committed, for however many sagas.
    pub(super) fn commits(&self) -> u64 {
        self.0.line().commits
    }
}

/// A task that writes until nothing is in line. When it is dropped before, by
/// the end of its runtime, nobody that waits is answered, and who comes next
/// begins another.
struct Writing(Option<Arc<Inner>>);

impl Writing {
    async fn run(mut self) {
        while let Some(inner) = &self.0 {
            // Who was answered just now may have more to write: it is asked
            // before the next batch is made up, or two halves of the callers
            // would take turns, each with a commit of its own.
            tokio::task::yield_now().await;
            match inner.next() {
                Some(batch) => inner.write(batch).await,
                None => self.0 = None,
            }
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(inner) = &self.0 {
            let mut line = inner.line();
            line.is_written = false;
            line.waiting.clear();
        }
    }
}

impl Inner {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is written next, of each saga one thing: what is behind it is
    /// about what it leaves. `None` if there is nothing, and then who comes
    /// next begins.
    fn next(&self) -> Option<Vec<Asked>> {
        let mut line = self.line();
        let (mut batch, mut behind) = (Vec::new(), VecDeque::new());
        let (mut sagas, mut bytes) = (HashSet::new(), 0);
        while let Some(asked) = line.waiting.pop_front() {
            // Nobody waits for it any more, so it was not done.
            if asked.answer.is_closed() {
                continue;
            }
            let size = asked.what.size();
            let is_full = batch.len() == AT_ONCE || (!batch.is_empty() && bytes + size > BYTES);
            if is_full {
                behind.push_back(asked);
                break;
            }
            if !sagas.insert(asked.what.saga()) {
                behind.push_back(asked);
                continue;
            }
            bytes += size;
            batch.push(asked);
        }
        behind.append(&mut line.waiting);
        line.waiting = behind;
        if batch.is_empty() {
            line.is_written = false;
            return None;
        }
        Some(batch)
    }

    async fn write(self: &Arc<Self>, batch: Vec<Asked>) {
        let is_alone = batch.len() == 1;
        match self
            .ask(&batch, if is_alone { ALONE } else { TOGETHER })
            .await
        {
            Ok((outcomes, left)) if left.is_empty() => answer(batch, outcomes),
            // Who has ended hears so when those that waited for it have heard,
            // and nobody else waits for that.
            Ok((outcomes, left)) => {
                let both = batch.into_iter().zip(outcomes);
                let (ended, others): (Vec<_>, Vec<_>) =
                    both.partition(|(asked, _)| asked.what.ends());
                let (others, outcomes) = others.into_iter().unzip();
                answer(others, outcomes);
                let lines = self.lines.clone();
                tokio::spawn(async move {
                    lines.pass_on(left).await;
                    let (ended, outcomes) = ended.into_iter().unzip();
                    answer(ended, outcomes);
                });
            }
            // One of them is in the way of all others, and nobody knows which.
            Err(error) if !is_alone && is_of_one(error.why()) => {
                let inner = self.clone();
                tokio::spawn(async move {
                    let one = async |asked: Asked| {
                        let batch = vec![asked];
                        match inner.ask(&batch, ALONE).await {
                            Ok((outcomes, left)) => {
                                inner.lines.pass_on(left).await;
                                answer(batch, outcomes);
                            }
                            Err(error) => fail(batch, error),
                        }
                    };
                    futures::stream::iter(batch)
                        .for_each_concurrent(APART, one)
                        .await;
                });
            }
            Err(error) => fail(batch, error),
        }
    }

    /// What became of each, and which lines were left.
    async fn ask(
        &self,
        batch: &[Asked],
        patience: &'static str,
    ) -> Result<(Vec<Outcome>, Left), StoreError> {
        let all: Vec<&What> = batch.iter().map(|asked| &asked.what).collect();
        let how = How {
            is_fenced: false,
            patience: Some(patience),
        };
        let params = write::params(&all, how);
        reach("postgres.saga.write.asked");
        let rows = self.database.query(&self.sql.write, &params).await?;
        reach("postgres.saga.write.done");
        self.line().commits += 1;
        let outcomes = write::outcomes(&all, &rows)?;
        if all
            .iter()
            .zip(&outcomes)
            .any(|(what, outcome)| is_due(what, *outcome))
        {
            self.bell.wake();
        }
        Ok((outcomes, write::left(&rows)?))
    }
}

/// Whether there may be something to do for who looks at what is due.
fn is_due(what: &What, outcome: Outcome) -> bool {
    match what {
        What::Start(_) => outcome == Outcome::Waits,
        What::Append(_, append) => outcome == Outcome::Held && becomes_due(&append.change),
    }
}

/// Whether a saga may be due behind this change: one that has ended is not, and
/// one that waits for nothing but mail is if that has come meanwhile. One that
/// is parked for nothing but mail is not: what has come does not count, and who
/// posts more rings for it.
pub(super) fn becomes_due(change: &Change) -> bool {
    match change.wake {
        Wake::Held => false,
        Wake::In(Duration::MAX) => !change.stage.is_end() && change.stage != Stage::Parked,
        Wake::In(_) => !change.stage.is_end(),
    }
}

/// Whether it may be due to one of many that a batch is refused.
fn is_of_one(why: Why) -> bool {
    matches!(why, Why::Busy | Why::Refused | Why::Corrupt)
}

fn answer(batch: Vec<Asked>, outcomes: Vec<Outcome>) {
    for (asked, outcome) in batch.into_iter().zip(outcomes) {
        // Whoever asked may have gone.
        let _ = asked.answer.send(Ok(outcome));
    }
}

fn fail(batch: Vec<Asked>, error: StoreError) {
    let why = error.why();
    let shared = Arc::new(error);
    for asked in batch {
        let copy = StoreError::new(why).because(OfBatch(shared.clone()));
        let _ = asked.answer.send(Err(copy));
    }
}

/// What became of a batch, for each who had something in it.
#[derive(Debug)]
struct OfBatch(Arc<StoreError>);

impl fmt::Display for OfBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, f),
            None => f.write_str("what it was written with was not"),
        }
    }
}

impl Error for OfBatch {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()?.source()
    }
}
