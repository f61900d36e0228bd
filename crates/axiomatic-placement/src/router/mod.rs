//! A router: each request to the node that owns its key, each retry to the next.
//!
//! # The problem
//!
//! A balancer spreads requests over nodes that are all alike. Where nodes hold
//! something, a cache, a shard, a session, each request has a node that it
//! should go to, and if that one fails, another to try, the same for all who
//! fail there. Nodes come and go meanwhile, and a retry around a balancer that
//! knows nothing of keys asks the dead node again.
//!
//! # Example
//!
//! ```
//! use axiomatic_placement::consistent_hash::{Membership, Rendezvous};
//! use axiomatic_placement::router::Routes;
//! # use futures::FutureExt;
//! use std::convert::Infallible;
//! use tower::discover::Change;
//! use tower::{Service, ServiceExt, service_fn};
//!
//! # futures::executor::block_on(async {
//! // Clients of three nodes; the name stands for a connection.
//! let client = |name: &'static str| {
//!     service_fn(move |_key: u64| async move { Ok::<_, Infallible>(name) })
//! };
//! let found = ["a", "b", "c"].map(|name| Ok::<_, Infallible>(Change::Insert(name, client(name))));
//! let stream = futures::stream::iter(found);
//!
//! let (routes, driver) = Routes::discovered(stream, |nodes: &Membership| Ok(Rendezvous::new(nodes)));
//! driver.await?; // in a service: spawned, since such a stream does not end
//! let mut router = routes.router(|key: &u64| *key);
//!
//! let answer = router.ready().await?.call(17).await?;
//! assert_eq!(Some(answer.as_bytes()), routes.owner(17).as_deref());
//! # Ok::<(), axiomatic_core::BoxError>(())
//! # }).unwrap();
//! ```
//!
//! # Guarantees
//!
//! - A request goes to the node that owns its key
//!   (`each_request_goes_to_the_owner_of_its_key`), and when a node leaves, only
//!   its requests go elsewhere (`only_requests_of_a_node_that_leaves_go_elsewhere`).
//! - The n-th attempt goes to the n-th candidate of the membership there is
//!   then, and to none that the request's context avoids while there is another
//!   (`the_next_attempt_goes_to_the_next_candidate`,
//!   `who_is_to_be_avoided_is_if_there_is_another`). Whoever is further out is told
//!   which node it was (`whoever_asks_is_told_which_node_it_was`).
//! - What is discovered at once is one change
//!   (`what_is_discovered_at_once_is_one_epoch`,
//!   `a_change_is_one_epoch_where_somebody_is_marked_too`), and epochs only grow
//!   (`epochs_grow_even_when_all_have_left_between`); a node that comes again has a new
//!   service and its old keys (`a_node_that_comes_again_keeps_its_keys`).
//! - Until there is a node nobody is ready, and all who wait are woken when there
//!   is, once (`who_waits_for_the_first_node_is_woken_once_and_ready`). If there
//!   can be none any more, it is an error (`with_no_node_to_come_it_is_an_error`).
//! - Nodes that cannot be placed change nothing, and it is told
//!   (`what_cannot_be_placed_changes_nothing_and_is_told`,
//!   `a_placement_over_other_nodes_than_there_are_is_refused`).
//! - A node that is marked down is passed by until it is marked up, whoever else
//!   is discovered meanwhile (`a_mark_stays_whatever_is_discovered_meanwhile`); what
//!   it is described as anew counts more
//!   (`a_node_that_is_described_in_another_state_is_in_it`).
//! - The service behind is readied before it is called, by the future of the
//!   request, and gone with it (`a_dropped_request_leaves_nothing_behind`,
//!   `a_router_keeps_the_contract`).
//! - Nothing is asked of requests, responses and services but to be cloned
//!   (`services_that_stay_on_their_thread_are_routed_too`).
//!
//! # Cost
//!
//! A request takes the lookup of its owner, a look at who there is (`arc-swap`,
//! 4 ns), and a clone of the node's service; nothing is allocated, unless it is
//! by the placement for the candidates of a later attempt. A change
//! builds the placement anew, off the path of requests.
//!
//! # When not to use it
//!
//! - For nodes that are all alike: tower's `balance` looks at their load.
//! - Over a stream that always has another change at once: the driver reads all
//!   that there is before it builds.
//! - In front of services that are dear to clone: put a `Buffer` around each.
//!
//! # How it works
//!
//! The [`Driver`] reads the stream and swaps in what follows from it, whole: a
//! placement and a service for each of its members. A [`Router`] is a handle to
//! that, and as cheap to clone as it is. It stands inside of a retry, whose
//! attempts it tells apart by the request's
//! [context](axiomatic_core::Context), which the [binding](axiomatic_core::Carrier)
//! finds.

mod driver;
mod error;
mod future;
mod routes;
mod service;
mod waiters;

pub use driver::Driver;
pub use error::{NoNodes, Trouble};
pub use future::ResponseFuture;
pub use routes::Routes;
pub use service::Router;
