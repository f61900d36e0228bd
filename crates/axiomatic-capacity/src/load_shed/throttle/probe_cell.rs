use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

/// From when on a call passes that would be refused, because none has passed
/// for so long.
///
/// Layout    nanoseconds.
/// Invariant at most an interval after the last call that passed, and at least
///           half of one. It decreases only where the interval does.
/// Writers   `take`, `passed`, `shorten`. Readers the first two.
/// Orderings all Relaxed: a time; no other memory is read on its strength.
///           Who takes the probe does so by an exchange, which fails on any
///           stale value.
pub(super) struct ProbeCell(AtomicU64);

impl ProbeCell {
    pub(super) fn new() -> Self {
        ProbeCell(AtomicU64::new(0))
    }

    /// Whether a call that would be refused passes. One does in each
    /// interval of so many nanoseconds.
    ///
    /// Linearises at the exchange; a lost race means that another call
    /// passed, and is judged anew by what it left, which lies ahead: so it
    /// is repeated only if clocks are an interval apart. Lock-free.
    #[inline(always)]
    pub(super) fn take(&self, now: Instant, interval: u64) -> bool {
        // ORDERING: Relaxed: judged again by the exchange.
        let due = self.0.load(Ordering::Relaxed);
        is_due(due, now, interval) && self.take_due(due, now, interval)
    }

    #[cold]
    fn take_due(&self, mut due: u64, now: Instant, interval: u64) -> bool {
        let next = now.as_nanos().saturating_add(interval);
        while is_due(due, now, interval) {
            // ORDERING: Relaxed, both: a time.
            match self
                .0
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(current) => due = current,
            }
        }
        false
    }

    /// A call passes. The word is written at most twice in an interval,
    /// since all who pass share its line. Wait-free.
    #[inline(always)]
    pub(super) fn passed(&self, now: Instant, interval: u64) {
        // ORDERING: Relaxed: a time; a stale one is only written once more.
        let due = self.0.load(Ordering::Relaxed);
        if due < now.as_nanos().saturating_add(interval / 2) {
            self.put_off(now.as_nanos().saturating_add(interval));
        }
    }

    #[cold]
    fn put_off(&self, until: u64) {
        // ORDERING: Relaxed: a time.
        self.0.fetch_max(until, Ordering::Relaxed);
    }

    /// The interval is another now, and perhaps a shorter one. Wait-free.
    pub(super) fn shorten(&self, now: Instant, interval: u64) {
        let latest = now.as_nanos().saturating_add(interval);
        // ORDERING: Relaxed: a time.
        self.0.fetch_min(latest, Ordering::Relaxed);
    }
}

/// Whether it is time; also if it would not be for two intervals, which only
/// an instant of another clock can have brought about. In one comparison.
#[inline(always)]
fn is_due(due: u64, now: Instant, interval: u64) -> bool {
    due.wrapping_sub(now.as_nanos()).wrapping_sub(1) >= interval.saturating_mul(2)
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    /// In nanoseconds.
    const SECOND: u64 = 1_000_000_000;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn one_passes_in_each_interval() {
        let probe = ProbeCell::new();
        let taken: Vec<u64> = (1_000..4_500)
            .step_by(10)
            .filter(|millis| probe.take(at(*millis), SECOND))
            .collect();
        assert_eq!(taken, [1_000, 2_000, 3_000, 4_000]);
    }

    /// 2026-11-26: it was to be waited for until then.
    #[test]
    fn an_instant_from_far_ahead_does_not_keep_probes_from_passing() {
        let probe = ProbeCell::new();
        probe.passed(at(1_000_000), SECOND);
        let taken: Vec<u64> = (1_000..4_500)
            .step_by(10)
            .filter(|millis| probe.take(at(*millis), SECOND))
            .collect();
        assert_eq!(taken, [1_000, 2_000, 3_000, 4_000]);
        // A clock that is a little behind takes none before it is time.
        assert!(!probe.take(at(3_999), SECOND));
        assert!(!probe.take(at(3_001), SECOND));
    }

    #[test]
    fn none_is_needed_while_others_pass() {
        let probe = ProbeCell::new();
        for millis in (1_000..9_000).step_by(100) {
            probe.passed(at(millis), SECOND);
            assert!(!probe.take(at(millis + 50), SECOND));
        }
        // The last that passed did so at 8.9 s.
        assert!(!probe.take(at(9_390), SECOND));
        assert!(probe.take(at(9_900), SECOND));
    }
}
