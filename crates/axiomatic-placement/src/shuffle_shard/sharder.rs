use std::fmt;
use std::sync::Arc;

use axiomatic_core::hash::{Seed, mix};

use super::error::ShardError;
use super::lattice::{Cells, Lattice};
use super::overlap::{OverlapReport, Theory};
use super::shard::{Indices, Shard};
use crate::consistent_hash::{Membership, Walk};

/// What shards are like.
///
/// ```
/// use axiomatic_placement::shuffle_shard::{Config, Lattice};
///
/// let config = Config::new(4).across(Lattice::single_cell());
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    per_cell: usize,
    lattice: Lattice,
    seed: Seed,
    small_cells: SmallCells,
}

/// What is done where a cell has fewer nodes than each shard is to have of
/// it. Nodes that are down count: they come back.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum SmallCells {
    /// There are no such shards: an error where they are built.
    #[default]
    Refuse,
    /// All there are is what a shard gets, and it says that it is
    /// [short](Shard::is_short). For memberships that change by themselves.
    Short,
}

impl Config {
    /// Shards that have this many nodes of each of their cells, which are
    /// zones, with the seed that everybody has: 0.
    pub fn new(per_cell: usize) -> Self {
        Config {
            per_cell,
            lattice: Lattice::by_zone(),
            seed: Seed::fixed(0),
            small_cells: SmallCells::Refuse,
        }
    }

    /// With cells of another lattice.
    pub fn across(mut self, lattice: Lattice) -> Self {
        self.lattice = lattice;
        self
    }

    /// With another seed, which gives everybody other nodes. Of two services
    /// on the same nodes each should have its own, or whoever shares all nodes
    /// in one shares them in the other too. Customers who choose their names
    /// can look for one that shares another's nodes, unless the seed is known
    /// to nobody else.
    pub fn seeded(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// What is done where a cell has fewer nodes than that.
    pub fn where_cells_are_small(mut self, small_cells: SmallCells) -> Self {
        self.small_cells = small_cells;
        self
    }
}

/// A few nodes for each customer, the same on every machine: the first ones in
/// rendezvous order of each of its cells.
///
/// Nothing is stored of customers. Cheap to clone.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Membership, Node};
/// use axiomatic_placement::shuffle_shard::{Config, ShuffleShard};
///
/// let nodes = (0..12).map(|n| Node::new(format!("n{n}")).in_zone(["a", "b", "c"][n % 3]));
/// let shards = ShuffleShard::new(&Membership::new(1, nodes)?, Config::new(1))?;
///
/// // One node of each zone.
/// let mut zones: Vec<_> = shards.shard(7).nodes().map(|node| node.zone()).collect();
/// zones.sort();
/// assert_eq!(zones, ["a", "b", "c"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ShuffleShard(Arc<Parts>);

struct Parts {
    membership: Membership,
    config: Config,
    cells: Arc<Cells>,
}

impl ShuffleShard {
    /// Shards of these nodes.
    ///
    /// # Errors
    ///
    /// If they were to have no nodes, if the lattice has too many dimensions,
    /// or if a cell has too few nodes and that is [not
    /// allowed](Config::where_cells_are_small).
    pub fn new(membership: &Membership, config: Config) -> Result<Self, ShardError> {
        if config.per_cell == 0 {
            return Err(ShardError::NoNodes);
        }
        let at_least = match config.small_cells {
            SmallCells::Refuse => config.per_cell,
            SmallCells::Short => 0,
        };
        let cells = Cells::new(&config.lattice, membership, config.seed, at_least)?;
        Ok(ShuffleShard(Arc::new(Parts {
            membership: membership.clone(),
            config,
            cells: Arc::new(cells),
        })))
    }

    /// The same over another membership. Where only states differ, what was
    /// built is shared.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); never where only states differ.
    pub fn over(&self, membership: &Membership) -> Result<Self, ShardError> {
        if !membership.has_roster_of(self.membership()) {
            return Self::new(membership, self.0.config.clone());
        }
        Ok(ShuffleShard(Arc::new(Parts {
            membership: membership.clone(),
            config: self.0.config.clone(),
            cells: Arc::clone(&self.0.cells),
        })))
    }

