//! A database in the process, for tests and examples: transactions that are
//! real, and a crash between any two steps.

mod crash;
mod transact_error;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axiomatic_core::time::Clock;
use bytes::Bytes;

use crate::idempotency::IdempotencyTables;
use crate::inbox::InboxTables;
use crate::outbox::{MemoryTables, Wake};
use crate::saga::SagaTables;
use crate::{StoreError, Timestamp};
use crash::Crash;

pub use transact_error::TransactError;

/// A database in the process: cheap to clone, and all clones are one.
///
/// Nothing outlives the process, so it is no place for what matters. But its
/// transactions are atomic, one after the other, and it can be told to crash:
/// then a transaction is undone, or done and nobody hears of it, and nothing
/// is answered until it is [restarted](Memory::restart). A test that crashes
/// it at the first step, at the second, and so on, has seen every state that
/// a crash can leave.
///
/// ```
/// use axiomatic_coordination::Memory;
/// use axiomatic_coordination::outbox::Message;
///
/// let database = Memory::new();
/// database.transact(|tx| {
///     tx.put("order-17", "placed");
///     tx.enqueue(Message::new("orders", "order 17 was placed"));
///     Ok::<_, std::convert::Infallible>(())
/// })?;
/// assert_eq!(database.read("order-17").as_deref(), Some(&b"placed"[..]));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    clock: Clock,
    wake: Wake,
}

#[derive(Default)]
struct State {
    tables: Tables,
    crash: Crash,
}

/// What transactions change.
#[derive(Default)]
pub(crate) struct Tables {
    data: BTreeMap<Box<str>, Bytes>,
    pub(crate) outbox: MemoryTables,
    pub(crate) inbox: InboxTables,
    pub(crate) idempotency: IdempotencyTables,
    pub(crate) sagas: SagaTables,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::with_clock(Clock::Precise)
    }

    /// An empty one with this clock, by which leases expire.
    pub fn with_clock(clock: Clock) -> Self {
        Memory(Arc::new(Shared {
            state: Mutex::default(),
            clock,
            wake: Wake::new(),
        }))
    }

    /// Runs a transaction: all of it is done if the closure returns `Ok`, and
    /// nothing otherwise, also if it panics.
    ///
    /// # Errors
    ///
    /// [`TransactError::Rejected`] with the closure's error;
    /// [`TransactError::Store`] if the database [crashed](Self::crash_at).
    pub fn transact<T, E>(
        &self,
        work: impl FnOnce(&mut MemoryTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, TransactError<E>> {
        let mut state = self.lock();
        state.crash.answers().map_err(TransactError::Store)?;
        let now = self.now();
        let State { tables, crash } = &mut *state;
        let mut transaction = MemoryTransaction {
            tables,
            crash,
            undo: Vec::new(),
            savepoints: Vec::new(),
            wakes: false,
            now,
        };
        let done = work(&mut transaction).map_err(TransactError::Rejected)?;
        transaction.step().map_err(TransactError::Store)?;
        // Committed: nothing is left to undo.
        transaction.undo.clear();
        if transaction.wakes {
            self.0.wake.wake();
        }
        drop(transaction);
        crash.step().map_err(TransactError::Store)?;
        Ok(done)
    }

    /// A value as the last transaction left it.
    pub fn read(&self, key: &str) -> Option<Bytes> {
        self.lock().tables.data.get(key).cloned()
    }

    /// All values whose keys begin so, in their order.
    pub fn read_all(&self, prefix: &str) -> Vec<(Box<str>, Bytes)> {
        let state = self.lock();
        let from = state.tables.data.range(Box::from(prefix)..);
        from.take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Lets it crash at a step, the first being 0: every transaction has two,
    /// before it commits and before it answers, and more if it
    /// [says so](MemoryTransaction::step) or works with an inbox.
    pub fn crash_at(&self, step: u64) {
        self.lock().crash.set(step);
    }

    /// Whether it has crashed.
    pub fn is_down(&self) -> bool {
        self.lock().crash.is_down()
    }

    /// It answers again, with all that was committed, and crashes no more.
    pub fn restart(&self) {
        self.lock().crash = Crash::default();
    }

    /// A transaction that changes the tables at once and cannot err, so that
    /// it needs no way back: it crashes before it has begun, or when it is
    /// done and nobody has heard.
    pub(crate) fn at_once<T>(
        &self,
        change: impl FnOnce(&mut AtOnce<'_>) -> T,
    ) -> Result<T, StoreError> {
        let mut state = self.lock();
        let State { tables, crash } = &mut *state;
        crash.answers()?;
        crash.step()?;
        let mut at_once = AtOnce {
            tables,
            wakes: false,
            now: self.now(),
        };
        let done = change(&mut at_once);
        if at_once.wakes {
            self.0.wake.wake();
        }
        crash.step()?;
        Ok(done)
    }

    /// Looks at the tables, though it be down, and at no step.
    #[cfg(feature = "trial")]
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&mut Tables) -> T) -> T {
        look(&mut self.lock().tables)
    }

    /// What wakes its relays.
    pub(crate) fn wake(&self) -> &Wake {
        &self.0.wake
    }

    /// The time, by its clock.
    pub(crate) fn now(&self) -> Timestamp {
        let nanos = self.0.clock.now().as_nanos();
        Timestamp::from_micros((nanos / 1000) as i64)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A transaction that panics is undone before the lock is let go.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// What a transaction can do to a [`Memory`].
pub struct MemoryTransaction<'a> {
    tables: &'a mut Tables,
    crash: &'a mut Crash,
    undo: Vec<Undo>,
    /// How many changes there were before each.
    savepoints: Vec<usize>,
    /// Relays shall hear of it.
    wakes: bool,
    now: Timestamp,
}

/// What is changed [at once](Memory::at_once).
pub(crate) struct AtOnce<'a> {
    pub(crate) tables: &'a mut Tables,
    /// Relays and executors shall hear of it.
    pub(crate) wakes: bool,
    pub(crate) now: Timestamp,
}

/// How to take back one change.
type Undo = Box<dyn FnOnce(&mut Tables)>;

impl MemoryTransaction<'_> {
    /// A value, as this transaction has left it.
    pub fn read(&self, key: &str) -> Option<Bytes> {
        self.tables.data.get(key).cloned()
    }

    /// Writes a value.
    pub fn put(&mut self, key: impl Into<Box<str>>, value: impl Into<Bytes>) {
        let key = key.into();
        let before = self.tables.data.insert(key.clone(), value.into());
        self.change(
            |_| (),
            move |tables| {
                match before {
                    Some(before) => tables.data.insert(key, before),
                    None => tables.data.remove(&key),
                };
            },
        );
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &str) {
        if let Some(before) = self.tables.data.remove(key) {
            let key = Box::from(key);
            self.change(
                |_| (),
                move |tables| {
                    tables.data.insert(key, before);
                },
            );
        }
    }

    /// Between two steps of the work: here the database may crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it has. Whatever the work says then, it is undone.
    pub fn step(&mut self) -> Result<(), StoreError> {
        self.crash.step()
    }

    /// Whether it has crashed, which work may not have heard or said.
    pub(crate) fn answers(&self) -> Result<(), StoreError> {
        self.crash.answers()
    }

    /// A place to go [back to](Self::back_to_savepoint). They nest.
    pub(crate) fn set_savepoint(&mut self) {
        self.savepoints.push(self.undo.len());
    }

    /// What was done since the last savepoint stands.
    pub(crate) fn drop_savepoint(&mut self) {
        self.savepoints.pop();
    }

    /// What was done since the last savepoint is undone.
    pub(crate) fn back_to_savepoint(&mut self) {
        let changes = self.savepoints.pop().unwrap_or(0);
        while self.undo.len() > changes {
            if let Some(undo) = self.undo.pop() {
                undo(self.tables);
            }
        }
    }

    /// The time at which it began, by the database's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Relays hear of this transaction, if it commits.
    pub(crate) fn wake_when_done(&mut self) {
        self.wakes = true;
    }

    pub(crate) fn tables(&self) -> &Tables {
        self.tables
    }

    /// To look for what will be [changed](Self::change), and not to change it.
    pub(crate) fn tables_mut(&mut self) -> &mut Tables {
        self.tables
    }

    /// Changes the tables, and says how that is taken back.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Tables) -> T,
        undo: impl FnOnce(&mut Tables) + 'static,
    ) -> T {
        self.undo.push(Box::new(undo));
        change(self.tables)
    }
}

