/// A multiplier whose powers are evenly spread, modulo 2^64: Steele and
/// Vigna, "Computationally easy, spectrally good multipliers for congruential
/// pseudorandom number generators", 2022: <https://arxiv.org/abs/2001.05304>.
const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;

/// What the folded hash is multiplied by for each of four draws in a row.
const LANES: [u64; 4] = [power(1), power(2), power(3), power(4)];

/// The numbers that a hash draws below a capacity: a function of both alone.
///
/// Draw `i`, from 1, is the high half of `folded * MULTIPLIER^i` (modulo
/// 2^64) times the capacity. A number is drawn with probability 1/capacity,
/// up to capacity/2^64.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    state: u64,
    capacity: u64,
}

impl Draws {
    /// How many fours are drawn before the scores decide.
    pub(super) const FOURS: usize = 64;

    /// How many are drawn before the scores decide.
    pub(super) const COUNT: usize = 4 * Draws::FOURS;

    #[inline]
    pub(super) fn new(hash: u64, capacity: u32) -> Self {
        Draws {
            // The highest bits of a factor reach only the highest of the
            // product, and would turn all draws by the same distance. Folded
            // down, they reach as far as the others.
            state: hash ^ (hash >> 32),
            capacity: capacity.into(),
        }
    }

    /// The next four.
    #[inline]
    pub(super) fn four(&mut self) -> [u32; 4] {
        // Each from the state, and not from the one before: so they do not
        // wait for one another.
        let drawn = LANES.map(|lane| self.below(self.state.wrapping_mul(lane)));
        self.state = self.state.wrapping_mul(LANES[3]);
        drawn
    }

    #[inline]
    fn below(&self, drawn: u64) -> u32 {
        ((u128::from(drawn) * u128::from(self.capacity)) >> 64) as u32
    }
}

impl Iterator for Draws {
    type Item = u32;

    /// The next one; without an end.
    fn next(&mut self) -> Option<u32> {
        self.state = self.state.wrapping_mul(MULTIPLIER);
        Some(self.below(self.state))
    }
}

const fn power(exponent: u32) -> u64 {
    MULTIPLIER.wrapping_pow(exponent)
}
