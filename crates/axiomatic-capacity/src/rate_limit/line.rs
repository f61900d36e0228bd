//! The generic cell rate algorithm: pure functions of one number.
//!
//! The number is the virtual time at which the line ends: all that was granted
//! has arrived by then, if it comes at the rate. A limiter that nothing was
//! asked of lately has a line that ended in the past, which is as good as none.
//!
//! ```text
//!            now                          now + burst
//!  ───────────┼─────────────────┼──────────────┼───────▶ virtual time
//!             │◀── granted ────▶│◀ available ─▶│
//!                              end
//! ```
//!
//! A grant lengthens the line by its cost. It is good at once if the line ends
//! within a burst from now, and else when it does: that is a reservation.

/// What a grant is on the line: its cost before its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Where the line ended with it.
    pub(crate) end: u64,
    /// What it takes, in units.
    pub(crate) units: u64,
}

impl Grant {
    /// Where its place begins.
    pub(crate) fn start(&self) -> u64 {
        self.end - self.units.min(self.end)
    }

    /// When it is good, in virtual time.
    pub(crate) fn ready(&self, burst: u64) -> u64 {
        self.end.saturating_sub(burst)
    }
}

/// The next grant on a line that ends there.
#[inline(always)]
pub(crate) fn next(end: u64, now: u64, units: u64) -> Grant {
    Grant {
        // Under 2⁵⁸ and under 2⁶³.
        end: end.max(now) + units,
        units,
    }
}

/// Units that could be had at once.
#[inline(always)]
pub(crate) fn available(end: u64, now: u64, burst: u64) -> u64 {
    burst.saturating_sub(end.saturating_sub(now))
}

/// Where it ends once so much is put back, as into a bucket: up to a full one.
pub(crate) fn refund(end: u64, now: u64, units: u64) -> u64 {
    if end <= now {
        return end;
    }
    end.saturating_sub(units).max(now)
}

/// Where it ends once at most so many units are available. What is reserved
/// ahead stays so.
pub(crate) fn leave(end: u64, now: u64, burst: u64, units: u64) -> u64 {
    end.max(now.saturating_add(burst.saturating_sub(units)))
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    const BURST: u64 = 20;

    fn grant(end: u64, units: u64) -> Grant {
        Grant { end, units }
    }

    #[test]
    fn a_grant_is_good_at_once_within_a_burst_and_else_when_the_line_gets_there() {
        assert_eq!(next(0, 100, 20), grant(120, 20));
        assert_eq!(next(115, 100, 20), grant(135, 20));
        assert_eq!(next(115, 100, 20).ready(BURST), 115);
        assert!(next(115, 100, 5).ready(BURST) <= 100);
    }

    #[test]
    fn a_refund_fills_the_bucket_and_no_more() {
        assert_eq!(refund(115, 100, 5), 110);
        assert_eq!(refund(115, 100, 50), 100);
        assert_eq!(refund(90, 100, 50), 90);
    }

    #[test]
    fn what_is_left_is_at_most_what_is_said() {
        assert_eq!(leave(0, 100, BURST, 0), 120);
        assert_eq!(leave(0, 100, BURST, 5), 115);
        assert_eq!(leave(118, 100, BURST, 5), 118);
        assert_eq!(available(leave(0, 100, BURST, 5), 100, BURST), 5);
    }
}
