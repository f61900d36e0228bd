//! When who was refused should come again.

use std::time::Duration;

use axiomatic_core::Ratio;

/// How long who is refused is asked to wait: longer and longer while much is
/// refused, and shorter again after.
///
/// A wait is doubled when as much time as it has passed and much was refused
/// all along, and halved when little was all along: so its length is that of
/// the overload, more or less, and callers that keep to it come some two times
/// while it lasts. Kubernetes does so by counts a second.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    first: u64,
    longest: u64,
    /// In nanoseconds.
    wait: u64,
    /// For how long much was refused, or little.
    stretch: u64,
    was_much: bool,
}

/// What is much: one in twenty. It was not measured.
const MUCH: Ratio = Ratio::percent(5);

impl Patience {
    pub(super) fn new(first: u64, longest: u64) -> Self {
        Patience {
            first,
            longest,
            wait: first,
            stretch: 0,
            was_much: false,
        }
    }

    pub(super) fn set(&mut self, first: u64, longest: u64) {
        (self.first, self.longest) = (first, longest);
        self.wait = self.wait.clamp(first, longest);
    }

    /// A period of so many nanoseconds is over, in which so many of so many
    /// were refused. How long to wait from now on.
    pub(super) fn step(&mut self, nanos: u64, refused: u64, of: u64) -> Duration {
        let is_much = refused > 0 && MUCH.is_reached_by(refused, of);
        if is_much != self.was_much {
            self.was_much = is_much;
            self.stretch = 0;
        }
        self.stretch = self.stretch.saturating_add(nanos);
        if self.stretch >= self.wait {
            self.stretch = 0;
            self.wait = if is_much {
                self.wait.saturating_mul(2).min(self.longest)
            } else {
                (self.wait / 2).max(self.first)
            };
        }
        Duration::from_nanos(self.wait)
    }

    /// And then so many nanoseconds are over in which nobody came: as if in
    /// many periods nothing had been refused.
    pub(super) fn idle(&mut self, mut nanos: u64) -> Duration {
        if nanos > 0 {
            (self.was_much, self.stretch) = (false, 0);
        }
        while self.wait > self.first && nanos >= self.wait {
            nanos -= self.wait;
            self.wait = (self.wait / 2).max(self.first);
        }
        Duration::from_nanos(self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn doubles_while_much_is_refused_and_comes_back_after() {
        let mut patience = Patience::new(SECOND, 8 * SECOND);
        let mut step = |refused| patience.step(SECOND, refused, 100).as_secs();
        let waits: Vec<_> = (0..9).map(|_| step(50)).collect();
        assert_eq!(waits, [2, 2, 4, 4, 4, 4, 8, 8, 8]);
        let waits: Vec<_> = (0..15).map(|_| step(0)).collect();
        assert_eq!(waits, [8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 1, 1]);
    }

    #[test]
    fn one_in_twenty_is_much() {
        for (refused, wait) in [(0, 1), (4, 1), (5, 2), (6, 2), (100, 2)] {
            let mut patience = Patience::new(SECOND, 8 * SECOND);
            assert_eq!(patience.step(SECOND, refused, 100).as_secs(), wait);
        }
    }

    #[test]
    fn what_changes_all_the_time_is_neither_much_nor_little() {
        let mut patience = Patience::new(4 * SECOND, 64 * SECOND);
        for period in 0..100 {
            let wait = patience.step(SECOND, 50 * (period % 2), 100);
            assert_eq!(wait.as_secs(), 4);
        }
    }

    #[test]
    fn while_nobody_comes_it_is_halved_as_often_as_its_time_has_passed() {
        let mut patience = Patience::new(SECOND, 8 * SECOND);
        for _ in 0..20 {
            patience.step(SECOND, 1, 1);
        }
        let mut idle = |seconds| patience.idle(seconds * SECOND).as_secs();
        let waits = [0, 7, 8, 5, 0, 1_000_000].map(&mut idle);
        assert_eq!(waits, [8, 8, 4, 2, 2, 1]);
    }

    #[test]
    fn new_bounds_hold_at_once() {
        let mut patience = Patience::new(SECOND, 8 * SECOND);
        for _ in 0..10 {
            patience.step(SECOND, 1, 1);
        }
        patience.set(SECOND, 2 * SECOND);
        assert_eq!(patience.step(1, 1, 1), Duration::from_secs(2));
    }
}
