//! A database in memory, which can be told to crash between any two steps.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::delivery::Delivery;
use super::id::Id;
use super::quarantine::Quarantined;
use super::tables::{Seen, Stream, Tables, Waiting};
use super::watermark::Watermark;
use crate::{StoreError, Timestamp, Why};

/// A database in memory: what the application keeps, of type `A`, and the
/// tables of an inbox beside it, in one transaction.
///
/// For tests, and for learning what an inbox does. It can be told to
/// [crash](Self::crash_after) between any two steps, so that a test can crash
/// it between every two.
///
/// ```
/// use axiomatic_coordination::inbox::{Config, Error, IdRule, Id, memory::Database};
/// use std::time::Duration;
///
/// let inbox = Config::new(IdRule::BrokerId, Duration::from_secs(60)).build()?;
/// let bank = Database::new(100_u64);
/// let paid = Id::new("payment-1")?;
/// for _ in 0..2 {
///     bank.transact(|tx| {
///         inbox.once(tx, "bank", &paid, |tx| {
///             *tx.app_mut() += 20;
///             Ok::<_, axiomatic_coordination::StoreError>(())
///         })
///     })
///     .map_err(|error| error.to_string())?;
/// }
/// assert_eq!(bank.app(), 120, "once");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Database<A>(Arc<Mutex<Shared<A>>>);

impl<A> Clone for Database<A> {
    fn clone(&self) -> Self {
        Database(self.0.clone())
    }
}

#[derive(Debug)]
struct Shared<A> {
    committed: State<A>,
    now: Timestamp,
    steps: u64,
    crash_after: Option<u64>,
    is_down: bool,
}

#[derive(Clone, Debug)]
struct State<A> {
    app: A,
    seen: HashMap<(Box<str>, Id), Seen>,
    started: HashMap<(Box<str>, Id), (u32, Timestamp)>,
    quarantine: BTreeMap<(Box<str>, Id), Quarantined>,
    watermarks: BTreeMap<Key, Watermark>,
    held: BTreeMap<(Key, u64), Delivery>,
}

/// Of a stream, owned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    consumer: Box<str>,
    source: Box<str>,
    tenant: Option<Box<str>>,
    key: Box<str>,
}

impl From<&Stream<'_>> for Key {
    fn from(stream: &Stream<'_>) -> Self {
        Key {
            consumer: stream.consumer.into(),
            source: stream.source.into(),
            tenant: stream.tenant.map(Into::into),
            key: stream.key.into(),
        }
    }
}

impl<A: Clone> Database<A> {
    /// A database in which the application has this.
    pub fn new(app: A) -> Self {
        Database(Arc::new(Mutex::new(Shared {
            committed: State {
                app,
                seen: HashMap::new(),
                started: HashMap::new(),
                quarantine: BTreeMap::new(),
                watermarks: BTreeMap::new(),
                held: BTreeMap::new(),
            },
            now: Timestamp::from_micros(0),
            steps: 0,
            crash_after: None,
            is_down: false,
        })))
    }

