use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

/// The origin of a breaker's own time, an hour before its construction: so
/// that a generation lasts 36 years of use, whatever the clock began with.
///
/// An instant that lies before the origin, or thirty years after it, is of
/// another clock than the one the breaker was built with. Then that clock's
/// is the time from now on.
///
/// Orderings all Relaxed: a number; no other memory is read on its strength.
pub(super) struct Origin(AtomicU64);

const HOUR: u64 = 3_600 * 1_000_000_000;
const THIRTY_YEARS: u64 = 30 * 365 * 24 * HOUR;

impl Origin {
    /// What the breaker's time is at construction.
    pub(super) const BEGINNING: Instant = Instant::from_nanos(HOUR);

    pub(super) fn new(now: Instant) -> Self {
        Origin(AtomicU64::new(now.as_nanos()))
    }

    /// An instant in the breaker's own time.
    #[inline]
    pub(super) fn local(&self, now: Instant) -> Instant {
        // ORDERING: Relaxed: a number.
        let origin = self.0.load(Ordering::Relaxed);
        let nanos = now.as_nanos().wrapping_sub(origin).wrapping_add(HOUR);
        if nanos > THIRTY_YEARS {
            return self.begin_anew(origin, now);
        }
        Instant::from_nanos(nanos)
    }

    #[cold]
    fn begin_anew(&self, origin: u64, now: Instant) -> Instant {
        // ORDERING: Relaxed: a number. A lost race is another instant of that
        // other clock, which serves as well.
        let _ =
            self.0
                .compare_exchange(origin, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed);
        Self::BEGINNING
    }
}
