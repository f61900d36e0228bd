use axiomatic_core::sync::{AtomicU64, Ordering};

use super::pace::{Decision, Pace};
use super::table::{Call, Verdict};

/// The arrival of a key that has a place of its own.
///
/// Layout    microseconds since the origin; 0 is before all times.
/// Invariant none: any arrival may follow any other, since cells are given
///           back.
/// Writers   `admit`, `refund`. Readers `load`.
/// Orderings all Relaxed: the word is all there is to know of a key.
#[derive(Debug)]
pub(super) struct Arrival(AtomicU64);

impl Arrival {
    pub(super) fn new() -> Self {
        Arrival(AtomicU64::new(0))
    }

    pub(super) fn load(&self) -> u64 {
        // ORDERING: Relaxed: no other memory is read on its strength.
        self.0.load(Ordering::Relaxed)
    }

    /// Decides on a call. Linearises at the exchange, or at the load that
    /// refuses; a lost race is judged anew. Lock-free.
    pub(super) fn admit(&self, pace: Pace, call: Call) -> Verdict {
        let mut seen = self.load();
        loop {
            let (next, verdict) = match pace.decide(seen, call.now, call.cost) {
                Decision::Admit { arrival, left } => (arrival, Verdict::Admit(left)),
                Decision::Refuse { until, pull_back } => match pull_back {
                    Some(arrival) => (arrival, Verdict::Refuse(until)),
                    None => return Verdict::Refuse(until),
                },
            };
            match self.exchange(seen, next) {
                Ok(()) => return verdict,
                Err(now) => seen = now,
            }
        }
    }

    /// Gives cells back. Lock-free, as above.
    pub(super) fn refund(&self, pace: Pace, call: Call) {
        let mut seen = self.load();
        loop {
            let back = pace.refund(seen, call.now, call.cost);
            match self.exchange(seen, back) {
                Ok(()) => return,
                Err(now) => seen = now,
            }
        }
    }

    fn exchange(&self, seen: u64, new: u64) -> Result<(), u64> {
        // ORDERING: Relaxed: the word says all, and was read as a whole.
        self.0
            .compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed)
            .map(drop)
    }
}
