//! Consistent hashing: who owns this key, on every machine, for ever.
//!
//! # The problem
//!
//! No node holds everything, so each key has a node, and everybody who asks
//! must name the same one without asking anybody. The remainder of a hash
//! does that until a node joins, and then nearly every key is elsewhere: every
//! cache is cold at once, and every shard is copied. Consistent hashing moves
//! what has to move, one in `n + 1`. But most of its implementations hash by
//! what the next release of a compiler may change, answer by the order in
//! which nodes were listed, or name one node twice among three replicas; and
//! each of these is found in production, where the data is.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::hash::{Algorithm, Hasher, Seed};
//! use axiomatic_placement::consistent_hash::{
//!     Membership, Node, Placement, Rendezvous, Shortage, Spread, State, moved, sample,
//! };
//!
//! let nodes = (0..8).map(|n| Node::new(format!("cache-{n}")).in_zone(["a", "b"][n % 2]));
//! let membership = Membership::new(1, nodes)?;
//! let placement = Rendezvous::new(&membership);
//!
//! let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
//! let hash = hasher.hash(b"user:17");
//! let owner = placement.owner(hash);
//! let copies = placement.replicas(hash, 2, Spread::Zone, Shortage::Strict);
//! assert!(copies[0] == owner && copies[1].zone() != owner.zone());
//!
//! // It stumbles: its keys go to those who come next, and come back.
//! let stumbled = placement.over(&membership.marked(owner.id(), State::Down)?)?;
//! assert_eq!(stumbled.owner(hash), placement.candidates(hash).nth(1).unwrap());
//!
//! // What would it move to add one more?
//! let nodes = membership.members().iter().map(|member| member.node().clone());
//! let grown = Membership::new(2, nodes.chain([Node::new("cache-8").in_zone("a")]))?;
//! let movement = moved(&placement, &placement.over(&grown)?, sample(10_000));
//! assert!(movement.extra() == 0 && movement.share() < 0.13);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - An answer is a function of the algorithm, its parameters and seed, the
//!   membership, and the hash of the key. It is the same on every platform, in
//!   every process and in every version; a file of answers for each algorithm
//!   holds us to it (`rendezvous_answers_as_ever`, `a_skeleton_answers_as_ever`,
//!   `a_table_answers_as_ever`, `jump_back_answers_as_ever`,
//!   `jump_answers_as_ever`, `a_set_answers_as_ever`).
//! - Who was listed first has no influence
//!   (`the_order_in_which_nodes_are_listed_decides_nothing`,
//!   `the_order_of_listing_has_no_influence`).
//! - A lookup has an answer: what could have none is refused where it is made
//!   (`what_nobody_could_own_a_key_in_is_refused`,
//!   `a_table_that_cannot_be_is_refused`).
//! - Shares are as the weights. By rendezvous, jump, JumpBack and sets of shards
//!   what differs is chance (`rendezvous_is_balanced_as_by_chance`,
//!   `shares_are_exactly_as_the_weights`, `a_skeleton_is_balanced_as_by_chance`);
//!   a table differs by one slot (`equal_nodes_differ_by_one_slot_at_most`,
//!   `weights_are_kept_to_one_in_a_hundred`).
//! - When a node comes, goes or changes its weight, only its own keys move, by
//!   rendezvous (`only_keys_of_a_node_that_leaves_move`,
//!   `a_change_of_weight_moves_keys_to_or_from_that_node_alone`) and with shards
//!   (`only_keys_of_the_changed_shard_move`); with a table a
//!   little more does (`a_table_moves_little_more_than_it_must`), with a
//!   skeleton up to twice as much (`a_skeleton_moves_at_most_twice_what_it_must`).
//! - A node that is down or draining loses its turns and nothing else changes;
//!   when it is back so is everything
//!   (`a_node_that_is_down_loses_its_turns_and_nothing_else_changes`). If all are
//!   said to be down, nobody is taken to be
//!   (`keys_are_owned_by_those_of_the_best_state_that_weigh_something`).
//! - Candidates are all who may own keys, each once, and the owner is the first
//!   (`candidates_are_all_who_may_own_keys_once_each_the_owner_first`).
//! - Replicas are distinct, and spread over as many zones or racks as there are
//!   (`replicas_are_distinct_and_spread_as_far_as_there_are_domains`); by
//!   rendezvous, whoever is not among them may leave and they stay
//!   (`a_node_outside_of_the_replicas_may_leave_and_they_stay`).
//! - What a change will move is told before it is made
//!   (`what_moves_is_told_key_by_key_and_node_by_node`).
//! - What others place is placed as they place it, bit for bit: tables of
//!   Envoy, where weights are equal, and nearly so where they are not
//!   (`tables_are_those_of_envoy`,
//!   `doubles_put_off_a_turn_of_unequal_weights_here_and_there`), its rings
//!   (`the_ring_of_envoys_basic_test_has_the_points_it_publishes`), rings of
//!   libketama, nginx and HAProxy (`a_million_keys_are_where_libketama_has_them`,
//!   `requests_go_where_nginx_sent_them`,
//!   `haproxy_agrees_with_its_golden_file_up_and_down`), probes of go-mpchash
//!   (`shards_are_where_go_mpchash_has_them`), shards of jump and of hash4j's
//!   JumpBackHash (`jump_gives_the_answers_of_the_papers_code`,
//!   `jump_back_reproduces_the_checksum_of_hash4j`).
//! - A placement in use is replaced whole, and never by an older one
//!   (`the_last_epoch_wins_whatever_the_order_of_arrival`).
//!
//! # Cost
//!
//! No lookup of an owner allocates or takes a lock; candidates of rendezvous do
//! not either, those of a ring of more than 256 nodes and of multi-probe do. A table is one load, rendezvous one
//! multiplication a node, a ring a search near the right place. What a
//! membership's change costs is building anew; a change of states alone costs a
//! pass over the nodes, and tables, points and bones are shared. `cargo xtask
//! bench consistent_hash` says what that comes to, and what peers take.
//!
//! # When not to use it
//!
//! - For data that is moved with care: a [slot map](crate::slot_map) says where
//!   each slot is now, moves it when it is told to, and knows how far it has
//!   come. Hashing knows only where things ought to be.
//! - To spread load among equals that hold nothing: whoever is least busy of two
//!   drawn by lot is the better choice.
//! - For keys so few, or so unequal, that one of them fills a node:
//!   [bounded loads](crate::bounded_load) spill what is too much, and only more
//!   replicas divide a key.
//!
//! # How it works
//!
//! Bytes go in, never `std::hash::Hash`: the caller hashes a key by one of
//! core's [algorithms](axiomatic_core::hash), composite ones after an
//! [`Encoder`](axiomatic_core::hash::Encoder), and asks with the 64 bits. A
//! [`Membership`] is a value with a number; a [`Placement`] is built over it,
//! shares what it can with the one before, and is swapped in whole.
#![doc = include_str!("../../docs/choosing.md")]

mod error;
mod live;
mod maglev;
mod membership;
mod moved;
mod multi_probe;
mod node;
mod numbered;
mod placement;
pub(crate) mod rendezvous;
mod replicas;
mod ring;
mod skeleton;

pub use error::{MembershipError, PlacementError};
pub use live::{Guard, Live, Stale, UpdateError};
pub use maglev::Maglev;
pub use membership::{Member, Membership};
pub use moved::{Movement, Share, moved, sample};
pub use multi_probe::MultiProbe;
pub use node::{Node, State};
pub use numbered::{
    DecodeShardsError, Jump, JumpBack, MAX_SHARDS, NumberedShards, ShardSet, ShardsError,
};
pub use placement::{Algorithm, Placement};
pub use rendezvous::Rendezvous;
pub(crate) use rendezvous::{Order, Walk};
pub use replicas::{Replicas, Shortage, Spread};
pub use ring::{Format, Ring};
pub use skeleton::Skeleton;
