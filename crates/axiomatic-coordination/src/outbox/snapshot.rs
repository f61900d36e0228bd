//! What a relay has done so far.

use std::fmt;
use std::sync::Arc;

use axiomatic_core::Name;
use axiomatic_core::number_cell::{Setting, Tally};

/// What a relay has done so far, in plain numbers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What the relay is called.
    pub name: Name,
    /// Buckets that it holds.
    pub buckets: u64,
    /// Messages that wait for their confirmations.
    pub in_flight: u64,
    /// Messages confirmed, duplicates included.
    pub published: u64,
    /// Of these, those that the broker had already.
    pub duplicates: u64,
    /// Attempts that the broker refused.
    pub rejected: u64,
    /// Attempts of which nobody knows whether they succeeded.
    pub unknown: u64,
    /// Messages that went to the dead letters.
    pub buried: u64,
    /// Keys that were parked.
    pub parked: u64,
    /// Messages given up because they ended processes.
    pub poison: u64,
    /// Leases that were lost: expired, or taken by another relay.
    pub leases_lost: u64,
    /// Rows of which the store refused to write down what became of them,
    /// since their lease was lost: the late writes of a zombie.
    pub fenced: u64,
    /// Messages whose lease was lost while they were in flight, so that
    /// nothing was written down of them.
    pub discarded: u64,
    /// Waves of which nothing came through, charged to the broker.
    pub outages: u64,
    /// Times that the store could not do what it was asked.
    pub store_errors: u64,
    /// Fetches that the store answered.
    pub fetches: u64,
    /// Settlements that the store answered.
    pub settlements: u64,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "outbox relay {}: {} buckets, {} in flight; {} published ({} duplicates), \
             {} refused, {} unknown, {} buried, {} keys parked; {} leases lost, {} writes fenced",
            self.name.as_str(),
            self.buckets,
            self.in_flight,
            self.published,
            self.duplicates,
            self.rejected,
            self.unknown,
            self.buried,
            self.parked,
            self.leases_lost,
            self.fenced
        )
    }
}

/// The counts behind a [`Snapshot`], shared by the loop and its handles.
#[derive(Clone, Debug)]
pub(super) struct Counts(Arc<Numbers>);

#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) buckets: Setting,
    pub(super) in_flight: Setting,
    pub(super) published: Sum,
    pub(super) duplicates: Sum,
    pub(super) rejected: Sum,
    pub(super) unknown: Sum,
    pub(super) buried: Sum,
    pub(super) parked: Sum,
    pub(super) poison: Sum,
    pub(super) leases_lost: Sum,
    pub(super) fenced: Sum,
    pub(super) discarded: Sum,
    pub(super) outages: Tally,
    pub(super) store_errors: Tally,
    pub(super) fetches: Tally,
    pub(super) settlements: Tally,
}

/// A sum with one writer, the loop.
#[derive(Debug)]
pub(super) struct Sum(Setting);

impl Sum {
    pub(super) fn add(&self, more: u64) {
        if more > 0 {
            self.0.store(self.0.load() + more);
        }
    }
}

impl Counts {
    pub(super) fn new() -> Self {
        let sum = || Sum(Setting::new(0));
        Counts(Arc::new(Numbers {
            buckets: Setting::new(0),
            in_flight: Setting::new(0),
            published: sum(),
            duplicates: sum(),
            rejected: sum(),
            unknown: sum(),
            buried: sum(),
            parked: sum(),
            poison: sum(),
            leases_lost: sum(),
            fenced: sum(),
            discarded: sum(),
            outages: Tally::new(),
            store_errors: Tally::new(),
            fetches: Tally::new(),
            settlements: Tally::new(),
        }))
    }

    pub(super) fn snapshot(&self, name: Name) -> Snapshot {
        let numbers = &self.0;
        Snapshot {
            name,
            buckets: numbers.buckets.load(),
            in_flight: numbers.in_flight.load(),
            published: numbers.published.0.load(),
            duplicates: numbers.duplicates.0.load(),
            rejected: numbers.rejected.0.load(),
            unknown: numbers.unknown.0.load(),
            buried: numbers.buried.0.load(),
            parked: numbers.parked.0.load(),
            poison: numbers.poison.0.load(),
            leases_lost: numbers.leases_lost.0.load(),
            fenced: numbers.fenced.0.load(),
            discarded: numbers.discarded.0.load(),
            outages: numbers.outages.load(),
            store_errors: numbers.store_errors.load(),
            fetches: numbers.fetches.load(),
            settlements: numbers.settlements.load(),
        }
    }
}

impl std::ops::Deref for Counts {
    type Target = Numbers;

    fn deref(&self) -> &Numbers {
        &self.0
    }
}
