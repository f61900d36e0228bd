//! Which bits a key has: the only place that chooses them.
//!
//! Split blocks are those of Parquet (parquet-format, `BloomFilter.md`; first
//! in Impala, after Putze, Sanders and Singler, "Cache-, Hash- and
//! Space-Efficient Bloom Filters", 2007): the upper half of a 64-bit hash
//! chooses a block of 256 bits, and the lower half one bit in each of its
//! eight words of 32.

use crate::lanes::Lanes;

/// Eight words of 32 bits, the first one lowest in memory, each little-endian.
pub(crate) type Block = [u32; 8];

/// Odd multipliers, one a word, as Parquet's specification lists them.
const SALT: Block = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// 2^64 over the golden ratio, to the nearest odd number: no number's multiples
/// lie more evenly between 0 and 2^64 (Knuth, "The Art of Computer
/// Programming", vol. 3, section 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number of the block of this key, below `blocks`, by multiplication
/// (Lemire, "Fast Random Integer Generation in an Interval", 2019): as even
/// as a remainder, for any number of blocks, without a division.
#[inline(always)]
pub(crate) fn block_of(hash: u64, blocks: u32) -> u32 {
    (((hash >> 32) * u64::from(blocks)) >> 32) as u32
}

/// The bits of this key in its block, one in each word.
#[inline(always)]
pub(crate) fn mask<L: Lanes>(hash: u64) -> Block {
    // Cut on purpose: the lower half.
    let low = hash as u32;
    L::powers(SALT.map(|salt| low.wrapping_mul(salt) >> 27))
}

/// The bits of this key in its word, which is chosen as a [block](block_of)
/// is: from 4 to 8, each by six bits of one product, from the top of it on.
/// Two may be the same.
#[inline(always)]
pub(crate) fn word_mask(hash: u64, bits_per_key: u32) -> u64 {
    // Cut on purpose: the lower half.
    let product = u64::from(hash as u32).wrapping_mul(GOLDEN);
    let bit = |nth: u32| 1 << ((product >> (58 - 6 * nth)) & 63);
    // A loop of as many as there are took 9 % longer. All eight at once by
    // AVX2 took a fifth less where there are five, and half where there are
    // eight: not worth a second way to choose the same bits.
    let mut mask = bit(0) | bit(1) | bit(2) | bit(3);
    for nth in 4..8 {
        if nth >= bits_per_key {
            break;
        }
        mask |= bit(nth);
    }
    mask
}

/// Whether all bits of the mask are set.
#[inline(always)]
pub(crate) fn covers(block: &Block, mask: &Block) -> bool {
    // No early end: a branch that cannot be foretold costs more than the
    // words that it saves.
    let mut missing = 0;
    for word in 0..8 {
        missing |= mask[word] & !block[word];
    }
    missing == 0
}

/// Sets the bits of the mask.
#[inline(always)]
pub(crate) fn add(block: &mut Block, mask: &Block) {
    for word in 0..8 {
        block[word] |= mask[word];
    }
}

/// Bits for keys in a word with a tag, of which it leaves eight out.
pub(crate) const TAGGED_BITS: u32 = 56;

/// The bits of this key in a word with a tag: so many draws out of 56, of
/// which some may fall on one bit. They are the first digits, to the base of
/// 56, of the hash as a fraction, once a multiplication has brought its lower
/// bits up: the upper ones have chosen the [group](block_of) already.
#[inline(always)]
pub(crate) fn tagged_mask(hash: u64, draws: u32) -> u64 {
    // The golden ratio's, whose multiples are strewn evenly.
    let mut rest = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mask = 0;
    for _ in 0..draws {
        let digits = u128::from(rest) * u128::from(TAGGED_BITS);
        mask |= 1 << (digits >> 64) as u32;
        rest = digits as u64;
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Narrow, Wide};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_sets_of_instructions_choose_the_same_bits(hash: u64) {
            let mask = mask::<Wide>(hash);
            prop_assert_eq!(mask, super::mask::<Narrow>(hash));
            prop_assert!(mask.iter().all(|word| word.count_ones() == 1));
        }

        #[test]
        fn a_word_has_the_digits_of_the_product(hash: u64, bits_per_key in 4_u32..=8) {
            let product = (hash % (1 << 32)).wrapping_mul(GOLDEN);
            let digits = format!("{product:064b}");
            let expected = (0..bits_per_key as usize).map(|nth| {
                let digit = &digits[6 * nth..6 * nth + 6];
                1 << u64::from_str_radix(digit, 2).unwrap()
            });
            let expected = expected.fold(0, |mask: u64, bit: u64| mask | bit);
            prop_assert_eq!(word_mask(hash, bits_per_key), expected);
        }

        #[test]
        fn a_word_with_a_tag_leaves_the_tag_alone(hash: u64, draws in 1_u32..=8) {
            let mask = tagged_mask(hash, draws);
            prop_assert_eq!(mask >> TAGGED_BITS, 0);
            prop_assert!((1..=draws).contains(&mask.count_ones()));
            prop_assert_eq!(tagged_mask(u64::MAX, draws) >> TAGGED_BITS, 0);
        }

        #[test]
        fn a_block_is_one_of_those_there_are(hash: u64, blocks in 1_u32..) {
            prop_assert!(block_of(hash, blocks) < blocks);
            prop_assert_eq!(block_of(u64::MAX, blocks), blocks - 1);
            prop_assert_eq!(block_of(0, blocks), 0);
        }
    }
}
