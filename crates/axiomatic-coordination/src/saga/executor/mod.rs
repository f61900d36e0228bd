//! What runs sagas.

mod answering;
mod config;
mod counts;
mod doing;
mod driver;
mod driving;
mod locking;
mod moving;
mod parking;
mod running;
mod shared;
mod tending;
mod tenure;
mod working;
mod writing;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use config::{Config, ConfigError};
pub use counts::Snapshot;

use self::driver::{Driver, Left};
use self::shared::{Entry, Orphan, Shared};
use super::client::{Client, Ended, StartError};
use super::definition::{Plan, Saga};
use super::id::SagaId;
use super::store::{self, Started, Store};
use crate::StoreError;

/// Runs the sagas of a [`Store`], for as long as [`run`](Executor::run) runs.
/// Any number of executors can work on one store: each leases its share of the
/// buckets, and takes over what another left behind when it died.
///
/// Cheap to clone; all clones are one.
pub struct Executor<S: Store>(Arc<Shared<S>>);

impl<S: Store> Executor<S> {
    /// An executor of the sagas of these definitions.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot work so.
    pub fn new(store: S, plans: Plans<S>, config: Config) -> Result<Self, ConfigError> {
        let shared = Shared::new(store, config.checked()?, plans);
        Ok(Executor(Arc::new(shared)))
    }

    /// Runs until `shutdown` is ready; then begins nothing more, waits for the
    /// actions that are running, and gives its leases back.
    ///
    /// Dropped before that, it stops at once: its leases end, and another
    /// takes over.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] if the store fails in a way that does not pass by
    /// itself. Everything else it waits out.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<(), ExecutorError> {
        running::run(&self.0, shutdown).await
    }

    /// What it has, and has done.
    pub fn snapshot(&self) -> Snapshot {
        let shared = &*self.0;
        let buckets = shared.tenures.held(shared.config.clock.now()).len();
        shared.counts.snapshot(buckets, shared.in_memory())
    }

    /// What begins sagas, speaks to them and asks for them; also where no
    /// executor runs.
    pub fn client(&self) -> Client<S> {
        Client::new(self.0.store.clone())
    }

    /// Begins a saga and waits until it has ended. If this executor has its
    /// bucket it is run at once and by the task that calls this; otherwise by
    /// whoever has it.
    ///
    /// If the future is dropped the saga goes on without it, as long as an
    /// executor runs.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn execute<In, Out>(
        &self,
        definition: &Saga<S, In, Out>,
        saga: SagaId,
        input: &In,
    ) -> Result<Ended<Out>, StartError>
    where
        In: Serialize,
        Out: DeserializeOwned,
    {
        let shared = &*self.0;
        let plan = &definition.plan;
        let now = shared.config.clock.now();
        let held = shared.tenures.of(saga.bucket(), now);
        let is_known = shared.plans.running(&plan.definition);
        let is_known = is_known.is_some_and(|known| Arc::ptr_eq(known, plan));
        let client = self.client();
        if let (Some(held), true) = (held, is_known) {
            if let Some(entry) = shared.enter(saga) {
                let start = definition.start(saga, input)?;
                let mut inline = Inline {
                    shared,
                    entry: Some(entry),
                    orphan: Some(Orphan {
                        saga,
                        held: held.clone(),
                        start: Some(start.clone()),
                    }),
                };
                let mailbox = Arc::clone(&inline.entry.as_ref().expect("just made").mailbox);
                let driver = Driver::begin(shared, Arc::clone(plan), held, mailbox, start);
                shared.counts.executed();
                let left = driver.run().await;
                // What cannot be run, or written, is put aside by who runs the
                // others, and what was begun without an answer is run by them.
                if !matches!(
                    left,
                    Left::Lost | Left::Illegal(_) | Left::Begun | Left::Store(_)
                ) {
                    inline.orphan = None;
                }
                match left {
                    Left::Ended(stage, result) => return Ended::read(stage, result.as_deref()),
                    Left::Before(Started::Other) => return Err(StartError::Other),
                    Left::Store(error) => return Err(StartError::Store(error)),
                    Left::Illegal(illegal) => return Err(StartError::Value(illegal.into())),
                    Left::Waiting(_) | Left::Before(_) | Left::Begun => {
                        drop(inline);
                        return client.wait(definition, saga).await;
                    }
                    // It may not have begun, or the bucket be held still.
                    Left::Lost => drop(inline),
                }
            }
        }
        client.start(definition, saga, input).await?;
        client.wait(definition, saga).await
    }
}

/// A saga that is run by its caller: if that goes away, by the executor.
struct Inline<'a, S: Store> {
    shared: &'a Shared<S>,
    entry: Option<Entry<'a, S>>,
    orphan: Option<Orphan>,
}

impl<S: Store> Drop for Inline<'_, S> {
    fn drop(&mut self) {
        self.entry = None;
        if let Some(orphan) = self.orphan.take() {
            self.shared.orphans.put(orphan);
        }
    }
}

impl<S: Store> Clone for Executor<S> {
    fn clone(&self) -> Self {
        Executor(Arc::clone(&self.0))
    }
}

impl<S: Store> fmt::Debug for Executor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("id", &self.0.me)
            .finish_non_exhaustive()
    }
}

/// The definitions that an executor knows.
pub struct Plans<S: Store>(HashMap<Arc<str>, Vec<Arc<Plan<S>>>>);

impl<S: Store> Plans<S> {
    /// None.
    pub fn new() -> Self {
        Plans(HashMap::new())
    }

    /// And this one. There may be several versions with one name: each saga is
    /// run by its own, and only if that is not here by the newest that
    /// [also runs](Saga::also_runs) it. Of two that have name, version and
    /// steps in common the last one counts
    /// (`sagas_of_two_versions_are_run_each_by_its_own`).
    #[must_use]
    pub fn with<In, Out>(mut self, definition: &Saga<S, In, Out>) -> Self {
        let plan = &definition.plan;
        let versions = self.0.entry(plan.definition.name.clone()).or_default();
        versions.retain(|other| other.definition != plan.definition);
        versions.push(Arc::clone(plan));
        self
    }

    /// What runs sagas of this definition.
    fn running(&self, definition: &store::Definition) -> Option<&Arc<Plan<S>>> {
        let versions = self.0.get(&definition.name)?;
        let own = versions.iter().find(|plan| plan.definition == *definition);
        own.or_else(|| {
            let others = versions.iter().filter(|plan| plan.runs(definition));
            others.max_by_key(|plan| plan.definition.version)
        })
    }
}

impl<S: Store> Default for Plans<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Store> fmt::Debug for Plans<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The store failed for good: something is to be repaired by hand.
#[derive(Debug)]
pub struct ExecutorError(StoreError);

impl ExecutorError {
    /// What the store said.
    pub fn store_error(&self) -> &StoreError {
        &self.0
    }
}

impl From<StoreError> for ExecutorError {
    fn from(error: StoreError) -> Self {
        ExecutorError(error)
    }
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the executor stopped: {}", self.0)
    }
}

impl Error for ExecutorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