    /// One transaction. It is committed if the work returns `Ok`, and leaves
    /// nothing otherwise.
    ///
    /// Transactions take turns, and this one has its turn until the work
    /// returns: work that begins another one waits for ever.
    ///
    /// # Errors
    ///
    /// What the work says; or, from the database, that it has crashed. If it
    /// did so after the commit, what the work wrote is there all the same.
    pub fn transact<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Transaction<'_, A>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut shared = self.lock();
        shared.reach()?;
        let state = shared.committed.clone();
        let mut tx = Transaction {
            savepoints: Vec::new(),
            state,
            shared: &mut shared,
        };
        let done = work(&mut tx)?;
        tx.reach()?;
        let state = tx.state;
        shared.committed = state;
        shared.reach()?;
        Ok(done)
    }

    /// What the application has, as of the last commit.
    pub fn app(&self) -> A {
        self.lock().committed.app.clone()
    }

    /// The database ends at the so-manieth step from now, counted from zero,
    /// and answers nothing until it is [restarted](Self::restart). What was
    /// not committed then is gone.
    pub fn crash_after(&self, steps: u64) {
        let mut shared = self.lock();
        shared.crash_after = Some(shared.steps + steps);
    }

    /// The database is there again, with all that was committed, and does not
    /// crash. Returns whether it had crashed.
    pub fn restart(&self) -> bool {
        let mut shared = self.lock();
        shared.crash_after = None;
        std::mem::take(&mut shared.is_down)
    }

    /// So much time passes.
    pub fn advance(&self, by: Duration) {
        let mut shared = self.lock();
        shared.now = shared.now.saturating_add(by);
    }

    /// Forgets messages that were seen longer ago than the retention, at most
    /// so many. Returns how many they were.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it has crashed.
    pub fn sweep(&self, retention: Duration, at_most: usize) -> Result<usize, StoreError> {
        let before = self.lock().now.saturating_sub(retention);
        self.transact(|tx| {
            let seen = tx.state.seen.iter();
            let old = seen.filter(|(_, seen)| seen.first_seen < before);
            let old: Vec<_> = old.map(|(key, _)| key.clone()).take(at_most).collect();
            for key in &old {
                tx.state.seen.remove(key);
            }
            // Attempts at what its broker has given up.
            tx.state.started.retain(|_, (_, last)| *last >= before);
            Ok(old.len())
        })
    }

    /// What is in quarantine.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.lock().committed.quarantine.values().cloned().collect()
    }

    /// The streams of which something is missing.
    pub fn waiting(&self) -> Vec<Waiting> {
        let shared = self.lock();
        let all = shared.committed.watermarks.iter();
        let waiting = all.filter(|(_, watermark)| watermark.missing_since.is_some());
        let waiting = waiting.map(|(key, watermark)| Waiting {
            consumer: key.consumer.clone(),
            source: key.source.clone(),
            tenant: key.tenant.clone(),
            key: key.key.clone(),
            watermark: watermark.clone(),
        });
        waiting.collect()
    }

    /// How many messages are stored because they came ahead.
    pub fn held(&self) -> usize {
        self.lock().committed.held.len()
    }

    /// How many messages are remembered by their ids.
    pub fn remembered(&self) -> usize {
        self.lock().committed.seen.len()
    }

    fn lock(&self) -> MutexGuard<'_, Shared<A>> {
        // A panic in the work leaves what was committed as it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A> Shared<A> {
    /// One step is done, and the next has not begun.
    fn reach(&mut self) -> Result<(), StoreError> {
        if self.crash_after == Some(self.steps) {
            self.is_down = true;
        }
        self.steps += 1;
        match self.is_down {
            true => Err(StoreError::new(Why::Unavailable).because("told to crash")),
            false => Ok(()),
        }
    }
}

/// A transaction of a [`Database`].
pub struct Transaction<'a, A> {
    shared: &'a mut Shared<A>,
    state: State<A>,
    savepoints: Vec<State<A>>,
}

impl<A> fmt::Debug for Transaction<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let savepoints = self.savepoints.len();
        f.debug_struct("Transaction")
            .field("savepoints", &savepoints)
            .finish_non_exhaustive()
    }
}

impl<A> Transaction<'_, A> {
    /// What the application has.
    pub fn app(&self) -> &A {
        &self.state.app
    }

    /// What the application has, to change.
    pub fn app_mut(&mut self) -> &mut A {
        &mut self.state.app
    }

    /// A step of the application's, before which and after which the database
    /// may crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it has.
    pub fn reach(&mut self) -> Result<(), StoreError> {
        self.shared.reach()
    }
}

fn key(consumer: &str, id: &Id) -> (Box<str>, Id) {
    (consumer.into(), id.clone())
}

