use std::time::Duration;

use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::{Instant, saturating_nanos};

use super::Share;

/// The share that is refused, and for which turn it was computed: turns are
/// stretches of time, a power of two of nanoseconds long.
///
/// Layout    | 63..32 turn, modulo 2^32 | 31..0 share |
/// Invariant a share is only published in the turn it was computed for, and a
///           turn goes back only for who is `LAG` of them behind: what was
///           computed for an earlier turn never replaces what was for a later
///           one.
/// Writers   `claim`, `publish`. Readers `look` (hot), `share`.
/// Orderings all Relaxed: a number, and whose turn it is to compute it. What
///           it is computed from has orderings of its own.
pub(super) struct ShareCell {
    word: AtomicU64,
    shift: u32,
}

/// What a look finds.
#[derive(Copy, Clone)]
pub(super) struct Found {
    word: u64,
    is_due: bool,
}

impl Found {
    #[inline(always)]
    pub(super) const fn share(self) -> Share {
        Share::from_u32(self.word as u32)
    }

    /// Whether nobody has begun to compute the share of this turn.
    #[inline(always)]
    pub(super) const fn is_due(self) -> bool {
        self.is_due
    }
}

/// The right, and the duty, to compute the share of a turn.
#[must_use = "until it is published the share is that of an earlier turn"]
pub(super) struct Claim {
    claimed: u64,
}

impl Claim {
    /// What is refused until then.
    pub(super) const fn before(&self) -> Share {
        Share::from_u32(self.claimed as u32)
    }
}

impl ShareCell {
    /// Nothing is refused, until a turn is over that began before `now`.
    pub(super) fn new(refresh: Duration, now: Instant) -> Self {
        let shift = saturating_nanos(refresh).max(1).ilog2();
        ShareCell {
            word: AtomicU64::new(turn(now, shift) << 32),
            shift,
        }
    }

    #[inline(always)]
    pub(super) fn look(&self, now: Instant) -> Found {
        // ORDERING: Relaxed: a number; no other memory is read on its
        // strength.
        let word = self.word.load(Ordering::Relaxed);
        Found {
            word,
            is_due: is_before(word, self.turn(now)),
        }
    }

    pub(super) fn share(&self) -> Share {
        // ORDERING: Relaxed: a number.
        Share::from_u32(self.word.load(Ordering::Relaxed) as u32)
    }

    /// Claims this turn, if nobody has.
    ///
    /// Linearises at the exchange. A lost race means that another has claimed
    /// a turn or published a share; it is not tried again, since the next
    /// call that finds the turn due will: wait-free.
    pub(super) fn claim(&self, found: Found, now: Instant) -> Option<Claim> {
        let claimed = self.turn(now) << 32 | found.word & u64::from(u32::MAX);
        // ORDERING: Relaxed, both: whose turn it is.
        let exchanged =
            self.word
                .compare_exchange(found.word, claimed, Ordering::Relaxed, Ordering::Relaxed);
        exchanged.is_ok().then_some(Claim { claimed })
    }

    /// Publishes what was computed for a turn, unless a later one is claimed,
    /// and says whether it did.
    ///
    /// Linearises at the exchange. A lost race means that a later turn was
    /// claimed, whose share is newer: wait-free.
    pub(super) fn publish(&self, claim: &Claim, share: Share) -> bool {
        let published = claim.claimed >> 32 << 32 | u64::from(share.as_u32());
        // ORDERING: Relaxed, both: a number.
        let exchanged = self.word.compare_exchange(
            claim.claimed,
            published,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        exchanged.is_ok()
    }

    #[inline(always)]
    fn turn(&self, now: Instant) -> u64 {
        turn(now, self.shift)
    }
}

/// Modulo 2^32.
#[inline(always)]
const fn turn(now: Instant, shift: u32) -> u64 {
    now.as_nanos() >> shift & u32::MAX as u64
}

/// By how many turns a clock may be behind and find nothing due. Who is by
/// more has been idle for nearly all of the 2^32 there are, or has another
/// clock: that is taken as a new turn.
const LAG: u32 = 256;

/// Whether the word's turn is over.
#[inline(always)]
const fn is_before(word: u64, turn: u64) -> bool {
    ((word >> 32) as u32).wrapping_sub(turn as u32) >= LAG
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    fn at(turn: u64) -> Instant {
        Instant::from_nanos(turn << 10)
    }

    fn cell(turn: u64) -> ShareCell {
        ShareCell::new(Duration::from_nanos(1_500), at(turn))
    }

    #[test]
    fn one_caller_a_turn_computes_its_share() {
        let cell = cell(7);
        assert!(!cell.look(at(7)).is_due() && !cell.look(at(6)).is_due());
        let found = cell.look(at(8));
        assert!(found.is_due());
        let claim = cell.claim(found, at(8)).unwrap();
        assert!(cell.claim(found, at(8)).is_none(), "it was claimed");
        assert!(!cell.look(at(8)).is_due());
        assert!(cell.publish(&claim, Share::MOST));
        assert_eq!(cell.share(), Share::MOST);
        assert!(!cell.publish(&claim, Share::NONE), "once");
    }

    #[test]
    fn what_was_computed_for_an_earlier_turn_never_replaces_a_later_one() {
        let cell = cell(7);
        let slow = cell.claim(cell.look(at(8)), at(8)).unwrap();
        let quick = cell.claim(cell.look(at(9)), at(9)).unwrap();
        assert!(!cell.publish(&slow, Share::MOST));
        assert!(cell.publish(&quick, Share::from_u32(5)));
        assert!(!cell.publish(&slow, Share::MOST));
        assert_eq!(cell.share(), Share::from_u32(5));
    }

    #[test]
    fn turns_go_around_and_on() {
        let last = u64::from(u32::MAX);
        let cell = cell(last);
        assert!(!cell.look(at(last)).is_due());
        assert!(cell.look(at(last + 1)).is_due());
        assert!(!cell.look(at(last - 1)).is_due(), "a clock that is behind");
    }

    /// But for the last of all turns, and then for as long as a clock may be
    /// behind.
    #[test]
    fn however_long_nobody_came_the_share_is_out_of_date() {
        let cell = cell(7);
        let around = 1 << 32;
        let lag = u64::from(LAG);
        for idle in [
            1,
            1 << 16,
            around / 2,
            around / 2 + 1,
            around - lag,
            around + 1,
        ] {
            assert!(cell.look(at(7 + idle)).is_due(), "{idle}");
        }
        assert!(!cell.look(at(7 + around - lag + 1)).is_due());
        assert!(cell.look(at(1_000_000_000)).is_due());
    }
}
