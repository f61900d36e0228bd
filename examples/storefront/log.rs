use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::GOOD_WITHIN;

/// What a user wants.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Browse,
    Buy,
}

/// What a user got.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The page asked for.
    Full,
    /// The page that says "pay later".
    Degraded,
    /// An error.
    Failed,
    /// Nothing; they left.
    GaveUp,
}

/// One request, when it is over.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Record {
    /// Since the start of the run.
    pub(crate) arrived: Duration,
    pub(crate) kind: Kind,
    /// Since it arrived, until it was answered or given up.
    pub(crate) latency: Duration,
    pub(crate) answer: Answer,
}

impl Record {
    /// Answered in time, with a page of use.
    pub(crate) fn is_good(&self) -> bool {
        self.latency <= GOOD_WITHIN && matches!(self.answer, Answer::Full | Answer::Degraded)
    }

    pub(crate) fn is_good_and_full(&self) -> bool {
        self.is_good() && self.answer == Answer::Full
    }
}

/// All requests that are over.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Record>>>);

impl Log {
    pub(crate) fn push(&self, record: Record) {
        self.with(|records| records.push(record));
    }

    /// Those from number `first` on.
    pub(crate) fn since(&self, first: usize) -> Vec<Record> {
        self.with(|records| records[first..].to_vec())
    }

    /// All of them, in the order of arrival.
    pub(crate) fn take(&self) -> Vec<Record> {
        let mut records = self.with(std::mem::take);
        records.sort_by_key(|record| record.arrived);
        records
    }

    fn with<T>(&self, f: impl FnOnce(&mut Vec<Record>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
