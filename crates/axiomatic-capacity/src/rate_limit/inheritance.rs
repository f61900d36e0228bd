/// What becomes of what is left when a quota is changed.
///
/// | Ten of twenty left, and the burst becomes forty | |
/// |---|---|
/// | [`AsIs`](Inheritance::AsIs) | 10 |
/// | [`Proportional`](Inheritance::Proportional) | 20 |
/// | [`Additive`](Inheritance::Additive) | 30 |
/// | [`Reset`](Inheritance::Reset) | 40 |
///
/// More than a burst is never left, and what is reserved counts as less than
/// nothing: its times stay as they are.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Inheritance {
    /// As much is left as was.
    #[default]
    AsIs,
    /// The same part of the burst.
    Proportional,
    /// As much is missing as was.
    Additive,
    /// Everything is there, as if nothing had been asked for; what is
    /// reserved is forgotten.
    Reset,
}

impl Inheritance {
    /// What is available in the units of the new burst, at most all of it,
    /// rounded down. Bursts come with how often their units halve a cell.
    pub(super) fn of(self, available: i128, old: (u64, u64), new: (u64, u64)) -> i128 {
        let ((old_burst, old_shift), (new_burst, new_shift)) = (old, new);
        let converted = |units: i128| (units << new_shift) >> old_shift;
        let burst = i128::from(new_burst);
        let available = match self {
            Inheritance::AsIs => converted(available),
            Inheritance::Proportional => {
                // Under 2⁵⁶ times under 2⁵⁶.
                (available * burst).div_euclid(i128::from(old_burst))
            }
            Inheritance::Additive => {
                converted(available) + burst - converted(i128::from(old_burst))
            }
            Inheritance::Reset => burst,
        };
        available.min(burst)
    }
}
