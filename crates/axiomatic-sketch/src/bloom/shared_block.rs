//! A block whose bits threads set at the same time.

use super::bits_cell::Bits;
use super::kernels::Words;
use super::mask::{self, Block};

/// The words of a block two by two, the first one below. Half a cache line,
/// aligned to its size, so that no block lies on two: found by one shift, where
/// lines of two blocks took five steps, and a question 9 % longer.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct SharedBlock([Bits; 4]);

impl SharedBlock {
    pub(super) fn of(block: &Block) -> Self {
        Self::of_words(pairs_of(block))
    }

    pub(super) fn of_words(words: [u64; 4]) -> Self {
        SharedBlock(words.map(Bits::new))
    }

    #[inline(always)]
    pub(super) fn pairs(&self) -> [u64; 4] {
        self.0.each_ref().map(Bits::load)
    }

    /// Whether all bits of the mask are set.
    #[inline(always)]
    pub(super) fn covers(&self, mask: &Block) -> bool {
        mask::covers(&self.words(), mask)
    }

    /// Whether a bit of the mask was missing, and this is who set it.
    #[inline(always)]
    pub(super) fn add(&self, mask: &Block) -> bool {
        // Before it writes, it looks: a line that is only read stays with the
        // other cores. That bits are there is final.
        !self.covers(mask) && self.add_missing(mask)
    }

    /// Out of line, or else the mask is made word by word for what it does
    /// here, and a repeated insert takes twice as long.
    #[inline(never)]
    fn add_missing(&self, mask: &Block) -> bool {
        let mut added = 0;
        for (word, mask) in self.0.iter().zip(pairs_of(mask)) {
            let missing = mask & !word.load();
            // A word that has its bits is not written.
            if missing != 0 {
                added |= word.add(missing);
            }
        }
        added != 0
    }
}

impl Words for SharedBlock {
    #[inline(always)]
    fn words(&self) -> Block {
        block_of_pairs(self.pairs())
    }
}

/// Words of 32 bits two by two, the first one below: on a processor that is
/// little-endian nothing but another view of the bytes.
#[inline(always)]
fn pairs_of(block: &Block) -> [u64; 4] {
    bytemuck::cast::<Block, [u64; 4]>(block.map(u32::to_le)).map(u64::from_le)
}

#[inline(always)]
fn block_of_pairs(pairs: [u64; 4]) -> Block {
    bytemuck::cast::<[u64; 4], Block>(pairs.map(u64::to_le)).map(u32::from_le)
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_block_lies_on_two_lines() {
        assert_eq!(size_of::<SharedBlock>(), 32);
        assert_eq!(align_of::<SharedBlock>(), 32);
    }

    #[test]
    fn of_two_words_the_first_one_is_below() {
        let block = SharedBlock::of(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let words = [0x2_0000_0001, 0x4_0000_0003, 0x6_0000_0005, 0x8_0000_0007];
        assert_eq!(block.pairs(), words);
        assert_eq!(SharedBlock::of_words(words).words(), block.words());
        assert_eq!(block.words(), [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
