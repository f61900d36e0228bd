//! The thread that writes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread;

use axiomatic_coordination::Why;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Wake;
use axiomatic_core::number_cell::{Setting, Tally};
use rusqlite::Connection;

use super::job::{Ending, Job};
use crate::error::Fault;
use crate::options::Options;
use crate::transaction::{Group, Transaction};

/// What the thread that writes has.
pub(crate) struct Desk {
    connection: Connection,
    watch: Arc<Watch>,
    group: Group,
    /// The savepoint that several closures share, while there is one.
    shared: Option<Shared>,
    wake: Wake,
    sagas: Wake,
    group_at_most: usize,
}

/// How much there was before a savepoint that several closures share.
#[derive(Copy, Clone)]
struct Shared {
    executed: usize,
    messages: usize,
}

/// What happens to the transaction.
struct Watch {
    /// 1 while it is ours to commit.
    committing: Setting,
    /// How often it was rolled back.
    rolled_back: Tally,
}

impl Desk {
    pub(crate) fn new(
        mut connection: Connection,
        options: &Options,
        wake: Wake,
        sagas: Wake,
    ) -> rusqlite::Result<Self> {
        let watch = Arc::new(Watch {
            committing: Setting::new(0),
            rolled_back: Tally::new(),
        });
        // A COMMIT in a closure would commit the half of a group without its
        // messages: it becomes a ROLLBACK, which is seen like any other.
        let seen = Arc::clone(&watch);
        connection.commit_hook(Some(move || seen.committing.load() == 0))?;
        let seen = Arc::clone(&watch);
        connection.rollback_hook(Some(move || {
            seen.rolled_back.count();
        }))?;
        Ok(Desk {
            connection,
            watch,
            group: Group::new(options),
            shared: None,
            wake,
            sagas,
            group_at_most: options.group_at_most.get(),
        })
    }

    /// Executes what comes until there is nobody left who could send more.
    pub(crate) fn work(&mut self, queue: &mpsc::Receiver<Box<dyn Job>>) {
        let mut group = VecDeque::new();
        let mut before = 1;
        while let Ok(first) = queue.recv() {
            group.push_back(first);
            self.gather(&mut group, queue, before);
            before = group.len();
            self.commit_together(&mut group);
        }
    }

    /// Takes what is queued. While those are fewer than the group before had,
    /// the thread gives way, so that those whom that group has answered can
    /// come again: otherwise the first who do are a group of their own, and
    /// the others wait for its commit. With 256 callers that have a
    /// transaction each whenever the last is committed, that was twice as many
    /// commits.
    fn gather(
        &self,
        group: &mut VecDeque<Box<dyn Job>>,
        queue: &mpsc::Receiver<Box<dyn Job>>,
        before: usize,
    ) {
        // 32 in place of 8 made no fewer commits.
        const TURNS: usize = 8;
        let mut turns = 0;
        loop {
            let len = group.len();
            group.extend(queue.try_iter().take(self.group_at_most - len));
            if group.len() >= before || turns == TURNS {
                break;
            }
            turns = if group.len() > len { 0 } else { turns + 1 };
            thread::yield_now();
        }
    }

    /// Executes these and commits once.
    fn commit_together(&mut self, waiting: &mut VecDeque<Box<dyn Job>>) {
        let mut executed: Vec<Box<dyn Job>> = Vec::with_capacity(waiting.len());
        let mut begun = false;
        let mut to_keep = false;
        // So many of those that wait shared a savepoint with one that erred.
        let mut undone: usize = 0;
        while let Some(mut job) = waiting.pop_front() {
            let shares = undone == 0 && job.can_be_repeated();
            undone = undone.saturating_sub(1);
            if job.is_given_up() {
                continue;
            }
            if !begun {
                if let Err(error) = self.begin() {
                    // It was waited for as long as is allowed: the others
                    // would only wait as long again.
                    let fault = Fault::from(error);
                    job.answer(Err(&fault));
                    waiting.drain(..).for_each(|job| job.answer(Err(&fault)));
                    return;
                }
                begun = true;
                to_keep = false;
            }
            let ending = match shares {
                true => self.execute_shared(&mut *job, executed.len()),
                false => self.execute(&mut *job),
            };
            match ending {
                Ok(Done::Ended(ending)) => {
                    to_keep |= ending == Ending::Keep;
                    executed.push(job);
                }
                Ok(Done::Undone(before)) => {
                    waiting.push_front(job);
                    undone = 1 + executed.len() - before;
                    executed
                        .drain(before..)
                        .rev()
                        .for_each(|job| waiting.push_front(job));
                }
                Err(lost) => {
                    begun = false;
                    self.give_up();
                    job.answer(lost.culprit.as_ref().map_or(Ok(()), Err));
                    answer_all(&mut executed, Err(&lost.others));
                }
            }
        }
        if !begun {
            return;
        }
        if !to_keep {
            self.give_up();
            return answer_all(&mut executed, Ok(()));
        }
        match self.commit() {
            Ok(messages) => {
                reach("sqlite.group.committed");
                if messages > 0 {
                    self.wake.wake();
                }
                if self.group.wakes_sagas {
                    self.sagas.wake();
                }
                answer_all(&mut executed, Ok(()));
            }
            Err(error) => {
                self.give_up();
                answer_all(&mut executed, Err(&error.into()));
            }
        }
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        self.group.clear();
        self.shared = None;
        self.statement("BEGIN IMMEDIATE")?;
        reach("sqlite.group.begun");
        Ok(())
    }

