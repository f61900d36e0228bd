use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use axiomatic_core::keyed::{self, Found, Idle, Keyed, WhenFull};
use axiomatic_core::time::Instant;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Lease;
use super::lease_cell::{LeaseCell, Spent};

/// The tokens that a process holds, by key, in bounded memory. Keys without a
/// place have no lease.
pub(super) struct Leases {
    lease: Lease,
    cells: Keyed<Box<[u8]>, Kept>,
}

struct Kept(Arc<Entry>);

/// The lease of a key.
#[derive(Debug, Default)]
pub(super) struct Entry {
    cell: LeaseCell,
    /// Tells those who wait for what somebody asked.
    told: Notify,
}

impl Entry {
    /// Completes when somebody who asked has an answer, if that is after this
    /// was called; whether it was polled by then does not matter.
    pub(super) fn told(&self) -> Notified<'_> {
        self.told.notified()
    }
}

impl Idle for Kept {
    fn is_idle(&self, _: Instant) -> bool {
        Arc::strong_count(&self.0) == 1 && self.0.cell.is_idle()
    }
}

/// What a lease says to a call.
#[derive(Debug)]
pub(super) enum Leased {
    /// It paid, and has so many left.
    Paid(u32),
    /// Redis said that there are none before then.
    Limited(Instant),
    /// This call is to ask for more than it needs.
    Refill(Asking),
    /// Another call has asked, and this one is to look again when it was
    /// told.
    Wait(Arc<Entry>),
    /// The call pays for itself.
    None,
}

/// Leave to ask Redis for the tokens of a key: one caller has it at a time.
/// Dropped, it passes to the next.
#[derive(Debug)]
pub(super) struct Asking {
    entry: Arc<Entry>,
    /// Tokens that had expired.
    pub(super) expired: u32,
    is_settled: bool,
}

impl Leases {
    /// How many leases are taken in one go, to be given back.
    pub(super) const MOST_AT_ONCE: usize = 1_000;

    pub(super) fn new(lease: Lease, keys: NonZeroU32) -> Self {
        Leases {
            lease,
            cells: Keyed::new(keys, WhenFull::Admit, |_| Kept(Arc::default())),
        }
    }

    pub(super) fn lease(&self) -> Lease {
        self.lease
    }

    pub(super) fn spend(&self, key: &[u8], now: Instant, cost: NonZeroU32) -> Leased {
        if cost > self.lease.batch {
            return Leased::None;
        }
        self.cells.with(key, now, |found| {
            let (Found::Own(kept) | Found::Shared(kept)) = found else {
                return Leased::None;
            };
            match kept.0.cell.spend(now, cost.get()) {
                Spent::Paid(left) => Leased::Paid(left),
                Spent::Limited(until) => Leased::Limited(until),
                Spent::Busy => Leased::Wait(Arc::clone(&kept.0)),
                Spent::Ask(expired) => Leased::Refill(Asking {
                    entry: Arc::clone(&kept.0),
                    expired,
                    is_settled: false,
                }),
            }
        })
    }

    /// How much to ask for, for a call of this cost: the batch, or half of it,
    /// and so on down to the cost.
    pub(super) fn sums(&self, cost: NonZeroU32) -> Vec<NonZeroU32> {
        let halves =
            std::iter::successors(Some(self.lease.batch), |sum| NonZeroU32::new(sum.get() / 2));
        let mut sums: Vec<_> = halves.take_while(|sum| *sum > cost).collect();
        sums.push(cost);
        sums
    }

    /// There may be tokens again before the time that Redis said.
    pub(super) fn forget_refusal(&self, key: &[u8], now: Instant) {
        self.cells.with(key, now, |found| {
            if let Some(kept) = found.value() {
                kept.0.cell.unlimited();
            }
        });
    }

    /// Takes what has expired, of some keys, or everything.
    pub(super) fn take(&self, expired_by: Option<Instant>) -> Vec<(Box<[u8]>, NonZeroU32)> {
        let mut taken = Vec::new();
        self.cells.for_each(|key, kept| {
            if taken.len() < Self::MOST_AT_ONCE {
                let tokens = match expired_by {
                    Some(now) => kept.0.cell.take_expired(now),
                    None => kept.0.cell.take_all(),
                };
                taken.extend(NonZeroU32::new(tokens).map(|tokens| (key.clone(), tokens)));
            }
        });
        taken
    }

    /// Tokens held, expired ones among them.
    pub(super) fn held(&self) -> u64 {
        let mut held = 0;
        self.cells
            .for_each(|_, kept| held += u64::from(kept.0.cell.tokens()));
        held
    }

    pub(super) fn snapshot(&self) -> keyed::Snapshot {
        self.cells.snapshot()
    }
}

impl Asking {
    /// Redis gave some. Returns how many have to be given back.
    pub(super) fn granted(mut self, tokens: u32, now: Instant, until: Instant) -> u32 {
        self.is_settled = true;
        self.expired + self.entry.cell.granted(tokens, now, until)
    }

    /// Redis has none before then. Returns how many have to be given back.
    pub(super) fn limited(mut self, until: Instant) -> u32 {
        self.is_settled = true;
        self.entry.cell.limited(until);
        self.expired
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.is_settled {
            self.entry.cell.released();
        }
        self.entry.told.notify_waiters();
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("lease", &self.lease)
            .field("cells", &self.cells)
            .finish()
    }
}