impl<A: Clone> Tables for Transaction<'_, A> {
    fn now(&mut self) -> Result<Timestamp, StoreError> {
        self.reach()?;
        Ok(self.shared.now)
    }

    fn savepoint(&mut self) -> Result<(), StoreError> {
        self.reach()?;
        self.savepoints.push(self.state.clone());
        Ok(())
    }

    fn release(&mut self) -> Result<(), StoreError> {
        self.savepoints.pop();
        self.reach()
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        if let Some(state) = self.savepoints.pop() {
            self.state = state;
        }
        self.reach()
    }

    fn see(&mut self, consumer: &str, id: &Id) -> Result<Option<Seen>, StoreError> {
        let key = key(consumer, id);
        let seen = self.state.seen.get(&key).cloned();
        if seen.is_none() {
            let seen = Seen {
                first_seen: self.shared.now,
                result: None,
            };
            self.state.seen.insert(key, seen);
        }
        self.reach()?;
        Ok(seen)
    }

    fn keep_result(&mut self, consumer: &str, id: &Id, result: &Bytes) -> Result<(), StoreError> {
        if let Some(seen) = self.state.seen.get_mut(&key(consumer, id)) {
            seen.result = Some(result.clone());
        }
        self.reach()
    }

    fn started(&mut self, consumer: &str, id: &Id) -> Result<u32, StoreError> {
        self.reach()?;
        let started = self.state.started.get(&key(consumer, id));
        Ok(started.map_or(0, |(times, _)| *times))
    }

    fn start(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError> {
        let started = self.state.started.entry(key(consumer, id));
        let (times, last) = started.or_default();
        *times += 1;
        *last = self.shared.now;
        self.reach()
    }

    fn forget_starts(&mut self, consumer: &str, id: &Id) -> Result<(), StoreError> {
        self.state.started.remove(&key(consumer, id));
        self.reach()
    }

    fn quarantine(
        &mut self,
        consumer: &str,
        id: &Id,
        started: u32,
        reason: &str,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let since = self.shared.now;
        let entry = self.state.quarantine.entry(key(consumer, id));
        entry.or_insert_with(|| Quarantined {
            consumer: consumer.into(),
            id: id.clone(),
            started,
            reason: reason.into(),
            since,
            delivery: delivery.clone(),
        });
        self.reach()
    }

    fn quarantined(&mut self, consumer: &str, id: &Id) -> Result<Option<Quarantined>, StoreError> {
        self.reach()?;
        Ok(self.state.quarantine.get(&key(consumer, id)).cloned())
    }

    fn leave_quarantine(&mut self, consumer: &str, id: &Id) -> Result<bool, StoreError> {
        let gone = self.state.quarantine.remove(&key(consumer, id));
        self.reach()?;
        Ok(gone.is_some())
    }

    fn watermark(&mut self, stream: &Stream<'_>) -> Result<Watermark, StoreError> {
        self.reach()?;
        let watermark = self.state.watermarks.get(&stream.into());
        Ok(watermark.cloned().unwrap_or_default())
    }

    fn remember(&mut self, stream: &Stream<'_>, watermark: &Watermark) -> Result<(), StoreError> {
        let watermarks = &mut self.state.watermarks;
        watermarks.insert(stream.into(), watermark.clone());
        self.reach()
    }

    fn hold(
        &mut self,
        stream: &Stream<'_>,
        number: u64,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let held = &mut self.state.held;
        held.insert((stream.into(), number), delivery.clone());
        self.reach()
    }

    fn take_held(
        &mut self,
        stream: &Stream<'_>,
        through: u64,
    ) -> Result<Vec<(u64, Delivery)>, StoreError> {
        let key = Key::from(stream);
        let due = (key.clone(), 0)..=(key, through);
        let due = self.state.held.range(due);
        let due: Vec<_> = due.map(|(key, held)| (key.clone(), held.clone())).collect();
        for (key, _) in &due {
            self.state.held.remove(key);
        }
        self.reach()?;
        let numbered = due.into_iter().map(|((_, number), held)| (number, held));
        Ok(numbered.collect())
    }
}
