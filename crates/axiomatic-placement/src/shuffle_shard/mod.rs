//! Shuffle sharding: a few nodes for each customer, such that hardly any two
//! customers have the same.
//!
//! # The problem
//!
//! A customer's request kills whichever node serves it, or there are a million
//! of them a second. Where every node serves everybody, retries take the
//! request from node to node, and everybody is out. Where each of 8 nodes
//! serves an eighth of the customers, an eighth is out. But of 8 nodes there
//! are 28 pairs: who gives each customer a pair of its own loses both nodes of
//! one customer in 28, and all others have at least one left. Of 100 nodes
//! there are 75 million sets of 5, and three of four pairs of customers share
//! none.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::hash::{Algorithm, Hasher, Seed};
//! use axiomatic_placement::consistent_hash::{Membership, Node, State};
//! use axiomatic_placement::shuffle_shard::{Config, ShuffleShard};
//!
//! let nodes = (0..24).map(|n| Node::new(format!("n{n}")).in_zone(["a", "b", "c"][n % 3]));
//! let members = Membership::new(1, nodes)?;
//! // Two nodes of each zone.
//! let shards = ShuffleShard::new(&members, Config::new(2))?;
//!
//! let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
//! let customer = hasher.hash(b"acme");
//! let shard = shards.shard(customer);
//! assert_eq!(shard.len(), 6);
//!
//! // Who serves this request, and who does if that one fails.
//! let mut candidates = shard.candidates(hasher.hash(b"request 1"));
//! let (first, second) = (candidates.next().unwrap(), candidates.next().unwrap());
//! assert!(shard.contains(first.id()) && shard.contains(second.id()));
//!
//! // While it is down, another node of its zone serves instead of it.
//! let later = shards.over(&members.marked(first.id(), State::Down)?)?;
//! assert_eq!(later.shard(customer).overlap(&shard), 5);
//!
//! // What a customer takes with it, before any is let in.
//! let report = shards.overlaps((0..1000u64).map(|n| hasher.hash(&n.to_le_bytes())));
//! assert!(report.blast_radius() < 0.001);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - A customer has the same nodes on every machine, for ever
//!   (`the_shards_are_those_of_the_golden_file`,
//!   `the_order_in_which_nodes_are_listed_decides_nothing`): of one cell, the
//!   first ones of its [`Rendezvous`](crate::consistent_hash::Rendezvous) order
//!   (`a_shard_of_one_cell_is_the_beginning_of_the_rendezvous_order`).
//! - Any set of nodes is as likely as any other, and so is any set of cells
//!   (`all_sets_of_nodes_are_equally_likely`,
//!   `all_sets_of_cells_are_equally_likely`), also by another seed
//!   (`another_seed_says_nothing_of_the_first`); in a cell whose nodes differ in
//!   weight, the first node is each by its weight
//!   (`nodes_are_in_as_many_shards_as_they_weigh`).
//! - When a node comes or goes, only shards that hold it change, by this node
//!   alone unless its cell comes or goes with it
//!   (`when_a_node_leaves_only_its_shards_change_and_by_one_node`).
//! - A node that is down is replaced by the next of its cell, and comes back
//!   (`a_node_that_is_down_is_replaced_for_its_customers_only_and_comes_back`).
//!   Where the cell has none, the shard says that it is short
//!   (`where_all_of_a_cell_is_down_the_shard_is_short_and_says_so`).
//! - A shard has nodes of each zone (`each_zone_gives_as_many_nodes`); of a
//!   lattice of two dimensions and more, nodes of cells that share no coordinate
//!   (`no_coordinate_is_used_twice`), and of none that is empty
//!   (`no_shard_meets_an_empty_cell`).
//! - A [`Registry`] gives a customer the first of its shards that has no more
//!   nodes in common with anybody's than is allowed, and the customer keeps it
//!   (`no_two_customers_share_more_than_is_allowed`,
//!   `a_customer_keeps_its_shard_and_what_is_released_is_free`), also in another
//!   process (`another_process_takes_over_and_assigns_alike`), and whatever is
//!   down (`what_is_down_changes_no_assignment`).
//! - An [`OverlapReport`] of all pairs is exact
//!   (`overlaps_are_counted_as_if_one_by_one`), and is what chance would have
//!   (`as_many_pairs_share_nodes_as_chance_would_have_it`).
//! - No lookup fails: what cannot be is refused where it is built
//!   (`what_cannot_be_sharded_is_refused_when_it_is_built`).
//!
//! # Cost
//!
//! A [`shard`](ShuffleShard::shard) draws a number for each cell, and one for
//! each node of the cells that it takes, once for up to four nodes of a cell
//! and again for each eight more. Nothing is allocated for up to 8 nodes of up
//! to 8 of 16 cells, nor for the order of a request, which hashes the shard's
//! nodes by name. Memory is 12 to 16 bytes a node. A [`Registry`] keeps some 50
//! bytes a customer and 8 for each of its nodes, and an attempt looks at all
//! customers of these nodes: k²c/n of c customers with k of n nodes.
//!
//! # When not to use it
//!
//! - Where callers do not try another node: whoever shares one node of two with
//!   the customer that kills its nodes loses half of its requests.
//! - For state that is to be found again: this is who serves a customer, not who
//!   holds its data. For that see the replicas of
//!   [`consistent_hash`](crate::consistent_hash).
//! - Where most of the load is one customer's: it has no more than its few nodes,
//!   and the others are idle.
//! - Where what kills nodes is in all customers' requests.
//!
//! # How it works
//!
//! A [`Lattice`] says what fails together: by default zones. Nodes of the same
//! coordinates make a cell.
//!
//! | Dimensions | A shard is k nodes of |
//! |---|---|
//! | none | all nodes |
//! | one: zone | each zone |
//! | two: zone and version | as many cells as there are zones, or versions if these are fewer, of which no two are of one zone or one version |
//!
//! With more dimensions a shard survives more kinds of failure, and has fewer
//! nodes. Where some cells have no nodes, a shard may be
//! [short](Shard::is_short) of cells: to find the most that go together is a
//! matching, in three dimensions an NP-hard one, so they are taken one by one.
//! Cells are taken alike, whatever their nodes weigh.
//!
//! By chance alone some pairs of customers share all: with 1000 customers and 100
//! nodes, 5 each, one in 150 times there is such a pair. Where that is too
//! often, take more nodes for each, or a [`Registry`]. It holds fewer customers
//! the less they may share: measured, of 100 nodes, 5 each of which any two share
//! at most 2, some 7000 have room in 1024 attempts each; 16 170 sets there could
//! be at most, C(100, 3) / C(5, 3).
//!
//! # Differences from
//!
//! Amazon's Route 53 Infima (Java) seeds `java.util.Random` by MD5 and
//! shuffles: when a node comes or goes, most shards change altogether. It throws
//! where a pair of coordinates has no nodes, or a cell too few. Its stateful
//! sharder draws by chance, and stores every set of m + 1 nodes of each shard.
//!
//! # References
//!
//! C. MacCárthaigh, "Workload isolation using shuffle-sharding", Amazon Builders'
//! Library; "Shuffle Sharding: Massive and Magical Fault Isolation", AWS
//! Architecture Blog, 2014; <https://github.com/awslabs/route53-infima>.
mod error;
mod lattice;
mod overlap;
mod registry;
mod shard;
mod sharder;

pub use error::{ImportError, NoRoom, ShardError};
pub use lattice::Lattice;
pub use overlap::{Blast, OverlapReport, WorstPair};
pub use registry::{Assignment, Registry};
pub use shard::Shard;
pub use sharder::{Config, ShuffleShard, SmallCells};
