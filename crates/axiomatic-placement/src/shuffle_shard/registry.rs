use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use super::error::{ImportError, NoRoom, ShardError};
use super::overlap::OverlapReport;
use super::shard::{Indices, Shard};
use super::sharder::ShuffleShard;
use crate::consistent_hash::Membership;

/// Shards of which no two have more than so many nodes in common.
///
/// It has to know who has which: one process assigns, and others take its
/// [assignments](Self::assignments) over. A customer's shards are tried one
/// after the other until one fits, so most have the shard that they would have
/// without it.
///
/// What is compared are the nodes that customers have when all are up. While
/// one is down, those who replace it may be more in common.
///
/// ```
/// use axiomatic_placement::consistent_hash::{Membership, Node};
/// use axiomatic_placement::shuffle_shard::{Config, Registry, ShuffleShard};
///
/// let nodes = (0..20).map(|n| Node::new(format!("n{n}")));
/// let shards = ShuffleShard::new(&Membership::new(1, nodes)?, Config::new(4))?;
/// let mut registry = Registry::new(shards.clone(), 1);
/// for customer in 0..10 {
///     registry.assign(customer)?;
/// }
///
/// let elsewhere = Registry::import(shards, 1, registry.assignments())?;
/// assert_eq!(elsewhere.shard(3), registry.shard(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With c customers, each of whom has k of n nodes, an attempt looks at the
/// c k / n customers of each of its k nodes and sorts them.
#[derive(Clone)]
pub struct Registry {
    shards: ShuffleShard,
    max_overlap: usize,
    attempts: NonZeroU32,
    assigned: BTreeMap<u64, u32>,
    /// By the index of the node: whose it is.
    customers: Vec<Vec<u64>>,
}

/// Which of a customer's shards it has.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The hash of the customer's identity.
    pub customer: u64,
    /// The number of the [attempt](ShuffleShard::attempt).
    pub attempt: u32,
}

impl Registry {
    /// How many shards of a customer are tried, unless told otherwise.
    pub const ATTEMPTS: NonZeroU32 = NonZeroU32::new(1024).unwrap();

    /// Nobody has a shard yet; at most so many nodes will be shared by any
    /// two customers.
    pub fn new(shards: ShuffleShard, max_overlap: usize) -> Self {
        Registry {
            customers: vec![Vec::new(); shards.membership().members().len()],
            shards,
            max_overlap,
            attempts: Self::ATTEMPTS,
            assigned: BTreeMap::new(),
        }
    }

    /// Try so many shards of a customer, rather than
    /// [`ATTEMPTS`](Self::ATTEMPTS).
    pub fn trying(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Gives the customer the first of its shards that fits, or says which it
    /// has.
    ///
    /// # Errors
    ///
    /// If none of those tried fits.
    pub fn assign(&mut self, customer: u64) -> Result<Shard<'_>, NoRoom> {
        let attempt = match self.assigned.get(&customer) {
            Some(attempt) => *attempt,
            None => self.search(customer)?,
        };
        Ok(self.shards.attempt(customer, attempt))
    }

