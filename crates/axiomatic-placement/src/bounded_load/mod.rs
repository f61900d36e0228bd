//! A bounded load: a request goes to the owner of its key, unless the owner
//! already has more than its share.
//!
//! # The problem
//!
//! A consistent hash shares out keys, not work. Of 100 nodes with 100,000 keys
//! the fullest has 26 % more than the mean on a ring with 100 points a node, and
//! 7 % more with rendezvous hashing, which is chance and nothing else. And where
//! one key is asked for in every fifth request, its owner has a fifth of the
//! load whatever the algorithm: it is slow, while 99 others are idle. To drop the
//! hash and balance by load would lose what each node has in its cache.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::Ratio;
//! use axiomatic_core::hash::{Algorithm, Hasher, Seed};
//! use axiomatic_placement::bounded_load::BoundedLoad;
//! use axiomatic_placement::consistent_hash::{Membership, Node, Rendezvous};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let nodes = (1..=8).map(|i| Node::new(format!("cache-{i}")));
//! let placement = Rendezvous::new(&Membership::new(1, nodes)?);
//! let caches = BoundedLoad::new(placement, Ratio::percent(125))?;
//! let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
//!
//! // A hundred requests at once for one key: no node has more than
//! // 1.25 x 100 / 8, rounded up.
//! let hash = hasher.hash(b"product:1");
//! let picks: Vec<_> = (0..100).map(|_| caches.pick(hash)).collect();
//! assert_eq!(picks[0].displacement(), 0);
//! let fullest = caches.snapshot().fullest().map(|node| node.in_flight());
//! assert_eq!(fullest, Some(16));
//!
//! // A pick is given back when the request is over.
//! drop(picks);
//! assert_eq!(caches.snapshot().in_flight(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! A future takes [`pick_owned`](BoundedLoad::pick_owned). For a membership that
//! changes, put it in a [`Live`](crate::consistent_hash::Live).
//!
//! # How it works
//!
//! With m requests in flight, the new one included, W the weight of all nodes
//! that may be picked, and c the balance, a node that weighs w may have
//!
//! ```text
//! cap = ceil(c m w / W), at least 1
//! ```
//!
//! requests. The owner is tried first, then the others in the rendezvous order of
//! the key, so that what a full node leaves over is spread, and does not all fall
//! on the neighbour. To be tried is to be counted: the node's count is
//! raised, and if it is above the cap, lowered again. It is all integers. One
//! request after the other, there is always a node with room: the caps add up to
//! c m or more, and no more than m - 1 are in flight.
//!
//! # Guarantees
//!
//! - A request goes to the owner while it has room, and otherwise to the first in
//!   rendezvous order that has
//!   (`a_request_goes_to_the_owner_while_it_has_room`,
//!   `what_the_owner_has_no_room_for_goes_on_in_rendezvous_order`).
//! - One request after the other, no cap is exceeded, not even by one, and each
//!   goes where the definition says, whatever was picked, given back, changed and
//!   marked before
//!   (`not_even_one_request_more_than_the_cap_is_placed`,
//!   `one_after_the_other_each_request_goes_where_the_definition_says`,
//!   `caps_are_by_weight`).
//! - At the same time, two never get one place
//!   (`of_two_pickers_of_one_place_one_gets_it`,
//!   `of_two_pickers_of_the_last_place_one_gets_it`), and a node is above its cap
//!   by no more than those that were picking
//!   (`overshoot_never_exceeds_the_other_pickers`). The total is never taken for
//!   more than it was
//!   (`who_takes_the_place_of_another_is_not_judged_by_a_total_that_has_it`,
//!   `a_request_is_not_counted_beside_one_that_ended_before_it`).
//! - No count is lost: by threads that end what others began
//!   (`no_count_is_lost`), by panics
//!   (`a_panic_while_a_request_is_in_flight_gives_its_place_back`), nor as the
//!   membership changes
//!   (`threads_lose_no_count_whatever_they_replace_and_drop_meanwhile`).
//! - Over another membership, a node that stays keeps its count, by its identity,
//!   and picks of nodes that left harm nothing
//!   (`counts_of_nodes_that_stay_go_on_by_identity`,
//!   `a_pick_of_a_node_that_left_harms_nothing`).
//! - 100,000 requests at 100 nodes: at 105 % two in a thousand are displaced at
//!   most, at 125 % none
//!   (`five_percent_above_the_mean_displaces_one_key_in_a_thousand`,
//!   `twenty_five_percent_above_the_mean_displaces_none`).
//! - One hot key has as many nodes as it needs, and no more
//!   (`one_hot_key_is_shared_out_among_all`).
//!
//! # Cost
//!
//! A pick that stays with its owner, and its drop: one atomic step each, on the
//! count of that node, and no allocation; 8.3 ns above the lookup of the owner,
//! on one thread of a machine with two cores, of which 3.8 are these two steps.
//! An owned one takes 3 ns more. Where the node had nothing in flight, nothing
//! else is read: 4.5 ns.
//!
//! The total is no word that all threads write. Each counts on a line of its own
//! what it began and what it ended, and a pick adds the lines up: twice as many
//! as there are cores, no more than 32, and one. That is a few loads where the
//! others are idle, and a cache miss for each core that picks at the same time.
//!
//! A displaced pick looks at all nodes for the first four that it tries, and
//! again for each eight after those: somewhat less than a microsecond a look with
//! a hundred nodes. Where one key fills dozens of nodes, that adds up.
//!
//! 128 bytes a node, 8 to 16 for the order, and 128 for each line of the total.
//!
//! # Choosing parameters
//!
//! The balance says how uneven it may be, and its price is keys that are asked
//! for where they are not cached. 125 % displaces hardly anything but hot keys;
//! `HAProxy` suggests 125 to 200. Near 100 % the caps of many nodes are reached by
//! chance, and with few requests in flight a node, they are anyway: with one
//! a node in the mean the cap at 125 % is 2, and each tenth pick finds its owner
//! full.
//!
//! # When not to use it
//!
//! Where only the owner can answer, as for data that is stored and not
//! cached. Where each request costs the same and keys are many and even:
//! [`consistent_hash`](crate::consistent_hash) alone is as good. Where requests
//! differ by a factor of a hundred in what they cost, since it counts them and
//! does not weigh them. Where many processes send to the same nodes it bounds
//! what each of them sends: their sum is bounded by the same factor, and a hot
//! key of all is at the same nodes for all.
//!
//! # Differences from
//!
//! `HAProxy`'s `hash-balance-factor` is the same rule, asked under a lock; it shares
//! out ceil(c m) places, so that some nodes get one less than here, and goes on
//! along its ring, where the neighbour of a full node gets what that leaves over.
//! Envoy's `hash_balance_factor` asks whether a host has more than its cap
//! before the request, so that it may have one more with it.
//!
//! # References
//!
//! V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded
//! Loads", SODA 2018, arXiv 1608.01350.

mod bounded;
mod counts_cell;
mod error;
mod pick;
mod rule;
mod snapshot;
mod state;

pub use bounded::BoundedLoad;
pub use error::BalanceError;
pub use pick::{OwnedPick, Pick};
pub use snapshot::{NodeLoad, Snapshot};
