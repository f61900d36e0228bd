use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

/// Since when nobody has found the inner service ready, and whether that was
/// long enough to refuse calls.
///
/// Layout    | 63 failing | 62..0 since, in nanoseconds; 0: nobody asks in vain |
/// Invariant `since` is not zero while it is failing, and changes only by way
///           of zero.
/// Writers   `ask_in_vain`, `fail`, `clear`. Readers `is_failing`, and `clear` on
///           the path of calls that are served.
/// Orderings all Relaxed: the word is all there is, and no other memory is
///           read on its strength.
#[derive(Debug)]
pub(super) struct Unready(AtomicU64);

const FAILING: u64 = 1 << 63;
const SINCE: u64 = FAILING - 1;

impl Unready {
    pub(super) fn new() -> Self {
        Unready(AtomicU64::new(0))
    }

    #[inline]
    pub(super) fn is_failing(&self) -> bool {
        // ORDERING: Relaxed: the word is all there is.
        self.0.load(Ordering::Relaxed) & FAILING != 0
    }

    /// Somebody found it not ready, at `now`: that is since when, unless
    /// somebody else was first. None if that is too long by now.
    pub(super) fn ask_in_vain(&self, now: Instant) -> Option<Instant> {
        // 0 is no live time, and 2^63 ns are 292 years.
        let since = now.as_nanos().clamp(1, SINCE);
        // ORDERING: Relaxed: the word is all there is. One step, wait-free: who
        // loses the race has been told who was first.
        let first = self
            .0
            .compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
        let word = first.err().unwrap_or(since);
        (word & FAILING == 0).then_some(Instant::from_nanos(word))
    }

    /// Nobody found it ready since then, and that is too long: calls are
    /// refused from now on. False if that is no longer so, because somebody
    /// has found it ready, or because another was quicker to say so.
    pub(super) fn fail(&self, since: Instant) -> bool {
        let since = since.as_nanos();
        // ORDERING: Relaxed: the word is all there is. It is the decision and
        // its effect in one: from a word that says since when, to one that
        // adds for too long.
        self.0
            .compare_exchange(since, since | FAILING, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Somebody found it ready. True for the one whose doing it is that calls
    /// are no longer refused.
    #[inline(always)]
    pub(super) fn clear(&self) -> bool {
        // ORDERING: Relaxed: the word is all there is. Who reads zero here was
        // ready before whoever then asks in vain; if the zero is an old one, the
        // next who finds it ready reads a later one.
        self.0.load(Ordering::Relaxed) != 0 && self.forget()
    }

    #[cold]
    fn forget(&self) -> bool {
        // ORDERING: Relaxed: the word is all there is. What is found ready is
        // ready, whatever the word says by now, so it needs no comparison.
        self.0.swap(0, Ordering::Relaxed) & FAILING != 0
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_follows_what() {
        let [first, second] = [7, 9].map(Instant::from_nanos);
        let cell = Unready::new();
        assert!(!cell.is_failing());
        assert!(!cell.fail(first), "nobody asked in vain");
        assert_eq!(cell.ask_in_vain(first), Some(first));
        assert_eq!(cell.ask_in_vain(second), Some(first));
        assert!(!cell.fail(second), "it is longer than that");
        assert!(cell.fail(first) && cell.is_failing());
        assert!(!cell.fail(first), "said already");
        assert_eq!(cell.ask_in_vain(second), None);
        assert!(cell.clear());
        assert!(!cell.clear(), "said already");
        assert_eq!(cell.ask_in_vain(second), Some(second));
        assert!(!cell.clear(), "it was not failing");
        assert!(!cell.is_failing());
    }

    #[test]
    fn any_instant_can_be_told_from_none() {
        for nanos in [0, 1, u64::MAX] {
            let cell = Unready::new();
            let Some(since) = cell.ask_in_vain(Instant::from_nanos(nanos)) else {
                panic!("{nanos} is taken for something else");
            };
            assert!(cell.fail(since));
        }
    }
}
