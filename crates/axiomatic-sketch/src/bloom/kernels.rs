//! What filters of split blocks do, once for each set of instructions.

use std::hint::black_box;

use super::mask::{self, Block};
use crate::lanes::{Kernel, Lanes};

/// How many questions are asked at once: their blocks are all on the way from
/// memory before the first one is looked at. Enough for as many lines as a
/// processor fetches at a time; 16 and 64 were not measured.
pub(super) const BATCH: usize = 32;

/// With so many blocks (1 MiB) a filter is in a cache so near that fetching
/// ahead costs more than it brings: a third of a question's time at 12 KiB,
/// which it saves at 13 MB.
const NEAR: usize = 1 << 15;

/// A block in one of its forms: in memory, as it is stored, or shared.
pub(super) trait Words {
    fn words(&self) -> Block;
}

impl Words for Block {
    #[inline(always)]
    fn words(&self) -> Block {
        *self
    }
}

impl Words for [u8; 32] {
    #[inline(always)]
    fn words(&self) -> Block {
        let words: &[[u8; 4]; 8] = bytemuck::must_cast_ref(self);
        words.map(u32::from_le_bytes)
    }
}

/// Of two words, as [`Insert`] is, and so handed over in registers: of three
/// words it would be through memory, and a question took half as long again.
pub(super) struct Ask<'a, B> {
    pub(super) block: &'a B,
    pub(super) hash: u64,
}

impl<B: Words> Kernel for Ask<'_, B> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        mask::covers(&self.block.words(), &mask::mask::<L>(self.hash))
    }
}

pub(super) struct Insert<'a> {
    pub(super) block: &'a mut Block,
    pub(super) hash: u64,
}

impl Kernel for Insert<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let mask = mask::mask::<L>(self.hash);
        let is_new = !mask::covers(self.block, &mask);
        mask::add(self.block, &mask);
        is_new
    }
}

pub(super) struct AskMany<'a, B> {
    pub(super) blocks: &'a [B],
    pub(super) hashes: &'a [u64],
    pub(super) answers: &'a mut [bool],
}

impl<B: Words> Kernel for AskMany<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let count = self.blocks.len() as u32;
        let batches = self.hashes.chunks(BATCH);
        for (hashes, answers) in batches.zip(self.answers.chunks_mut(BATCH)) {
            let places = places(hashes, count);
            if self.blocks.len() > NEAR {
                fetch(self.blocks, &places[..hashes.len()]);
            }
            let each = hashes.iter().zip(&places).zip(answers);
            for ((hash, at), answer) in each {
                let block = self.blocks[*at as usize].words();
                *answer = mask::covers(&block, &mask::mask::<L>(*hash));
            }
        }
    }
}

pub(super) struct InsertMany<'a> {
    pub(super) blocks: &'a mut [Block],
    pub(super) hashes: &'a [u64],
}

impl Kernel for InsertMany<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let count = self.blocks.len() as u32;
        for hashes in self.hashes.chunks(BATCH) {
            let places = places(hashes, count);
            for (hash, at) in hashes.iter().zip(&places) {
                mask::add(&mut self.blocks[*at as usize], &mask::mask::<L>(*hash));
            }
        }
    }
}

/// Where the blocks of a batch are, before the first is touched: several at a
/// time in one register, and the loads that follow do not wait for one
/// another.
#[inline(always)]
pub(super) fn places(hashes: &[u64], blocks: u32) -> [u32; BATCH] {
    let mut places = [0; BATCH];
    for (place, hash) in places.iter_mut().zip(hashes) {
        *place = mask::block_of(*hash, blocks);
    }
    places
}

/// Has the lines of a batch on their way before the first one is looked at: a
/// processor looks ahead some two hundred instructions, which is a dozen
/// questions, and could have more lines than that under way. Inserting does
/// not gain by it.
#[inline(always)]
fn fetch<B: Words>(blocks: &[B], places: &[u32]) {
    let mut words = 0;
    for at in places {
        words |= blocks[*at as usize].words()[0];
    }
    // Or they would not be read.
    black_box(words);
}

pub(super) struct Unite<'a> {
    pub(super) blocks: &'a mut [Block],
    pub(super) others: &'a [Block],
}

impl Kernel for Unite<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (block, other) in self.blocks.iter_mut().zip(self.others) {
            mask::add(block, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Narrow, Wide, dispatch};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What a filter of these keys answers, and its bits.
    fn run(
        hashes: &[u64],
        asked: &[u64],
        blocks: usize,
        on: &impl Runs,
    ) -> (Vec<bool>, Vec<Block>, Vec<bool>, Vec<bool>) {
        let mut table = vec![Block::default(); blocks];
        let table = table.as_mut_slice();
        let (one_by_one, at_once) = hashes.split_at(hashes.len() / 2);
        let news = one_by_one.iter().map(|hash| {
            let block = &mut table[mask::block_of(*hash, blocks as u32) as usize];
            on.run(Insert { block, hash: *hash })
        });
        let news = news.collect();
        on.run(InsertMany {
            blocks: table,
            hashes: at_once,
        });
        let others = table.to_vec();
        on.run(Unite {
            blocks: table,
            others: &others,
        });
        let blocks = &*table;
        let ask = |hash: &u64| {
            let hash = *hash;
            let block = &blocks[mask::block_of(hash, blocks.len() as u32) as usize];
            on.run(Ask { block, hash })
        };
        let singly = asked.iter().map(ask).collect();
        let mut answers = vec![false; asked.len()];
        on.run(AskMany {
            blocks,
            hashes: asked,
            answers: &mut answers,
        });
        (news, table.to_vec(), singly, answers)
    }

    trait Runs {
        fn run<K: Kernel>(&self, kernel: K) -> K::Output;
    }

    impl Runs for Wide {
        fn run<K: Kernel>(&self, kernel: K) -> K::Output {
            kernel.run::<Wide>()
        }
    }

    impl Runs for Narrow {
        fn run<K: Kernel>(&self, kernel: K) -> K::Output {
            kernel.run::<Narrow>()
        }
    }

    /// Whatever this processor has.
    struct Dispatched;

    impl Runs for Dispatched {
        fn run<K: Kernel>(&self, kernel: K) -> K::Output {
            dispatch(kernel)
        }
    }

    proptest! {
        #[test]
        fn both_sets_of_instructions_do_the_same(
            hashes in vec(any::<u64>(), 0..150),
            absent in vec(any::<u64>(), 0..50),
            blocks in 1_usize..20,
        ) {
            let asked = [&hashes[..], &absent].concat();
            let narrow = run(&hashes, &asked, blocks, &Narrow);
            prop_assert_eq!(&narrow, &run(&hashes, &asked, blocks, &Wide));
            prop_assert_eq!(&narrow, &run(&hashes, &asked, blocks, &Dispatched));
            prop_assert_eq!(&narrow.2, &narrow.3);
            prop_assert!(narrow.2[..hashes.len()].iter().all(|found| *found));
        }
    }
}
