//! How often a filter of single words is wrong: the arithmetic.

use crate::load;

/// Bits of a word.
pub(super) const BITS: usize = u64::BITS as usize;

/// The rates of false positives with one number of bits a key.
pub(super) struct Rates {
    bits_per_key: u32,
    /// Of a word with so many keys, as far as anybody has asked.
    of_keys: Vec<f64>,
    /// How likely it is that the last of them has so many bits set.
    bits_set: [f64; BITS + 1],
    /// How likely it is that a key hits them all.
    hits: [f64; BITS + 1],
}

impl Rates {
    pub(super) fn of(bits_per_key: u32) -> Self {
        let mut bits_set = [0.0; BITS + 1];
        bits_set[0] = 1.0;
        Rates {
            bits_per_key,
            of_keys: vec![0.0],
            bits_set,
            hits: SHARES.map(|hit| (0..bits_per_key).fold(1.0, |all, _| all * hit)),
        }
    }

    /// At so many keys a word.
    pub(super) fn at(&mut self, load: f64) -> f64 {
        let mixture = load::mean(load, |keys| {
            while self.of_keys.len() <= keys as usize {
                self.add_key();
            }
            self.of_keys[keys as usize]
        });
        // Bits are made of 32, so the chance of meeting the same ones again is
        // not less than that.
        let same = load / 4_294_967_296.0;
        (mixture + same).min(1.0)
    }

    fn add_key(&mut self) {
        for _ in 0..self.bits_per_key {
            let before = self.bits_set;
            self.bits_set[0] = 0.0;
            // A bit hits one of those that are set, or is one more.
            for set in 1..=BITS {
                let (hit, missed) = (SHARES[set], SHARES[BITS + 1 - set]);
                self.bits_set[set] = before[set] * hit + before[set - 1] * missed;
            }
        }
        let mut rate = 0.0;
        for (chance, hit) in self.bits_set.iter().zip(self.hits) {
            rate += chance * hit;
        }
        self.of_keys.push(rate);
    }
}

/// So many of the bits of a word, as a share of them.
static SHARES: [f64; BITS + 1] = {
    let mut shares = [0.0; BITS + 1];
    let mut bits = 0;
    while bits <= BITS {
        shares[bits] = bits as f64 / BITS as f64;
        bits += 1;
    }
    shares
};

#[cfg(test)]
mod tests {
    use super::*;

    /// By another way, with cancellation instead of a table: the share of
    /// zeros has factorial moments in closed form, and their mixtures too.
    #[test]
    fn rates_are_those_of_the_closed_form() {
        for bits_per_key in 4..=8 {
            for load in [0.5, 2.0, 6.4, 12.0, 40.0, 300.0] {
                let k = f64::from(bits_per_key);
                // Newton's series of (1 - zeros / 64)^k at 0.
                let power = |zeros: u32| (1.0 - f64::from(zeros) / 64.0).powi(bits_per_key as i32);
                let mut differences: Vec<f64> = (0..=bits_per_key).map(power).collect();
                let (mut expected, mut ways) = (0.0, 1.0);
                for r in 0..=bits_per_key {
                    let all_zero = 1.0 - (1.0 - f64::from(r) / 64.0).powf(k);
                    expected += differences[0] * ways * (-load * all_zero).exp();
                    ways *= f64::from(64 - r) / f64::from(r + 1);
                    differences = differences.windows(2).map(|two| two[1] - two[0]).collect();
                }
                let same = load / 4_294_967_296.0;
                let rate = Rates::of(bits_per_key).at(load);
                let apart = (rate - (expected + same).min(1.0)).abs();
                assert!(apart < 1e-12, "{bits_per_key} {load}: {rate} {expected}");
            }
        }
    }
}
