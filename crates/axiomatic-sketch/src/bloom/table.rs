//! Blocks in memory, two to a cache line.

use bytemuck::{Pod, Zeroable};

use super::error::BuildError;
use super::mask::{self, Block};

/// A cache line: the unit of alignment, so that no block lies on two.
#[derive(Copy, Clone, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([Block; 2]);

/// So many blocks, at least one.
#[derive(Clone, Debug)]
pub(super) struct Table {
    lines: Vec<Line>,
    /// Of an odd number the last line has one too many, which stays zero.
    blocks: u32,
}

impl Table {
    pub(super) fn zeroed(blocks: u32) -> Result<Self, BuildError> {
        let count = blocks.div_ceil(2) as usize;
        let mut lines = reserved(count, 32 * u64::from(blocks))?;
        lines.resize(count, Line::zeroed());
        Ok(Table { lines, blocks })
    }

    /// The block of this key.
    #[inline(always)]
    pub(super) fn block(&self, hash: u64) -> &Block {
        // Of whole lines: it is below `blocks`, and asked once whether it is
        // below what there is.
        let at = mask::block_of(hash, self.blocks);
        &bytemuck::cast_slice(&self.lines)[at as usize]
    }

    #[inline(always)]
    pub(super) fn block_mut(&mut self, hash: u64) -> &mut Block {
        let at = mask::block_of(hash, self.blocks);
        &mut bytemuck::cast_slice_mut(&mut self.lines)[at as usize]
    }

    /// Of these blocks, of which there are so many.
    pub(super) fn of(mut blocks: impl Iterator<Item = Block>, count: u32) -> Self {
        let mut next = || blocks.next().unwrap_or_default();
        let lines = (0..count.div_ceil(2)).map(|_| Line([next(), next()]));
        Table {
            lines: lines.collect(),
            blocks: count,
        }
    }

    #[inline(always)]
    pub(super) fn blocks(&self) -> &[Block] {
        &bytemuck::cast_slice(&self.lines)[..self.blocks as usize]
    }

    #[inline(always)]
    pub(super) fn blocks_mut(&mut self) -> &mut [Block] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.blocks as usize]
    }

    /// The blocks of this table folded by `factor`, which divides their number.
    ///
    /// A block of the smaller one is as many neighbours of the larger one: of
    /// the product that [`block_of`](super::mask::block_of) divides, rounding
    /// down twice is rounding down once.
    pub(super) fn united(&self, factor: u32) -> impl Iterator<Item = Block> {
        let neighbours = self.blocks().chunks_exact(factor as usize);
        neighbours.map(unite)
    }

    /// Becomes that.
    pub(super) fn fold(&mut self, factor: u32) {
        let factor = factor as usize;
        let blocks = self.blocks_mut();
        let folded = blocks.len() / factor;
        for at in 0..folded {
            // What is written lies before all that is still to be read.
            blocks[at] = unite(&blocks[at * factor..(at + 1) * factor]);
        }
        blocks[folded..].fill(Block::default());
        self.blocks = folded as u32;
        self.lines.truncate(folded.div_ceil(2));
        self.lines.shrink_to_fit();
    }

    /// The same blocks as they are stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 * self.blocks as usize);
        for block in self.blocks() {
            let words = block.map(u32::to_le_bytes);
            bytes.extend_from_slice(words.as_flattened());
        }
        bytes
    }
}

/// All bits of several blocks.
fn unite(blocks: &[Block]) -> Block {
    let mut united = Block::default();
    blocks
        .iter()
        .for_each(|block| mask::add(&mut united, block));
    united
}

/// Room for so many, or the error that says for how many bytes there is none.
pub(super) fn reserved<T>(count: usize, bytes: u64) -> Result<Vec<T>, BuildError> {
    let mut items = Vec::new();
    let is_room = items.try_reserve_exact(count);
    is_room.map_err(|_| BuildError::OutOfMemory { bytes })?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_lines_of_the_cache() {
        for blocks in [1, 2, 3, 64, 65] {
            let table = Table::zeroed(blocks).unwrap();
            assert_eq!(table.blocks().as_ptr() as usize % 64, 0);
            assert_eq!(table.blocks().len(), blocks as usize);
            assert_eq!(table.clone().blocks().as_ptr() as usize % 64, 0);
        }
    }
}
