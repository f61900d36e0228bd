//! How many wait that matter so much.

/// How many wait of each level, and of each sixteen levels: so that a level
/// and those above it are counted in thirty steps at most.
pub(super) struct Crowd {
    levels: Box<[u32]>,
    blocks: [u32; LEVELS / BLOCK],
}

const LEVELS: usize = 1 << u8::BITS;
const BLOCK: usize = 16;

impl Crowd {
    /// Of a queue that nobody waits in it counts nobody, and needs no memory.
    pub(super) fn new(can_wait: bool) -> Self {
        let levels = if can_wait { LEVELS } else { 0 };
        Crowd {
            levels: vec![0; levels].into_boxed_slice(),
            blocks: [0; LEVELS / BLOCK],
        }
    }

    pub(super) fn enter(&mut self, level: u8) {
        self.levels[usize::from(level)] += 1;
        self.blocks[usize::from(level) / BLOCK] += 1;
    }

    pub(super) fn leave(&mut self, level: u8) {
        self.levels[usize::from(level)] -= 1;
        self.blocks[usize::from(level) / BLOCK] -= 1;
    }

    /// How many matter that much or more.
    pub(super) fn from(&self, level: u8) -> u32 {
        if self.levels.is_empty() {
            return 0;
        }
        let level = usize::from(level);
        let above = level / BLOCK + 1;
        let here: u32 = self.levels[level..above * BLOCK].iter().sum();
        here + self.blocks[above..].iter().sum::<u32>()
    }
}
