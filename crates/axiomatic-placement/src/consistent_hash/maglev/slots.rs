/// A prime number of slots, and which of them a hash falls into.
#[derive(Copy, Clone)]
pub(super) struct Slots {
    count: u32,
    /// 2^64 / count, rounded down: remainders by multiplication.
    inverse: u64,
}

impl Slots {
    /// Unless it is no prime, or too large for sums of two places to be `u32`.
    pub(super) fn new(count: u32) -> Option<Self> {
        (count < 1 << 31 && is_prime(count)).then(|| Slots {
            count,
            inverse: ((1 << 64) / u128::from(count)) as u64,
        })
    }

    #[inline(always)]
    pub(super) fn count(self) -> u32 {
        self.count
    }

    /// The remainder of the hash. The quotient that is taken off is right, or
    /// one too small: P. Barrett, CRYPTO 1986.
    #[inline(always)]
    pub(super) fn of(self, hash: u64) -> u32 {
        let quotient = (u128::from(hash) * u128::from(self.inverse)) >> 64;
        let rest = hash.wrapping_sub((quotient as u64).wrapping_mul(u64::from(self.count)));
        // Below twice the count, so it fits.
        let rest = rest as u32;
        rest.min(rest.wrapping_sub(self.count))
    }
}

fn is_prime(number: u32) -> bool {
    let divides = |divisor: u32| number % divisor == 0;
    let root = number.isqrt();
    number >= 2 && (number == 2 || !divides(2)) && !(3..=root).step_by(2).any(divides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_remainder_of_the_hash() {
        for count in [2, 3, 7, 65_537, 655_373, 5_000_011, 2_147_483_647] {
            let slots = Slots::new(count).unwrap();
            let multiples = [0, 1, 2, 1 << 20, u64::MAX / u64::from(count)];
            let near = multiples.iter().flat_map(|many| {
                let hash = many * u64::from(count);
                [hash.wrapping_sub(1), hash, hash.wrapping_add(1)]
            });
            let spread = (0..10_000).map(axiomatic_core::hash::mix);
            for hash in near.chain(spread).chain([u64::MAX, u64::MAX - 1]) {
                assert_eq!(u64::from(slots.of(hash)), hash % u64::from(count), "{hash}");
            }
        }
    }

    #[test]
    fn only_a_prime_below_two_to_the_31_is_a_number_of_slots() {
        let primes: Vec<u32> = (0..60).filter(|n| Slots::new(*n).is_some()).collect();
        assert_eq!(
            primes,
            [
                2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59
            ]
        );
        assert!(Slots::new(65_536).is_none());
        assert!(Slots::new(65_521 * 32_749).is_none());
        assert!(Slots::new(4_294_967_291).is_none());
    }
}
