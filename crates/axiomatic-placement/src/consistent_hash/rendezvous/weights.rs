use super::near::{EXPECTED, MOST};

#[derive(Clone, Debug)]
pub(super) enum Weights {
    /// Which draws are near: those that miss the greatest by no more.
    Equal { near: u64 },
    /// Of each, 2^63 / weight, rounded down, which is right to weight / 2^63: to
    /// 2^-31 for the greatest of nodes. A skeleton's group of 2^24 of these
    /// weighs 2^56, and has its share to 2^-7; one of a thousand has it to
    /// 2^-21. And the time up to which claims are near; whoever's draw
    /// misses the greatest by more than its limit has a later one.
    Unequal {
        inverse: Box<[u64]>,
        near: u128,
        limits: Box<[u64]>,
    },
}

impl Weights {
    pub(super) fn of(weights: impl ExactSizeIterator<Item = u64> + Clone) -> Self {
        if weights.clone().min() == weights.clone().max() {
            let count = weights.len();
            let near = match count {
                0..=MOST => u64::MAX,
                _ => u64::MAX / count as u64 * EXPECTED,
            };
            return Weights::Equal { near };
        }
        let inverse: Box<[u64]> = weights.clone().map(|weight| (1 << 63) / weight).collect();
        // Times are in units of 2^-121, and by then so many of all are to be
        // expected.
        let total: u128 = weights.map(u128::from).sum();
        let near = match inverse.len() {
            0..=MOST => u128::MAX,
            _ => (u128::from(EXPECTED) << 121) / total,
        };
        // The greatest miss whose bound on the time, the miss without its last
        // six bits times the inverse, is no later.
        let limit = |inverse: &u64| {
            let miss = near / u128::from(*inverse);
            u64::try_from(miss).map_or(u64::MAX, |miss| {
                let next = u128::from(miss) + 1;
                u64::try_from((next << 6) - 1).unwrap_or(u64::MAX)
            })
        };
        Weights::Unequal {
            limits: inverse.iter().map(limit).collect(),
            inverse,
            near,
        }
    }
}
