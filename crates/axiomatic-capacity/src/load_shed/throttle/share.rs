use std::fmt;

use axiomatic_core::Ratio;

/// A share of the calls, to one part in 2^32, and less than all of them.
///
/// It is as fine as what a draw is compared with. What is computed is rounded
/// down, so that a share is never more than its formula says.
///
/// ```
/// use axiomatic_capacity::load_shed::throttle::Share;
/// use axiomatic_core::Ratio;
///
/// let half = Share::of(Ratio::percent(50));
/// assert_eq!(half.as_u32(), 1 << 31);
/// assert_eq!(half.to_string(), "50 %");
/// assert_eq!(Share::of(Ratio::percent(200)), Share::MOST);
/// ```
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

const MILLION: u64 = 1_000_000;

impl Share {
    /// None of them.
    pub const NONE: Share = Share(0);
    /// All but one of 2^32.
    pub const MOST: Share = Share(u32::MAX);

    /// A ratio, rounded down; one of all or more is taken as
    /// [`MOST`](Share::MOST).
    pub const fn of(ratio: Ratio) -> Self {
        let share = ((ratio.as_parts_per_million() as u64) << 32) / MILLION;
        Self::at_most(share as u128)
    }

    /// So many of 2^32; more than there are is taken as [`MOST`](Share::MOST).
    pub(super) const fn at_most(parts: u128) -> Self {
        if parts > u32::MAX as u128 {
            Share::MOST
        } else {
            Share(parts as u32)
        }
    }

    /// So many of 2^32.
    pub const fn from_u32(parts: u32) -> Self {
        Share(parts)
    }

    /// How many of 2^32.
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The nearest ratio.
    pub const fn ratio(self) -> Ratio {
        let millionths = (self.0 as u64 * MILLION + (1 << 31)) >> 32;
        Ratio::parts_per_million(millionths as u32)
    }

    /// Whether a number that was drawn from all 64-bit numbers alike is one of
    /// this share.
    #[inline(always)]
    pub(super) const fn has(self, drawn: u64) -> bool {
        drawn < (self.0 as u64) << 32
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ratio().fmt(f)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({self})")
    }
}
