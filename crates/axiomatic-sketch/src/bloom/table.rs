//! Blocks in memory, two to a cache line.

use bytemuck::{Pod, Zeroable};

use super::error::BuildError;
use super::mask::Block;

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

    /// The same blocks little-endian, as they are stored.
    pub(super) fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(32 * self.blocks as usize);
        for block in self.blocks() {
            let words = block.map(u32::to_le_bytes);
            bytes.extend_from_slice(words.as_flattened());
        }
    }
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
