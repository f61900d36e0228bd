use std::sync::PoisonError;

use axiomatic_core::sync::{AtomicU64, Mutex, MutexGuard, Ordering, fence};

use super::pace::Pace;
use crate::rate_limit::Quota;

/// The pace that calls are judged by: all of one quota, or all of the next.
///
/// Layout    a version, and two banks of | reciprocal | unit | 39..32 shift,
///           31..0 burst |. The last bit of the version says which bank holds.
/// Invariant the bank that holds is not written: the other one is, and holds
///           by the next version.
/// Writers   `store`, one at a time by a lock. Readers `load` (hot), which
///           wait for nobody.
/// Orderings `store` releases the version after the bank, and `load` acquires
///           it. A bank that holds no more is written after a fence, and who
///           reads of that learns, behind a fence, that the version is
///           another.
#[derive(Debug)]
pub(super) struct PaceCell {
    line: Line,
    /// The quota as it was given. Taken by who changes it, and by no call.
    quota: Mutex<Quota>,
}

/// On a line of its own, which is only read.
#[derive(Debug)]
#[repr(align(128))]
struct Line {
    version: AtomicU64,
    banks: [Bank; 2],
}

#[derive(Debug)]
struct Bank {
    reciprocal: AtomicU64,
    unit: AtomicU64,
    rest: AtomicU64,
}

impl PaceCell {
    pub(super) fn new(pace: Pace, quota: Quota) -> Self {
        let bank = || {
            let [reciprocal, unit, rest] = packed(pace).map(AtomicU64::new);
            Bank {
                reciprocal,
                unit,
                rest,
            }
        };
        PaceCell {
            line: Line {
                version: AtomicU64::new(0),
                banks: [bank(), bank()],
            },
            quota: Mutex::new(quota),
        }
    }

    /// The pace. Linearises at the first load of the last turn; a turn is
    /// lost to two changes of the quota in it. Lock-free.
    #[inline(always)]
    pub(super) fn load(&self) -> Pace {
        loop {
            // ORDERING: Acquire: observes the bank of this version; pairs with
            // the Release in `store`.
            let version = self.line.version.load(Ordering::Acquire);
            let bank = &self.line.banks[(version & 1) as usize];
            // ORDERING: Relaxed: whether it was whole is judged below.
            let reciprocal = bank.reciprocal.load(Ordering::Relaxed);
            // ORDERING: Relaxed: as above.
            let unit = bank.unit.load(Ordering::Relaxed);
            // ORDERING: Relaxed: as above.
            let rest = bank.rest.load(Ordering::Relaxed);
            // ORDERING: Acquire: if any of those was of a later version, the
            // next load sees that this one is over; pairs with the Release
            // fence in `store`.
            fence(Ordering::Acquire);
            // ORDERING: Relaxed: ordered by the fence.
            if self.line.version.load(Ordering::Relaxed) == version {
                return Pace {
                    reciprocal,
                    unit,
                    shift: (rest >> 32) as u32 & 63,
                    burst: rest as u32,
                };
            }
        }
    }

    /// The quota that it is of.
    pub(super) fn quota(&self) -> Quota {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, for calls that begin from now on.
    pub(super) fn store(&self, pace: Pace, quota: Quota) {
        let mut kept = self.lock();
        *kept = quota;
        // ORDERING: Relaxed: written under the lock alone.
        let version = self.line.version.load(Ordering::Relaxed);
        let bank = &self.line.banks[(version & 1 ^ 1) as usize];
        let [reciprocal, unit, rest] = packed(pace);
        // ORDERING: Release: who reads of what follows sees this version,
        // under which that bank does not hold; pairs with the fence in `load`.
        fence(Ordering::Release);
        // ORDERING: Relaxed: published by the version.
        bank.reciprocal.store(reciprocal, Ordering::Relaxed);
        // ORDERING: Relaxed: as above.
        bank.unit.store(unit, Ordering::Relaxed);
        // ORDERING: Relaxed: as above.
        bank.rest.store(rest, Ordering::Relaxed);
        // ORDERING: Release: publishes the bank; pairs with the Acquire in
        // `load`.
        self.line.version.store(version + 1, Ordering::Release);
    }
}

fn packed(pace: Pace) -> [u64; 3] {
    [
        pace.reciprocal,
        pace.unit,
        u64::from(pace.shift) << 32 | u64::from(pace.burst),
    ]
}
