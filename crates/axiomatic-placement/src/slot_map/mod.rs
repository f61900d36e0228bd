//! A slot map: who holds each part of the data, as written down, and what
//! moves next.
//!
//! # The problem
//!
//! A hash can say which of ten caches to ask for a key, and when there are
//! eleven, a tenth of the keys are asked for at another one, that instant. A
//! cache fills again. A database has to bring the data first: 100 GB at
//! 100 MB/s are 17 minutes, in which the key is still where it was, whatever
//! the hash says. So the parts of data have to be fixed, who holds each of them
//! has to be written down, and a change has to be a plan: this slot, from
//! here to there, so many at a time, and then the next version of the table.
//!
//! Hashes for routing, a stored table for data: Redis Cluster has such a table
//! of 16384 slots, ScyllaDB replaces its ring by one of tablets.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::hash::Seed;
//! use axiomatic_placement::consistent_hash::{Membership, Node};
//! use axiomatic_placement::slot_map::{Config, SlotMap, Slotting};
//!
//! let three = ["a", "b", "c"].map(Node::new);
//! let config = Config::new(Slotting::Xxh3(Seed::fixed(0)));
//! let mut map = SlotMap::new(&Membership::new(1, three)?, config)?;
//!
//! // A fourth comes, and no more than 3000 slots are to move at a time.
//! let four = Membership::new(2, ["a", "b", "c", "d"].map(Node::new))?;
//! let plan = map.rebalanced(&four, 3000)?;
//! assert_eq!(plan.diff().transfers(), 3000);
//! for each in plan.diff() {
//!     let (from, to) = (each.from(), each.to());
//!     // ... copy slot `each.slot()` from the one to the other
//!     # assert_eq!(to, Some(&b"d"[..]), "{from:?}");
//! }
//! map = map.apply(&plan)?; // and tell everybody
//! assert_eq!((map.epoch(), plan.remaining()), (2, 1096));
//!
//! // The rest.
//! map = map.apply(&map.rebalanced(&four, 3000)?)?;
//! assert!(map.counts().all(|(_, held)| held.owned == 4096));
//!
//! // It is stored, and whoever reads it finds the same owner of every key.
//! let read = SlotMap::decode(&map.encode()?)?;
//! assert_eq!(read.owner_of(b"user:17"), map.owner_of(b"user:17"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! A key's hash says its slot, for ever; the table says the slot's owner. Of a
//! new [membership](crate::consistent_hash::Membership) every node that may own
//! keys has a share of the slots by its weight, in whole slots by the largest
//! remainder. Whoever has too many gives, whoever has too few takes, so that no
//! slot moves which need not. Which ones move under a budget, and in which
//! order, says [`SlotMap::rebalanced`].
//!
//! A node that has left the membership and still holds slots stays in the map,
//! down and weighing nothing, until the budget was enough to move them: it is
//! where the data was last.
//!
//! A plan says who is to hold what. It does not bring the data, and it does not
//! make one table out of two: whoever applies plans has to be one at a time, as
//! a leader or by a compare-and-set of the stored table's epoch.
//!
//! # Guarantees
//!
//! - Slots are those of Redis Cluster, hash tags included
//!   (`slots_are_those_of_redis_cluster`,
//!   `a_hash_tag_is_what_stands_in_the_first_braces_unless_it_is_nothing`);
//!   those of XXH3 are even (`slots_of_hashes_are_even_and_in_their_order`). A
//!   key is owned by the owner of its slot
//!   (`a_key_is_owned_by_the_owner_of_its_slot`).
//! - Each share is exact to less than one slot, and no plan moves more slots
//!   than have to move for that (`shares_are_exact_and_moves_the_fewest`,
//!   `a_node_that_joins_takes_its_share_and_nothing_else_moves`). The order in
//!   which nodes are listed decides nothing
//!   (`a_first_map_has_one_range_a_node_whatever_the_order`).
//! - No plan transfers more than its budget, plan after plan comes to an end,
//!   and no slot changes owners twice on the way
//!   (`under_any_budgets_it_comes_to_an_end_and_no_slot_moves_twice`). The most
//!   urgent goes first (`what_is_most_urgent_moves_first`,
//!   `of_those_that_have_too_many_who_has_the_most_gives_first`).
//! - Nobody holds a slot twice, and those that hold it are in as many zones, and
//!   then racks, as there are
//!   (`copies_are_spread_as_far_as_there_are_zones_racks_and_nodes`). Where that
//!   is not enough, it is told or refused (`how_far_copies_are_apart_is_told`,
//!   `what_cannot_be_is_refused`).
//! - Who has a copy becomes the owner for nothing, where it has room
//!   (`a_copy_that_becomes_the_owners_costs_nothing`), and a slot with copies
//!   moves in one transfer (`a_move_with_copies_is_one_transfer_each`).
//! - A plan is applied to the map it was made for, and to no other
//!   (`a_plan_is_for_one_map_alone`). What has left is held until it is moved
//!   (`who_left_holds_what_it_held_until_there_is_a_budget`).
//! - Stored forms do not change (`the_binary_form_is_what_it_was`,
//!   `the_json_form_is_what_it_was`), and lose nothing
//!   (`what_is_stored_is_read_again`). Any bytes are read as the map that
//!   encodes to them or refused with a reason
//!   (`whatever_bytes_are_mutated_decoding_is_as_it_should_be`,
//!   `each_thing_that_can_be_wrong_has_its_error`,
//!   `there_is_one_form_of_a_map`,
//!   `nobody_holds_a_slot_twice_and_what_is_missing_comes_last`). A secret seed is not stored
//!   (`a_secret_seed_is_not_stored`).
//!
//! # Cost
//!
//! A lookup is the hash of the key and one load from a table of 4 bytes a slot:
//! 64 KiB for 16384. Each copy has a table of the same size. Nothing is locked;
//! a map is a value, and the next one is another.
//!
//! A plan looks at each slot a few times, and where there are copies at each
//! node for each slot whose copies change. Under half a millisecond for 16384
//! slots of 100 nodes without copies; with two copies of each 50 ms for a node
//! that joins, 170 ms for a first map (measured on a machine that was busy).
//!
//! Stored, slots that follow each other and have the same owner are 8 bytes
//! together: 4 KB for 100 nodes. Copies are scattered, so that many take over
//! from one that fails, and are stored one by one: 16 bytes a slot with two of
//! them, 260 KB.
//!
//! # When not to use it
//!
//! - Where nothing has to be brought, as with caches and sessions: a
//!   [placement](crate::consistent_hash) needs no table that everybody agrees
//!   on.
//! - Where whoever is up should own a key at once. A plan gives no slot to a
//!   copy that has its share already: with a budget of 0 some slots of a node
//!   that is down stay its own, and reads can go to
//!   [`holders`](SlotMap::holders) meanwhile.
//! - Where single slots are hot: shares are counted in slots, not in load.
//! - Where parts have to be split as they grow: the number of slots is for ever.
//!   Choose a hundred or more for each node there may ever be.

mod config;
mod copies;
mod diff;
mod error;
#[cfg(feature = "serde")]
mod json;
mod map;
mod owners;
mod plan;
mod ranges;
mod rebalance;
mod shares;
mod slotting;
mod stored;
mod table;

pub use config::Config;
pub use diff::{Diff, Move, Role};
pub use error::{ApplyError, DecodeError, EncodeError, SlotMapError};
pub use map::{Held, SlotMap, Spreading};
pub use plan::Plan;
pub use ranges::{Ranges, RangesError};
pub use slotting::{Slotting, hash_tag};