    /// The nodes of the customer whose identity has this hash. One that is
    /// down is replaced by the next one of its cell, as long as it is down.
    pub fn shard(&self, customer: u64) -> Shard<'_> {
        self.attempt(customer, 0)
    }

    /// The nodes that the customer has when all are up.
    pub fn home(&self, customer: u64) -> Shard<'_> {
        Shard::new(self, self.home_indices(customer, 0))
    }

    /// The customer's next shards, each drawn apart from the others, of which
    /// attempt 0 is [the](Self::shard) shard.
    pub fn attempt(&self, customer: u64, attempt: u32) -> Shard<'_> {
        Shard::new(self, self.indices(customer, attempt))
    }

    /// Over whom.
    pub fn membership(&self) -> &Membership {
        &self.0.membership
    }

    /// Its seed.
    pub fn seed(&self) -> Seed {
        self.0.config.seed
    }

    /// How many nodes a shard has that is not short.
    pub fn shard_size(&self) -> usize {
        self.0.cells.fewest().saturating_mul(self.0.config.per_cell)
    }

    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.0.cells.len()
    }

    /// Which nodes these customers have in common, two by two: all pairs of
    /// them, counted exactly. A customer that is named twice counts once.
    ///
    /// Of c customers with k of n nodes each it takes c²k²/2n steps. Of many
    /// customers rather take a [sample](Self::overlaps_sampled).
    pub fn overlaps(&self, customers: impl IntoIterator<Item = u64>) -> OverlapReport {
        let shards = customers.into_iter().map(|c| (c, self.indices(c, 0)));
        OverlapReport::of_all(shards, self.theory())
    }

    /// As [`overlaps`](Self::overlaps), of so many pairs of different
    /// customers, drawn by this seed with replacement.
    pub fn overlaps_sampled(
        &self,
        customers: impl IntoIterator<Item = u64>,
        pairs: u64,
        seed: u64,
    ) -> OverlapReport {
        let shards = customers.into_iter().map(|c| (c, self.indices(c, 0)));
        OverlapReport::of_sample(shards, pairs, seed, self.theory())
    }

    pub(super) fn indices(&self, customer: u64, attempt: u32) -> Indices {
        let membership = self.membership();
        if membership.is_whole() {
            return self.home_indices(customer, attempt);
        }
        self.collect(customer, attempt, |index| {
            membership.is_eligible(&membership.members()[index])
        })
    }

    pub(super) fn home_indices(&self, customer: u64, attempt: u32) -> Indices {
        self.collect(customer, attempt, |_| true)
    }

    fn collect(&self, customer: u64, attempt: u32, may: impl Fn(usize) -> bool) -> Indices {
        let hash = match attempt {
            0 => customer,
            later => mix(customer ^ mix(u64::from(later))),
        };
        let mut indices = Indices::new();
        for cell in self.0.cells.of_shard(hash) {
            let order = Walk::new(&cell.order, hash).filter(|index| may(*index));
            let of_cell = order.take(self.0.config.per_cell);
            indices.extend(of_cell.map(|index| index as u32));
        }
        indices
    }

    pub(super) fn theory(&self) -> Theory {
        let membership = self.membership();
        let eligible = |cell: &super::lattice::Cell| {
            let nodes = cell.order.indices();
            nodes
                .filter(|index| membership.is_eligible(&membership.members()[*index]))
                .count()
        };
        let sizes = |cells: &[_]| cells.iter().map(eligible).collect::<Vec<_>>();
        Theory {
            nodes: membership.eligible().count(),
            cells: self.cells(),
            shard_size: self.shard_size(),
            shares: (self.0.cells.uniform())
                .map(|cells| super::overlap::expected(&sizes(cells), self.0.config.per_cell)),
        }
    }
}

impl fmt::Debug for ShuffleShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShuffleShard")
            .field("config", &self.0.config)
            .field("membership", &self.0.membership)
            .finish()
    }
}
