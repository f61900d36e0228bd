//! What an executor has done, for operators.

use std::fmt;

use axiomatic_core::Name;
use axiomatic_core::number_cell::Tally;

use super::driver::Left;
use crate::StoreError;
use crate::saga::id::SagaId;
use crate::saga::record::Stage;

/// Counts what becomes of sagas, and tells it. The names of the events stand in
/// TELEMETRY.md.
#[derive(Debug)]
pub(super) struct Counts {
    name: Name,
    taken: Tally,
    executed: Tally,
    done: Tally,
    compensated: Tally,
    abandoned: Tally,
    stuck: Tally,
    parked: Tally,
    lost: Tally,
    store_errors: Tally,
}

impl Counts {
    pub(super) fn new(name: Name) -> Self {
        Counts {
            name,
            taken: Tally::new(),
            executed: Tally::new(),
            done: Tally::new(),
            compensated: Tally::new(),
            abandoned: Tally::new(),
            stuck: Tally::new(),
            parked: Tally::new(),
            lost: Tally::new(),
            store_errors: Tally::new(),
        }
    }

    /// A saga was taken from the store.
    pub(super) fn taken(&self) {
        self.taken.count();
    }

    /// A saga is run by its caller.
    pub(super) fn executed(&self) {
        self.executed.count();
    }

    /// A saga was let go of.
    pub(super) fn left(&self, saga: SagaId, definition: &str, left: &Left) {
        match left {
            Left::Ended(stage, _) => self.ended(saga, definition, *stage),
            Left::Waiting(Stage::Stuck) => {
                self.stuck.count();
                #[cfg(feature = "tracing")]
                tracing::warn!(
                    target: "axiomatic::saga",
                    name = self.name.as_str(),
                    %saga,
                    definition,
                    "stuck"
                );
            }
            Left::Lost => {
                self.lost.count();
                #[cfg(feature = "tracing")]
                tracing::warn!(
                    target: "axiomatic::saga",
                    name = self.name.as_str(),
                    %saga,
                    definition,
                    "lost"
                );
            }
            Left::Waiting(_)
            | Left::Before(_)
            | Left::Begun
            | Left::Illegal(_)
            | Left::Store(_) => {}
        }
        let _ = (saga, definition);
    }

    fn ended(&self, saga: SagaId, definition: &str, stage: Stage) {
        match stage {
            Stage::Compensated => drop(self.compensated.count()),
            Stage::Abandoned => drop(self.abandoned.count()),
            _ => {
                self.done.count();
                return;
            }
        }
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::saga",
            name = self.name.as_str(),
            %saga,
            definition,
            stage = stage.as_str(),
            "not done"
        );
        let _ = (saga, definition);
    }

    /// A saga was put aside.
    pub(super) fn parked(&self, saga: SagaId, definition: &str, why: &str) {
        self.parked.count();
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::saga",
            name = self.name.as_str(),
            %saga,
            definition,
            why,
            "parked"
        );
        let _ = (saga, definition, why);
    }

    /// A saga cannot be read.
    pub(super) fn broken(&self, saga: SagaId, error: &StoreError) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::saga",
            name = self.name.as_str(),
            %saga,
            error = %error,
            "broken"
        );
        let _ = (saga, error);
    }

    /// The store could not do what it was asked.
    pub(super) fn store_error(&self, error: &StoreError) {
        self.store_errors.count();
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::saga",
            name = self.name.as_str(),
            why = error.why().as_str(),
            error = %error,
            "store error"
        );
        let _ = error;
    }

    pub(super) fn snapshot(&self, buckets: usize, in_memory: usize) -> Snapshot {
        Snapshot {
            name: self.name,
            buckets,
            in_memory,
            taken: self.taken.load(),
            executed: self.executed.load(),
            done: self.done.load(),
            compensated: self.compensated.load(),
            abandoned: self.abandoned.load(),
            stuck: self.stuck.load(),
            parked: self.parked.load(),
            lost: self.lost.load(),
            store_errors: self.store_errors.load(),
        }
    }
}

/// What an executor has, and has done since it was made. Which sagas there are
/// tells an [`Overview`](crate::saga::Overview).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it is called.
    pub name: Name,
    /// How many buckets it holds.
    pub buckets: usize,
    /// How many sagas it has in memory.
    pub in_memory: usize,
    /// How often it took a saga from the store.
    pub taken: u64,
    /// How many sagas were run by their callers.
    pub executed: u64,
    /// How many it ended as done.
    pub done: u64,
    /// How many it ended as compensated.
    pub compensated: u64,
    /// How many it ended as abandoned.
    pub abandoned: u64,
    /// How often it left one to an operator.
    pub stuck: u64,
    /// How often it parked one.
    pub parked: u64,
    /// How often it let go of one because another has its bucket, or may have.
    pub lost: u64,
    /// How often the store failed.
    pub store_errors: u64,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "executor {}: buckets={} in_memory={} taken={} executed={} done={} compensated={} \
             abandoned={} stuck={} parked={} lost={} store_errors={}",
            self.name,
            self.buckets,
            self.in_memory,
            self.taken,
            self.executed,
            self.done,
            self.compensated,
            self.abandoned,
            self.stuck,
            self.parked,
            self.lost,
            self.store_errors,
        )
    }
}
