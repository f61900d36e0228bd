//! What filters of split blocks do, once for each set of instructions.

use super::mask::{self, Block};
use crate::lanes::{Kernel, Lanes};

/// How many questions are asked at once: their blocks are all on the way from
/// memory before the first one is looked at. Measured: with 16 a question
/// took 5 % more, with 64 nothing less.
const BATCH: usize = 32;

/// A block in either of its forms: in memory, or as it is stored.
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

pub(super) struct Ask<'a, B> {
    pub(super) blocks: &'a [B],
    pub(super) hash: u64,
}

impl<B: Words> Kernel for Ask<'_, B> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let at = mask::block_of(self.hash, self.blocks.len() as u32);
        let block = self.blocks[at as usize].words();
        mask::covers(&block, &mask::mask::<L>(self.hash))
    }
}

pub(super) struct Insert<'a> {
    pub(super) blocks: &'a mut [Block],
    pub(super) hash: u64,
}

impl Kernel for Insert<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let at = mask::block_of(self.hash, self.blocks.len() as u32);
        let block = &mut self.blocks[at as usize];
        let mask = mask::mask::<L>(self.hash);
        let is_new = !mask::covers(block, &mask);
        mask::add(block, &mask);
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
fn places(hashes: &[u64], blocks: u32) -> [u32; BATCH] {
    let mut places = [0; BATCH];
    for (place, hash) in places.iter_mut().zip(hashes) {
        *place = mask::block_of(*hash, blocks);
    }
    places
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
            on.run(Insert {
                blocks: table,
                hash: *hash,
            })
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
            on.run(Ask { blocks, hash })
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
