//! The sliding window counter: what was counted in this window, and as much of
//! the last one's count as its share of the time that is looked back on.
//!
//! State | 57..40 window | 39..20 the last one's count | 19..0 this one's |

use axiomatic_core::time::Instant;

/// A count in as long as a window.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The instant, in nanoseconds, at which window 0 begins.
    pub(crate) since: u64,
    /// How long each is, in nanoseconds.
    pub(crate) period: u64,
    /// How many there may be.
    pub(crate) limit: u64,
}

/// The most that a window counts.
pub(crate) const MOST: u64 = (1 << 20) - 1;

/// So many windows have numbers.
const WINDOWS: u64 = 1 << 18;

/// What is known at an instant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Counts {
    window: u64,
    /// Nanoseconds since it began.
    into: u64,
    last: u64,
    this: u64,
}

impl Window {
    /// The counts at an instant. A clock that is behind who came last waits for
    /// it.
    #[inline]
    fn counts(&self, state: u64, now: Instant) -> Counts {
        let elapsed = now.as_nanos().saturating_sub(self.since);
        let (window, into) = (elapsed / self.period, elapsed % self.period);
        let (last, this) = (state >> 20 & MOST, state & MOST);
        let seen = number(state);
        let (window, into, last, this) = if seen > window {
            (seen, 0, last, this)
        } else {
            match window - seen {
                0 => (window, into, last, this),
                1 => (window, into, this, 0),
                _ => (window, into, 0, 0),
            }
        };
        Counts {
            window,
            into,
            last,
            this,
        }
    }

    /// Whether there is no room for the number of this window.
    #[inline]
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        now.as_nanos().saturating_sub(self.since) / self.period >= WINDOWS
    }

    /// The same windows with smaller numbers, and the state in them. Of a
    /// window that has no room for its number.
    pub(crate) fn renewed(&self, state: u64, now: Instant) -> (Window, u64) {
        let counts = self.counts(state, now);
        let before = counts.window.saturating_sub(1);
        let since = self
            .since
            .saturating_add(before.saturating_mul(self.period));
        let window = Window { since, ..*self };
        (
            window,
            pack(counts.window - before, counts.last, counts.this),
        )
    }

    /// The state with so many more, if they fit; or else when they would, if
    /// nobody else came.
    #[inline]
    pub(crate) fn take(&self, state: u64, now: Instant, cost: u64) -> Result<u64, Instant> {
        let counts = self.counts(state, now);
        if self.fits(&counts, cost) {
            let this = counts.this + cost;
            return Ok(pack(counts.window, counts.last, this));
        }
        Err(self.fits_at(&counts, cost))
    }

    /// Exactly: last × (period − into) / period + this + cost ≤ limit.
    #[inline]
    fn fits(&self, counts: &Counts, cost: u64) -> bool {
        let old = u128::from(counts.last) * u128::from(self.period - counts.into);
        let new = u128::from(counts.this + cost) * u128::from(self.period);
        old + new <= u128::from(self.limit) * u128::from(self.period)
    }

    #[cold]
    fn fits_at(&self, counts: &Counts, cost: u64) -> Instant {
        // Of a cost that is no more than the limit. In this window, if what
        // was counted in it leaves room, or else in the next.
        let (window, count, room) = match self.limit.checked_sub(counts.this + cost) {
            Some(room) => (counts.window, counts.last, room),
            None => (counts.window + 1, counts.this, self.limit - cost),
        };
        let begin = self
            .since
            .saturating_add(window.saturating_mul(self.period));
        if count <= room {
            return Instant::from_nanos(begin);
        }
        // The last count has to shrink to the room there is.
        let left = u128::from(room) * u128::from(self.period) / u128::from(count);
        let into = u128::from(self.period) - left;
        Instant::from_nanos(begin.saturating_add(u64::try_from(into).unwrap_or(u64::MAX)))
    }

    /// How many there could be at once.
    pub(crate) fn available(&self, state: u64, now: Instant) -> u64 {
        let counts = self.counts(state, now);
        let old = u128::from(counts.last) * u128::from(self.period - counts.into);
        let old = old.div_ceil(u128::from(self.period));
        let taken = u64::try_from(old).unwrap_or(u64::MAX) + counts.this;
        self.limit.saturating_sub(taken)
    }

    /// When there is one more than so many; of a limit at rest, when one that
    /// is taken now begins to count less.
    pub(crate) fn more_at(&self, state: u64, now: Instant, available: u64) -> Instant {
        let counts = self.counts(state, now);
        if available < self.limit {
            return self.fits_at(&counts, available + 1);
        }
        let next = (counts.window + 1).saturating_mul(self.period);
        Instant::from_nanos(self.since.saturating_add(next))
    }

    /// The state once so many are given back, of those that were counted in
    /// this window.
    pub(crate) fn refund(&self, state: u64, now: Instant, cost: u64) -> u64 {
        let counts = self.counts(state, now);
        let this = counts.this.saturating_sub(cost);
        pack(counts.window, counts.last, this)
    }

    /// The state without so many that were counted in the window of this
    /// number: in the last one, as far as it is looked back on, in this one,
    /// or in none that still counts.
    pub(crate) fn uncount(&self, state: u64, now: Instant, of: u64, cost: u64) -> u64 {
        let mut counts = self.counts(state, now);
        if of == counts.window {
            counts.this = counts.this.saturating_sub(cost);
        } else if of + 1 == counts.window {
            counts.last = counts.last.saturating_sub(cost);
        }
        pack(counts.window, counts.last, counts.this)
    }

    /// The state in which at most so many are available.
    pub(crate) fn leave(&self, state: u64, now: Instant, available: u64) -> u64 {
        let counts = self.counts(state, now);
        let more = self.available(state, now).saturating_sub(available);
        let this = (counts.this + more).min(MOST);
        pack(counts.window, counts.last, this)
    }

    /// A state in which so many were counted in this window, and none before.
    pub(crate) fn with(&self, taken: u64, now: Instant) -> u64 {
        let counts = self.counts(0, now);
        pack(counts.window, 0, taken.min(MOST))
    }

    /// By when everything is available again, if nobody else comes.
    pub(crate) fn full_at(&self, state: u64, now: Instant) -> Instant {
        let counts = self.counts(state, now);
        let windows = match (counts.last, counts.this) {
            (0, 0) => return now,
            (_, 0) => 1,
            _ => 2,
        };
        let at = (counts.window + windows).saturating_mul(self.period);
        Instant::from_nanos(self.since.saturating_add(at))
    }
}

