//! Exact shares in integers.

use std::fmt;

/// A share of something, in parts per million: exact for every percent and
/// per mille, comparable without floating point.
///
/// It may exceed one (a retry budget of 150 % is legal); a pattern that needs
/// a share of at most one says so when it is built.
///
/// ```
/// use axiomatic_core::Ratio;
///
/// let half = Ratio::percent(50);
/// assert!(half.is_reached_by(5, 10));
/// assert!(!half.is_reached_by(499_999, 1_000_000));
/// assert_eq!(half.to_string(), "50 %");
/// assert_eq!(Ratio::per_mille(5).to_string(), "0.5 %");
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

const MILLION: u32 = 1_000_000;

impl Ratio {
    /// Nothing.
    pub const ZERO: Ratio = Ratio(0);
    /// The whole.
    pub const ONE: Ratio = Ratio(MILLION);

    /// So many hundredths.
    pub const fn percent(hundredths: u16) -> Self {
        Ratio(hundredths as u32 * 10_000)
    }

    /// So many thousandths.
    pub const fn per_mille(thousandths: u16) -> Self {
        Ratio(thousandths as u32 * 1_000)
    }

    /// So many millionths.
    pub const fn parts_per_million(millionths: u32) -> Self {
        Ratio(millionths)
    }

    /// The share in millionths.
    pub const fn as_parts_per_million(self) -> u32 {
        self.0
    }

    /// Whether `part` of `whole` is at least this share. Of nothing, any
    /// share is reached.
    #[inline]
    pub const fn is_reached_by(self, part: u64, whole: u64) -> bool {
        part as u128 * MILLION as u128 >= whole as u128 * self.0 as u128
    }

    /// The least part of `whole` that reaches this share, saturating.
    pub const fn ceil_of(self, whole: u64) -> u64 {
        let share = (whole as u128 * self.0 as u128).div_ceil(MILLION as u128);
        if share > u64::MAX as u128 {
            u64::MAX
        } else {
            share as u64
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            write!(f, "{whole} %")
        } else {
            let decimals = format!("{rest:04}");
            write!(f, "{whole}.{} %", decimals.trim_end_matches('0'))
        }
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ratio({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Ratio;

    #[test]
    fn every_percent_is_exact() {
        for hundredths in 0..=200u16 {
            let ratio = Ratio::percent(hundredths);
            let part = u64::from(hundredths);
            assert!(ratio.is_reached_by(part, 100));
            assert!(part == 0 || !ratio.is_reached_by(part * 1_000 - 1, 100_000));
            assert_eq!(ratio.ceil_of(100), part);
        }
    }

    #[test]
    fn nothing_overflows() {
        assert!(Ratio::ONE.is_reached_by(u64::MAX, u64::MAX));
        assert_eq!(Ratio::ONE.ceil_of(u64::MAX), u64::MAX);
        assert_eq!(Ratio::percent(150).ceil_of(u64::MAX), u64::MAX);
    }
}