    /// The shard of a customer that has one.
    pub fn shard(&self, customer: u64) -> Option<Shard<'_>> {
        let attempt = self.assigned.get(&customer)?;
        Some(self.shards.attempt(customer, *attempt))
    }

    /// Takes a customer's shard away. Says whether it had one.
    pub fn release(&mut self, customer: u64) -> bool {
        let Some(attempt) = self.assigned.remove(&customer) else {
            return false;
        };
        for index in self.shards.home_indices(customer, attempt) {
            let customers = &mut self.customers[index as usize];
            if let Some(place) = customers.iter().position(|c| *c == customer) {
                customers.swap_remove(place);
            }
        }
        true
    }

    /// Who has which shard, by customer: plain numbers, for another process
    /// with the same nodes, lattice and seed.
    pub fn assignments(&self) -> impl ExactSizeIterator<Item = Assignment> {
        let assigned = self.assigned.iter();
        assigned.map(|(customer, attempt)| Assignment {
            customer: *customer,
            attempt: *attempt,
        })
    }

    /// A registry in which these customers have these shards.
    ///
    /// # Errors
    ///
    /// If a customer is there twice, or two share too many nodes.
    pub fn import(
        shards: ShuffleShard,
        max_overlap: usize,
        assignments: impl IntoIterator<Item = Assignment>,
    ) -> Result<Self, ImportError> {
        let mut registry = Registry::new(shards, max_overlap);
        for Assignment { customer, attempt } in assignments {
            if registry.assigned.contains_key(&customer) {
                return Err(ImportError::Duplicate { customer });
            }
            let indices = registry.shards.home_indices(customer, attempt);
            if let Some((overlap, other)) = registry.worst(&indices) {
                if overlap > max_overlap {
                    return Err(ImportError::Overlap {
                        customer,
                        other,
                        overlap,
                    });
                }
            }
            registry.give(customer, attempt, &indices);
        }
        Ok(registry)
    }

    /// The same customers over another membership: as many as can keep the
    /// number of their attempt, by customer, and then the others whichever
    /// fits. Also says who has none any more. Where only states differ, all
    /// keep their shards.
    ///
    /// # Errors
    ///
    /// As [`ShuffleShard::over`].
    pub fn over(&self, membership: &Membership) -> Result<(Self, Vec<NoRoom>), ShardError> {
        let shards = self.shards.over(membership)?;
        if membership.has_roster_of(self.shards.membership()) {
            let registry = Registry {
                shards,
                ..self.clone()
            };
            return Ok((registry, Vec::new()));
        }
        let mut registry = Registry::new(shards, self.max_overlap).trying(self.attempts);
        let mut others = Vec::new();
        for Assignment { customer, attempt } in self.assignments() {
            let indices = registry.shards.home_indices(customer, attempt);
            match registry.worst(&indices) {
                Some((overlap, _)) if overlap > self.max_overlap => others.push(customer),
                _ => registry.give(customer, attempt, &indices),
            }
        }
        let unplaced = (others.into_iter())
            .filter_map(|customer| registry.search(customer).err())
            .collect();
        Ok((registry, unplaced))
    }

    /// How many customers have a shard.
    pub fn len(&self) -> usize {
        self.assigned.len()
    }

    /// Whether nobody has one.
    pub fn is_empty(&self) -> bool {
        self.assigned.is_empty()
    }

    /// How many nodes two customers may have in common.
    pub fn max_overlap(&self) -> usize {
        self.max_overlap
    }

    /// The shards that it assigns.
    pub fn shards(&self) -> &ShuffleShard {
        &self.shards
    }

    /// As [`ShuffleShard::overlaps`], of those who have a shard. The theory
    /// beside it is that of shards which are not chosen so.
    pub fn overlaps(&self) -> OverlapReport {
        let assigned = self.assigned.iter();
        let shards = assigned.map(|(c, attempt)| (*c, self.shards.indices(*c, *attempt)));
        OverlapReport::of_all(shards, self.shards.theory())
    }

    fn search(&mut self, customer: u64) -> Result<u32, NoRoom> {
        let mut least_overlap = usize::MAX;
        for attempt in 0..self.attempts.get() {
            let indices = self.shards.home_indices(customer, attempt);
            let overlap = self.worst(&indices).map_or(0, |(overlap, _)| overlap);
            if overlap <= self.max_overlap {
                self.give(customer, attempt, &indices);
                return Ok(attempt);
            }
            least_overlap = least_overlap.min(overlap);
        }
        Err(NoRoom {
            customer,
            attempts: self.attempts.get(),
            least_overlap,
        })
    }

    /// Who has the most of these nodes, and how many.
    fn worst(&self, indices: &Indices) -> Option<(usize, u64)> {
        let theirs = indices.iter().map(|index| &self.customers[*index as usize]);
        let mut customers: Vec<u64> = theirs.flatten().copied().collect();
        customers.sort_unstable();
        let runs = customers.chunk_by(|a, b| a == b);
        runs.map(|run| (run.len(), run[0])).max()
    }

    fn give(&mut self, customer: u64, attempt: u32, indices: &Indices) {
        self.assigned.insert(customer, attempt);
        for index in indices {
            self.customers[*index as usize].push(customer);
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("shards", &self.shards)
            .field("max_overlap", &self.max_overlap)
            .field("attempts", &self.attempts)
            .field("assigned", &self.assigned)
            .finish()
    }
}
