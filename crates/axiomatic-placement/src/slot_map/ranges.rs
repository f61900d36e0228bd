use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Slots, as ranges from the lowest up: `0-5460,5470`.
///
/// ```
/// use axiomatic_placement::slot_map::Ranges;
///
/// let ranges: Ranges = [3, 4, 5, 9].into_iter().collect();
/// assert_eq!(ranges.to_string(), "3-5,9");
/// assert_eq!("3-5,9".parse(), Ok(ranges));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<RangeInclusive<u32>>);

/// What was read is not ranges, each higher than the one before it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RangesError;

impl Ranges {
    /// Each range, the lowest first; between two of them a slot is missing.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().cloned()
    }

    /// Each slot, the lowest first.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter().flatten()
    }

    /// Whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of slots in ascending order; one that is not is a range of its own.
impl FromIterator<u32> for Ranges {
    fn from_iter<I: IntoIterator<Item = u32>>(slots: I) -> Self {
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for slot in slots {
            match ranges.last_mut() {
                Some(last) if last.end().checked_add(1) == Some(slot) => {
                    *last = *last.start()..=slot;
                }
                _ => ranges.push(slot..=slot),
            }
        }
        Ranges(ranges)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for range in &self.0 {
            let (first, last) = (range.start(), range.end());
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for Ranges {
    type Err = RangesError;

    fn from_str(text: &str) -> Result<Self, RangesError> {
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            let gap = ranges
                .last()
                .is_none_or(|before| first > before.end().saturating_add(1));
            if first > last || !gap {
                return Err(RangesError);
            }
            ranges.push(first..=last);
        }
        Ok(Ranges(ranges))
    }
}

/// Digits and nothing else: std would also take a sign.
fn number(text: &str) -> Result<u32, RangesError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(RangesError)
}

impl fmt::Display for RangesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not ranges of slots, each higher than the one before it")
    }
}

impl Error for RangesError {}
