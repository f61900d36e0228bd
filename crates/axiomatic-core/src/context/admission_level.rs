use std::fmt;

use super::Priority;

/// From which priority on requests are admitted, and which share of those that
/// have just this priority.
///
/// It is what who sheds load decides by, and what it tells its callers, so
/// that they keep back what would be refused: DAGOR's admission level (H. Zhou
/// et al., *Overload Control for Scaling WeChat Microservices*, SoCC 2018).
///
/// ```
/// use axiomatic_core::context::{AdmissionLevel, Priority};
///
/// // A quarter of what is critical is refused, and all that is sheddable.
/// let level = AdmissionLevel::at(Priority::CRITICAL, u16::MAX / 4 + 1);
/// assert!(level.admits(Priority::CRITICAL_PLUS, 0));
/// assert!(level.admits(Priority::CRITICAL, u16::MAX / 2));
/// assert!(!level.admits(Priority::CRITICAL, u16::MAX / 8));
/// assert!(!level.admits(Priority::SHEDDABLE_PLUS, u16::MAX));
/// ```
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdmissionLevel(u32);

impl AdmissionLevel {
    /// Everything is admitted.
    pub const ALL: AdmissionLevel = AdmissionLevel(0);

    /// What matters more than `priority`, and of what matters as much all but
    /// so many of 65,536.
    pub const fn at(priority: Priority, refused: u16) -> Self {
        AdmissionLevel((priority.as_u8() as u32) << 16 | refused as u32)
    }

    /// The priority of which a share is admitted. What matters more is
    /// admitted, what matters less is not.
    pub const fn priority(self) -> Priority {
        Priority::from_u8((self.0 >> 16) as u8)
    }

    /// How many of 65,536 requests of that priority are refused.
    pub const fn refused(self) -> u16 {
        self.0 as u16
    }

    /// Whether a request of this priority is admitted, with this luck: a
    /// number drawn from all 16-bit numbers alike.
    #[inline(always)]
    pub const fn admits(self, priority: Priority, luck: u16) -> bool {
        (priority.as_u8() as u32) << 16 | luck as u32 >= self.0
    }

    /// The same with luck that is drawn only where it decides, for what matters
    /// just as much as the level says: so that numbers which are spread evenly
    /// are so for those, whoever else comes in between.
    #[inline(always)]
    pub fn admits_by(self, priority: Priority, luck: impl FnOnce() -> u16) -> bool {
        let level = self.priority();
        priority > level || priority == level && luck() >= self.refused()
    }

    /// Priority and share in one number, 24 bits of it; higher admits less.
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The inverse of [`as_u32`](AdmissionLevel::as_u32); a higher number than
    /// there is is taken as the highest level.
    pub const fn from_u32(number: u32) -> Self {
        const HIGHEST: u32 = (1 << 24) - 1;
        AdmissionLevel(if number > HIGHEST { HIGHEST } else { number })
    }
}

impl fmt::Display for AdmissionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == AdmissionLevel::ALL {
            return f.write_str("everything");
        }
        let admitted = (65_536 - u32::from(self.refused())) * 100 / 65_536;
        write!(
            f,
            "{admitted} % of {} and what matters more",
            self.priority()
        )
    }
}

impl fmt::Debug for AdmissionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdmissionLevel({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_admitted_is_what_is_not_refused() {
        for priority in [0, 1, 128, 255].map(Priority::from_u8) {
            for refused in [0, 1, 30_000, u16::MAX] {
                let level = AdmissionLevel::at(priority, refused);
                let admitted = (0..=u16::MAX).filter(|luck| level.admits(priority, *luck));
                assert_eq!(admitted.count(), 65_536 - usize::from(refused));
                assert_eq!(AdmissionLevel::from_u32(level.as_u32()), level);
                for asked in [0, 1, 128, 255].map(Priority::from_u8) {
                    for luck in [0, 1, 29_999, 30_000, u16::MAX] {
                        let mut draws = 0;
                        let by = level.admits_by(asked, || {
                            draws += 1;
                            luck
                        });
                        assert_eq!(by, level.admits(asked, luck));
                        assert_eq!(draws, u32::from(asked == priority));
                    }
                }
            }
        }
        assert!(AdmissionLevel::ALL.admits(Priority::SHEDDABLE, 0));
        assert_eq!(AdmissionLevel::from_u32(u32::MAX).refused(), u16::MAX);
    }

    #[test]
    fn says_in_words_what_it_admits() {
        assert_eq!(AdmissionLevel::ALL.to_string(), "everything");
        let half = AdmissionLevel::at(Priority::SHEDDABLE.with_level(3), 32_768);
        assert_eq!(
            half.to_string(),
            "50 % of sheddable 3 and what matters more"
        );
    }
}
