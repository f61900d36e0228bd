//! XXH3 of eight bytes, the most common key there is: the branch of the
//! algorithm for 4 to 8 bytes (xxHash 0.8, `XXH3_len_4to8_64b`), which the
//! crate that hashes everything else reaches after asking for the length and
//! for the processor, in twice the time.

/// Bytes 8 to 15 of the algorithm's secret, exclusive or bytes 16 to 23.
const FLIP: u64 = 0x1cad_21f7_2c81_017c ^ 0xdb97_9083_e96d_d4de;
const MULTIPLIER: u64 = 0x9fb2_1c65_1e98_df25;

/// The XXH3-64 of the little-endian bytes of `number`.
#[inline]
pub(super) const fn of_eight_bytes(seed: u64, number: u64) -> u64 {
    let seed = seed ^ (((seed as u32).swap_bytes() as u64) << 32);
    // The algorithm takes the last four bytes as the lower half.
    let mut hash = number.rotate_left(32) ^ FLIP.wrapping_sub(seed);
    hash ^= hash.rotate_left(49) ^ hash.rotate_left(24);
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^= (hash >> 35).wrapping_add(8);
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 28)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use twox_hash::XxHash3_64;

    proptest! {
        #[test]
        fn it_is_what_the_whole_algorithm_says(seed: u64, number: u64) {
            let bytes = number.to_le_bytes();
            let whole = XxHash3_64::oneshot_with_seed(seed, &bytes);
            prop_assert_eq!(super::of_eight_bytes(seed, number), whole);
        }
    }
}
