//! Which buckets this executor has, as far as it knows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axiomatic_core::time::Instant;
use tokio::sync::watch;

use crate::outbox::Bucket;
use crate::saga::id::Lease;

/// Whether a bucket may be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenure {
    /// It may.
    Held,
    /// What is running may end, and nothing may begin.
    Leaving,
    /// Another may have it.
    Lost,
}

/// The buckets. Those who run a saga of one hear when it is lost.
#[derive(Debug, Default)]
pub(super) struct Tenures(Mutex<BTreeMap<Bucket, Holding>>);

#[derive(Debug)]
struct Holding {
    lease: Lease,
    until: Instant,
    says: watch::Sender<Tenure>,
}

/// A bucket, to somebody who runs a saga of it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    hears: watch::Receiver<Tenure>,
    /// What was heard last.
    heard: Tenure,
}

impl Held {
    pub(super) fn tenure(&self) -> Tenure {
        // Its holding is dropped when it is lost.
        match self.hears.has_changed() {
            Ok(false) => self.heard,
            Ok(true) => *self.hears.borrow(),
            Err(_) => Tenure::Lost,
        }
    }

    /// Waits until it is lost.
    pub(super) async fn lost(&mut self) {
        while self.tenure() != Tenure::Lost {
            self.changed().await;
        }
    }

    /// Waits until it is no longer held without qualification.
    pub(super) async fn changed(&mut self) {
        // An error is that it is lost, which is heard at each look.
        if self.hears.changed().await.is_ok() {
            self.heard = *self.hears.borrow_and_update();
        }
    }
}

impl Tenures {
    /// The bucket, if it is held and not being left.
    pub(super) fn of(&self, bucket: Bucket, now: Instant) -> Option<Held> {
        let holdings = self.lock();
        let holding = holdings.get(&bucket)?;
        let is_held = now < holding.until && *holding.says.borrow() == Tenure::Held;
        is_held.then(|| Held {
            lease: holding.lease.clone(),
            hears: holding.says.subscribe(),
            heard: Tenure::Held,
        })
    }

    /// Those that are held and not being left.
    pub(super) fn held(&self, now: Instant) -> Vec<Lease> {
        let holdings = self.lock();
        let held = holdings
            .values()
            .filter(|holding| now < holding.until && *holding.says.borrow() == Tenure::Held);
        held.map(|holding| holding.lease.clone()).collect()
    }

    /// Of these leases, which are all that the store has for this executor,
    /// those that are held here still are held until then. Returns the others.
    pub(super) fn renew(&self, leases: Vec<Lease>, now: Instant, until: Instant) -> Vec<Lease> {
        let mut holdings = self.lock();
        // Who asks for a bucket whose time is over hears that nobody has it.
        holdings.retain(|_, holding| now < holding.until && leases.contains(&holding.lease));
        let mut others = leases;
        others.retain(|lease| match holdings.get_mut(&lease.bucket) {
            Some(holding) => {
                holding.until = until;
                false
            }
            None => true,
        });
        others
    }

    /// These leases are held until then.
    pub(super) fn add(&self, leases: &[Lease], until: Instant) {
        let mut holdings = self.lock();
        for lease in leases {
            match holdings.get_mut(&lease.bucket) {
                Some(holding) if holding.lease == *lease => holding.until = until,
                _ => {
                    let says = watch::Sender::new(Tenure::Held);
                    let lease = lease.clone();
                    holdings.insert(lease.bucket, Holding { lease, until, says });
                }
            }
        }
    }

    /// Nothing may begin in these any more.
    pub(super) fn leave(&self, leaving: impl Fn(Bucket) -> bool) {
        for (bucket, holding) in &*self.lock() {
            if leaving(*bucket) {
                holding.says.send_if_modified(|tenure| {
                    let was_held = *tenure == Tenure::Held;
                    *tenure = Tenure::Leaving;
                    was_held
                });
            }
        }
    }

    /// Whether it is held, or being left.
    pub(super) fn has(&self, bucket: Bucket) -> bool {
        self.lock().contains_key(&bucket)
    }

    /// Those that are being left and of which nobody runs a saga.
    pub(super) fn left(&self) -> Vec<Lease> {
        let holdings = self.lock();
        let left = holdings.values().filter(|holding| {
            *holding.says.borrow() == Tenure::Leaving && holding.says.receiver_count() == 0
        });
        left.map(|holding| holding.lease.clone()).collect()
    }

    /// These are not held any more.
    pub(super) fn lose(&self, leases: &[Lease]) {
        self.lock()
            .retain(|_, holding| !leases.contains(&holding.lease));
    }

    /// All are lost: nobody prolongs them any more.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// What has ended by this clock is lost. Returns when the next one ends.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut holdings = self.lock();
        holdings.retain(|_, holding| now < holding.until);
        holdings.values().map(|holding| holding.until).min()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Bucket, Holding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
