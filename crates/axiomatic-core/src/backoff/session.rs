use std::iter::FusedIterator;
use std::time::Duration;

use super::Backoff;
use crate::hash::{entropy, mix};

/// How far one request, or one lost connection, has come in its backoff: 24
/// bytes, for whoever keeps the [`Backoff`] elsewhere.
///
/// A new one costs nothing, and becomes unlike all others when it rolls its
/// dice first. It cannot be cloned, since the clone would repeat its waits.
#[derive(Debug, Default)]
pub struct Session {
    /// The next dice are a function of it: SplitMix64's state.
    dice: u64,
    /// The last wait in nanoseconds, before jitter and hint: where a
    /// decorrelated walk goes on from.
    last: u64,
    waits: u32,
    is_seeded: bool,
}

impl Session {
    /// A session with waits of its own.
    pub const fn new() -> Self {
        Session {
            dice: 0,
            last: 0,
            waits: 0,
            is_seeded: false,
        }
    }

    /// A session that has the same waits as any other with this seed: for
    /// tests and simulations.
    pub const fn seeded(seed: u64) -> Self {
        Session {
            // Mixed, since states that differ by the generator's step would
            // be one sequence, begun at two places.
            dice: mix(seed),
            last: 0,
            waits: 0,
            is_seeded: true,
        }
    }

    /// How many waits it was given, up to four billion.
    pub const fn waits(&self) -> u32 {
        self.waits
    }

    /// The ceiling of the last of them; 0 before the first.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn waited(&mut self, ceiling: u64) {
        self.last = ceiling;
        self.waits = self.waits.saturating_add(1);
    }

    /// Any number between the two, both included, each as likely as the
    /// others but for one part in 2^64 of the numbers' count. Where there is
    /// no choice, no dice are rolled.
    pub(super) fn draw(&mut self, lowest: u64, highest: u64) -> u64 {
        if lowest >= highest {
            return highest;
        }
        let numbers = u128::from(highest - lowest) + 1;
        lowest + ((u128::from(self.roll()) * numbers) >> 64) as u64
    }

    fn roll(&mut self) -> u64 {
        if !self.is_seeded {
            // Nothing that threads share is written: std keeps its keys for
            // each thread, and steps them.
            self.dice = entropy();
            self.is_seeded = true;
        }
        let rolled = mix(self.dice);
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        rolled
    }
}

/// The waits of one session: an iterator that never ends.
///
/// How often to try is not its business: `take` says that, or the deadline.
/// Like a [`Session`], it cannot be cloned:
///
/// ```compile_fail,E0599
/// # use axiomatic_core::backoff::Backoff;
/// # use std::time::Duration;
/// let waits = Backoff::constant(Duration::from_secs(1)).start();
/// let the_same_again = waits.clone();
/// ```
#[derive(Debug)]
pub struct Delays {
    backoff: Backoff,
    session: Session,
}

impl Delays {
    pub(super) const fn new(backoff: Backoff, session: Session) -> Self {
        Delays { backoff, session }
    }

    /// The next wait, where the server said from when on it may be asked
    /// again. See [`Backoff::wait`].
    pub fn next_after(&mut self, hint: Option<Duration>) -> Duration {
        self.backoff.wait(&mut self.session, hint)
    }
}

impl Iterator for Delays {
    type Item = Duration;

    #[inline]
    fn next(&mut self) -> Option<Duration> {
        Some(self.next_after(None))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl FusedIterator for Delays {}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use crate::backoff::Jitter;

    #[test]
    fn no_seed_is_drawn_before_dice_are_rolled() {
        let second = Duration::from_secs(1);
        let mut delays = Backoff::constant(second).start();
        assert!(!delays.session.is_seeded);
        delays.next();
        assert!(delays.session.is_seeded);

        let mut delays = Backoff::constant(second).jitter(Jitter::Off).start();
        delays.next();
        assert!(!delays.session.is_seeded);
    }

    #[test]
    fn a_session_is_small() {
        assert_eq!(size_of::<Session>(), 24);
        assert_eq!(size_of::<Backoff>(), 48);
        assert_eq!(size_of::<Delays>(), 72);
    }

    #[test]
    fn any_two_numbers_bound_a_draw() {
        for (lowest, highest) in [(0, 0), (7, 7), (0, u64::MAX), (u64::MAX - 1, u64::MAX)] {
            let mut session = Session::seeded(1);
            for _ in 0..1_000 {
                let drawn = session.draw(lowest, highest);
                assert!((lowest..=highest).contains(&drawn));
            }
        }
        let mut session = Session::seeded(1);
        let drawn: Vec<_> = (0..100).map(|_| session.draw(5, 6)).collect();
        assert!(drawn.contains(&5) && drawn.contains(&6));
    }
}
