use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axiomatic_core::hash::{Encoder, Seed, mix};
use smallvec::{SmallVec, smallvec};

use super::error::ShardError;
use crate::consistent_hash::rendezvous::Identities;
use crate::consistent_hash::{Membership, Node, Order};

/// What fails together: dimensions, along each of which a node has a
/// coordinate, such as its zone and the version of its software. Nodes of the
/// same coordinates make a cell.
///
/// ```
/// use axiomatic_placement::shuffle_shard::Lattice;
///
/// // Nodes are named for what they run: "v7-cache-3".
/// let lattice = Lattice::by_zone().and(|node| {
///     let name = String::from_utf8_lossy(node.id());
///     name.split('-').next().unwrap_or_default().to_owned()
/// });
/// assert_eq!(lattice.dimensions(), 2);
/// ```
#[derive(Clone)]
pub struct Lattice(Vec<Coordinate>);

type Coordinate = Arc<dyn Fn(&Node) -> String + Send + Sync>;

impl Lattice {
    /// The most dimensions there can be.
    pub const MAX_DIMENSIONS: usize = 8;

    /// No dimensions: all nodes are in one cell.
    pub fn single_cell() -> Self {
        Lattice(Vec::new())
    }

    /// Each zone is a cell.
    pub fn by_zone() -> Self {
        Self::by(|node| node.zone().to_owned())
    }

    /// One dimension. The coordinate has to be the same on every machine: a
    /// function of nothing but the node.
    pub fn by(coordinate: impl Fn(&Node) -> String + Send + Sync + 'static) -> Self {
        Self::single_cell().and(coordinate)
    }

    /// One dimension more, that no shard uses a coordinate of twice.
    pub fn and(mut self, coordinate: impl Fn(&Node) -> String + Send + Sync + 'static) -> Self {
        self.0.push(Arc::new(coordinate));
        self
    }

    /// How many dimensions it has.
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }
}

/// [`by_zone`](Lattice::by_zone).
impl Default for Lattice {
    fn default() -> Self {
        Self::by_zone()
    }
}

impl fmt::Debug for Lattice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lattice({} dimensions)", self.dimensions())
    }
}

/// The cells that have nodes, by their coordinates.
#[derive(Debug)]
pub(super) struct Cells {
    cells: Box<[Cell]>,
    dimensions: usize,
    /// How many different coordinates there are, of all dimensions together.
    coordinates: usize,
    /// The fewest that a dimension has: no shard has more cells.
    fewest: usize,
}

#[derive(Debug)]
pub(super) struct Cell {
    /// What the cell draws by.
    seed: u64,
    /// The number of each of its coordinates: no two of two dimensions are
    /// the same.
    numbers: SmallVec<[u32; 3]>,
    /// Of its nodes that weigh something, whatever their state.
    pub(super) order: Order,
}

impl Cells {
    pub(super) fn new(
        lattice: &Lattice,
        membership: &Membership,
        seed: Seed,
        at_least: usize,
    ) -> Result<Self, ShardError> {
        let dimensions = lattice.dimensions();
        if dimensions > Lattice::MAX_DIMENSIONS {
            return Err(ShardError::TooManyDimensions { dimensions });
        }
        let mut sorted = BTreeMap::new();
        for member in membership.members().iter().filter(|m| m.weight() > 0) {
            let node = member.node();
            let at: Vec<String> = lattice.0.iter().map(|of| of(node)).collect();
            sorted.entry(at).or_insert_with(Vec::new).push(member);
        }
        let small = sorted.iter().find(|(_, nodes)| nodes.len() < at_least);
        if let Some((cell, nodes)) = small {
            return Err(ShardError::CellTooSmall {
                cell: cell.clone().into(),
                nodes: nodes.len(),
                wanted: at_least,
            });
        }
        let identities = Identities::new(seed);
        let mut numbers = BTreeMap::new();
        let mut sizes = [0; Lattice::MAX_DIMENSIONS];
        let mut cells = Vec::with_capacity(sorted.len());
        for (at, members) in sorted {
            let mut encoder = Encoder::new();
            let mut of_cell = SmallVec::new();
            for (dimension, coordinate) in at.into_iter().enumerate() {
                encoder.text(&coordinate);
                let next = numbers.len() as u32;
                let number = numbers.entry((dimension, coordinate)).or_insert_with(|| {
                    sizes[dimension] += 1;
                    next
                });
                of_cell.push(*number);
            }
            cells.push(Cell {
                seed: identities.hash(encoder.as_bytes()),
                numbers: of_cell,
                order: Order::among(members, seed),
            });
        }
        Ok(Cells {
            cells: cells.into(),
            dimensions,
            coordinates: numbers.len(),
            fewest: sizes[..dimensions].iter().copied().min().unwrap_or(1),
        })
    }

    /// The cells of a shard, in its order: each draws, and the best draw is
    /// taken, then the best of those that share no coordinate with one that
    /// is taken.
    ///
    /// Where all cells have nodes this is to shuffle each dimension's
    /// coordinates and to zip them, as Infima does. Where some have none, it
    /// meets no empty ones, and when a cell comes or goes, nothing changes
    /// for who does not take it.
    pub(super) fn of_shard(&self, hash: u64) -> SmallVec<[&Cell; 8]> {
        let mut draws: SmallVec<[(u64, u32); 16]> = (0u32..)
            .zip(&self.cells)
            .map(|(index, cell)| (mix(hash ^ cell.seed), index))
            .collect();
        draws.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let cells = draws.iter().map(|(_, index)| &self.cells[*index as usize]);
        if self.dimensions < 2 {
            return cells.collect();
        }
        let mut used: SmallVec<[u64; 4]> = smallvec![0; self.coordinates.div_ceil(64)];
        let mut taken = SmallVec::new();
        for cell in cells {
            let bit = |number: u32| (number as usize / 64, 1u64 << (number % 64));
            let mut bits = cell.numbers.iter().map(|number| bit(*number));
            if bits.any(|(word, bit)| used[word] & bit != 0) {
                continue;
            }
            for (word, bit) in cell.numbers.iter().map(|number| bit(*number)) {
                used[word] |= bit;
            }
            taken.push(cell);
            if taken.len() == self.fewest {
                break;
            }
        }
        taken
    }

    /// How many cells a shard has where all cells have nodes.
    pub(super) fn fewest(&self) -> usize {
        self.fewest
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// All cells, if every shard has nodes of each, and any as likely as any
    /// other.
    pub(super) fn uniform(&self) -> Option<&[Cell]> {
        let is_uniform = self.cells.iter().all(|cell| cell.order.is_uniform());
        (self.dimensions < 2 && is_uniform).then_some(&self.cells)
    }
}