impl Drop for MemoryTransaction<'_> {
    fn drop(&mut self) {
        while let Some(undo) = self.undo.pop() {
            undo(self.tables);
        }
    }
}

impl fmt::Debug for MemoryTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.undo.len();
        f.debug_struct("MemoryTransaction")
            .field("changes", &changes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_errs_or_panics_leaves_nothing() {
        let database = Memory::new();
        database
            .transact(|tx| {
                tx.put("a", "1");
                Ok::<_, ()>(())
            })
            .unwrap();
        let rejected = database.transact(|tx| {
            tx.remove("a");
            assert_eq!(tx.read("a"), None);
            tx.put("a", "2");
            tx.put("b", "2");
            Err::<(), _>("no")
        });
        assert!(matches!(rejected, Err(TransactError::Rejected("no"))));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            database.transact(|tx| {
                tx.put("a", "3");
                assert_eq!(tx.read("a").as_deref(), Some(&b"3"[..]));
                panic!("in the closure");
                #[allow(unreachable_code, reason = "gives the closure its type")]
                Ok::<(), ()>(())
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(database.read_all(""), [("a".into(), "1".into())]);
    }

    #[test]
    fn a_crash_undoes_a_transaction_or_hides_that_it_was_done() {
        for (step, expected) in [(0, None), (1, Some("1"))] {
            let database = Memory::new();
            database.crash_at(step);
            let crashed = database.transact(|tx| {
                tx.put("a", "1");
                Ok::<_, ()>(())
            });
            assert!(matches!(crashed, Err(TransactError::Store(_))));
            assert!(database.is_down());
            let after = database.transact(|_| Ok::<_, ()>(()));
            assert!(matches!(after, Err(TransactError::Store(_))), "it is down");
            database.restart();
            assert_eq!(database.read("a"), expected.map(Bytes::from));
            database.transact(|_| Ok::<_, ()>(())).unwrap();
        }
    }
}