/// The number of the window that a state counts in.
pub(crate) fn number(state: u64) -> u64 {
    state >> 40
}

#[inline]
fn pack(window: u64, last: u64, this: u64) -> u64 {
    window.min(WINDOWS - 1) << 40 | last.min(MOST) << 20 | this.min(MOST)
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    const TEN_A_SECOND: Window = Window {
        since: 0,
        period: 1_000,
        limit: 10,
    };

    #[test]
    fn the_last_window_counts_by_its_share_of_the_time() {
        let state = TEN_A_SECOND.take(0, at(5_000), 10).unwrap();
        // Halfway into the next window, half of them are looked back on.
        assert_eq!(TEN_A_SECOND.available(state, at(6_500)), 5);
        assert!(TEN_A_SECOND.take(state, at(6_500), 5).is_ok());
        assert_eq!(TEN_A_SECOND.take(state, at(6_500), 6), Err(at(6_600)));
        assert_eq!(TEN_A_SECOND.available(state, at(7_000)), 10);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_back() {
        let state = TEN_A_SECOND.take(0, at(5_000), 10).unwrap();
        assert_eq!(TEN_A_SECOND.take(state, at(3_999), 1), Err(at(6_100)));
        let later = TEN_A_SECOND.take(state, at(6_500), 5).unwrap();
        assert_eq!(TEN_A_SECOND.available(later, at(5_999)), 0);
    }

    #[test]
    fn many_windows_later_nothing_is_counted_any_more() {
        let state = TEN_A_SECOND.take(0, at(5_000), 10).unwrap();
        for windows in [2, 3, 1_000, WINDOWS - 6] {
            let available = TEN_A_SECOND.available(state, at(5_000 + windows * 1_000));
            assert_eq!(available, 10, "after {windows}");
        }
    }

    #[test]
    fn windows_that_are_numbered_anew_count_the_same() {
        let now = at(WINDOWS * 1_000 + 500);
        let state = TEN_A_SECOND.take(0, at((WINDOWS - 1) * 1_000), 8).unwrap();
        assert!(TEN_A_SECOND.is_late(now));
        let (window, state) = TEN_A_SECOND.renewed(state, now);
        assert!(!window.is_late(now));
        assert_eq!(window.available(state, now), 6);
        assert_eq!(window.available(state, at(WINDOWS * 1_000 + 1_500)), 10);
    }

    proptest! {
        /// Against counts in a map, and fractions multiplied out.
        #[test]
        fn counts_as_a_map_of_windows_does(
            period in 1..5_000u64, limit in 1..50u64,
            calls in prop::collection::vec((0..3_000u64, 1..20u64), 1..100),
        ) {
            let window = Window { since: 0, period, limit };
            let mut state = 0;
            let mut counted = HashMap::<u64, u64>::new();
            let mut now = 0;
            for (later, cost) in calls {
                now += later;
                let count = |of: u64| u128::from(counted.get(&of).copied().unwrap_or(0));
                let index = now / period;
                let last = if index == 0 { 0 } else { count(index - 1) };
                let share = u128::from(period - now % period);
                let taken = last * share + (count(index) + u128::from(cost)) * u128::from(period);
                let fits = taken <= u128::from(limit) * u128::from(period);
                if cost > limit {
                    continue;
                }
                match window.take(state, at(now), cost) {
                    Ok(next) => {
                        prop_assert!(fits);
                        state = next;
                        *counted.entry(index).or_default() += cost;
                    }
                    Err(when) => {
                        prop_assert!(!fits);
                        // Enough, and no more than that.
                        prop_assert!(window.take(state, when, cost).is_ok());
                        let before = at(when.as_nanos() - 1);
                        prop_assert!(window.take(state, before, cost).is_err());
                    }
                }
            }
        }
    }
}