    /// Executes one in a savepoint of its own.
    fn execute(&mut self, job: &mut dyn Job) -> Result<Done, Lost> {
        if self.shared.take().is_some() {
            self.statement("RELEASE axiomatic")?;
        }
        self.statement("SAVEPOINT axiomatic")?;
        let messages = self.group.outgoing.mark();
        let ending = self.call(job)?;
        if ending != Ending::Keep {
            self.group.outgoing.back_to(messages);
            self.statement("ROLLBACK TO axiomatic")?;
        }
        self.statement("RELEASE axiomatic")?;
        reach("sqlite.group.closure_done");
        Ok(Done::Ended(ending))
    }

    /// Executes one, behind so many, in the savepoint of those before. If it is
    /// not to be kept, all in that savepoint is undone.
    fn execute_shared(&mut self, job: &mut dyn Job, executed: usize) -> Result<Done, Lost> {
        let shared = match self.shared {
            Some(shared) => shared,
            None => {
                self.statement("SAVEPOINT axiomatic")?;
                let messages = self.group.outgoing.mark();
                *self.shared.insert(Shared { executed, messages })
            }
        };
        let ending = self.call(job)?;
        if ending == Ending::Keep {
            reach("sqlite.group.closure_done");
            return Ok(Done::Ended(ending));
        }
        self.shared = None;
        self.group.outgoing.back_to(shared.messages);
        self.statement("ROLLBACK TO axiomatic")?;
        self.statement("RELEASE axiomatic")?;
        Ok(Done::Undone(shared.executed))
    }

    fn call(&mut self, job: &mut dyn Job) -> Result<Ending, Lost> {
        let rolled_back = self.watch.rolled_back.load();
        let ending = job.execute(&mut Transaction::new(&self.connection, &mut self.group));
        if self.connection.is_autocommit() || self.watch.rolled_back.load() != rolled_back {
            return Err(Lost::within(ending));
        }
        Ok(ending)
    }

    /// Writes the messages and commits; returns how many messages there were.
    fn commit(&mut self) -> rusqlite::Result<u64> {
        let messages = self.group.outgoing.write(&self.connection)?;
        reach("sqlite.group.messages_written");
        self.watch.committing.store(1);
        let committed = self.statement("COMMIT");
        self.watch.committing.store(0);
        committed.map(|()| messages)
    }

    /// Rolls back whatever there is to roll back.
    fn give_up(&mut self) {
        self.group.clear();
        self.shared = None;
        if !self.connection.is_autocommit() {
            // If this fails the transaction is gone as well: SQLite has no
            // other way to fail here.
            let _ = self.statement("ROLLBACK");
        }
    }

    fn statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }
}

impl Drop for Desk {
    /// A connection that is closed within a transaction rolls it back, and
    /// tells the hook of it, which rusqlite has freed by then. That is so if
    /// the thread panics.
    fn drop(&mut self) {
        let _ = self.connection.rollback_hook(None::<fn()>);
    }
}

fn answer_all(jobs: &mut Vec<Box<dyn Job>>, commit: Result<(), &Fault>) {
    for job in jobs.drain(..) {
        job.answer(commit);
    }
}

/// What came of a closure that was executed.
enum Done {
    Ended(Ending),
    /// It is undone, with all others behind so many.
    Undone(usize),
}

/// The transaction is gone, and with it what the group has done.
struct Lost {
    /// What the closure at fault is told, unless what it said itself is true
    /// still.
    culprit: Option<Fault>,
    others: Fault,
}

impl Lost {
    /// The closure ended the transaction, or made SQLite end it: a full disk
    /// does.
    fn within(ending: Ending) -> Self {
        match ending {
            Ending::Keep => Lost {
                culprit: Some(Fault::new(Why::Refused, Ended)),
                others: Fault::new(Why::Unavailable, Ruined),
            },
            Ending::Undo(why) => Lost {
                culprit: None,
                others: Fault::new(why.unwrap_or(Why::Unavailable), Ruined),
            },
        }
    }
}

impl From<rusqlite::Error> for Lost {
    /// A savepoint failed, or is not there any more.
    fn from(error: rusqlite::Error) -> Self {
        let fault = Fault::from(error);
        Lost {
            culprit: Some(fault.clone()),
            others: fault,
        }
    }
}

/// The closure ended the transaction.
#[derive(Debug)]
struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transaction ended within the closure, and was rolled back")
    }
}

impl std::error::Error for Ended {}

/// Another closure did.
#[derive(Debug)]
struct Ruined;

impl fmt::Display for Ruined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "rolled back, because the transaction ended within another closure of the group",
        )
    }
}

impl std::error::Error for Ruined {}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when the thread panics. With the hook in place, this ended the
    /// process: it was called after it had been freed.
    #[test]
    fn a_connection_can_be_closed_within_a_transaction() {
        let connection = Connection::open_in_memory().expect("opens");
        let desk = Desk::new(connection, &Options::new(), Wake::new(), Wake::new());
        let mut desk = desk.expect("has its hooks");
        desk.begin().expect("begins");
        let watch = Arc::downgrade(&desk.watch);
        drop(desk);
        assert_eq!(watch.strong_count(), 0);
    }
}
