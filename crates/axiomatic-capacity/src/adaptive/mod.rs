//! An adaptive limit: as many calls at a time as the dependency can bear, found
//! out by what calls take.
//!
//! # The problem
//!
//! A search service has ten workers and 20 ms a query, so ten calls at a time
//! are right: eight leave workers idle, forty have each call wait for three
//! others. Nobody told its callers that it has ten, and tonight it has eight.
//! A [bulkhead](crate::bulkhead) with a number in it is wrong twice a year; one
//! that is too large is no bulkhead, and a call that takes 80 ms instead of 20
//! fails nobody's health check. What tells a line from slow work is how the
//! latency moves with the limit, so the limit has to move.
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::adaptive::{AdaptiveLimit, Bounds, Config, Seeker};
//! use axiomatic_core::BoxError;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # async fn query(id: u32) -> Result<u32, BoxError> { Ok(id) }
//! let seed = 7; // another one for each instance, or they probe together
//! let algorithm = Seeker::config(seed).within(Bounds::between(2, 200)).build()?;
//! let limit = Config::new(algorithm).named("search").build()?;
//! let mut service = ServiceBuilder::new()
//!     .layer(limit.layer())
//!     .service(service_fn(query));
//! assert_eq!(service.ready().await?.call(7).await?, 7);
//! println!("{}", limit.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! Without tower and without a runtime: [`AdaptiveLimit::admit`] and
//! [`Permit::record`](crate::Permit::record).
//!
//! # Guarantees
//!
//! - It is a bulkhead: never more calls at a time than the limit, no slot lost
//!   (`an_adaptive_limit_keeps_the_contract`), whatever limit the algorithm says,
//!   and at least one (`the_limit_is_what_the_algorithm_says_and_at_least_one`);
//!   with [controlled delay](CoDel) of who waits, if that was chosen
//!   (`an_adaptive_limit_sheds_who_is_overdue_too`).
//! - An algorithm is told what windows were like
//!   (`a_window_is_told_as_it_was`): each call counts once, and one call closes a
//!   window (`a_window_is_closed_by_one_call_and_every_call_counts_once`); what is
//!   measured begins with the slot, so that a wait for one is nobody's latency
//!   (`the_layer_measures_calls_from_their_slot_to_their_answer`).
//! - A timeout is overload and not health: what comes to nothing after long counts
//!   as a drop, what fails soon does not
//!   (`what_came_to_nothing_soon_is_a_failure_and_after_long_a_drop`), and so does a
//!   call that is dropped after long (`a_call_that_is_dropped_after_long_is_evidence`).
//! - Partitions have their share of whatever the limit is
//!   (`partitions_have_their_share_of_whatever_the_limit_is`).
//! - The default finds a capacity and stays there: within 10 % of the best fixed
//!   limit five seconds after the capacity doubled, and after it was halved
//!   (`it_comes_within_a_tenth_of_the_optimum_after_a_step_up_and_a_step_down`,
//!   `it_recovers_from_the_loss_of_half_of_the_capacity`,
//!   `it_follows_a_capacity_that_falls_to_a_quarter`). It backs off from a server
//!   pinned at its timeout and comes back, does not drift under an overload, does
//!   not grow unused, and is not misled by one fast answer; two share a server.
//!   Each is a gate of the [simulations], for five seeds
//!   (`a_server_pinned_at_its_timeout_is_backed_off_and_come_back_to`,
//!   `lasting_overload_does_not_make_it_drift`,
//!   `it_does_not_grow_with_one_call_in_flight`,
//!   `one_answer_ten_times_too_fast_does_not_collapse_it`,
//!   `two_clients_share_a_server_within_a_fifth`,
//!   `probing_neither_pins_it_nor_costs_a_fiftieth`).
//! - In shadow the limit moves and refuses nobody
//!   (`in_shadow_the_limit_moves_and_refuses_nobody_and_off_nothing_is_seen`).
//!
//! # Cost
//!
//! A call costs what it costs a bulkhead, two reads of a clock, and two
//! additions on lines of the thread's own. No lock is taken; one call in a window
//! reads all lines and runs the step, some microseconds, and whoever would do so
//! at the same time does not wait for it. Nothing is allocated. Memory is that of
//! a bulkhead, 2.2 KiB for each line, of which there are two for a processor and
//! one more, and 4 KiB for what the lines said last.
//! `cargo xtask bench adaptive` measures it beside its peers.
//!
//! # How it works
//!
//! A window ends with the first call that ends 100 ms after it began, if it has
//! seen ten, and after a second in any case. The thread of that call has the
//! algorithm make a limit of it:
//!
//! | Algorithm | Goes by | Is |
//! |---|---|---|
//! | [`Seeker`] | the median, and what calls take that meet nobody, which it probes for | the default, and what passes all gates of the [simulations] but one |
//! | [`Vegas`] | the least median, and how many calls are estimated to queue | as Netflix published it after TCP Vegas |
//! | [`Gradient2`] | the median, and its own long average | as Netflix published it; drifts under an overload that lasts |
//! | [`Aimd`] | drops alone | as Netflix published it; grows until calls time out |
//!
//! [`Seeker`]'s own page says what keeps it from drifting. An algorithm of one's
//! own is a [`LimitAlgorithm`]: a function of its past, fed a [`Sample`] at a time,
//! which can be judged in the same simulator.
//!
//! A call that came to nothing is evidence of too much load if it took twice as
//! long as one that meets nobody, as far as the algorithm knows that
//! ([`LimitAlgorithm::baseline`]), or longer than the latest median. So a
//! dependency whose calls all sit at their timeout is backed off from, whatever
//! the median of the few that get through.
//!
//! # When not to use it
//!
//! - In front of what has a known size, a pool or a quota: a bulkhead says it.
//! - Where calls differ a thousandfold in what they take: their median says
//!   nothing of a line. Give each kind a limit of its own.
//! - Under a few calls a second. A window wants ten of them, and a limit of one
//!   is all that there is to find.
//! - In many clients of one server, where the server can have the limit itself:
//!   it sees all of them, and they only each other's line. Two share fairly; of
//!   eight, some get a quarter of what others do ([simulations]).
//!
//! # Differences from
//!
//! - Netflix's limits step with each call, or with windows of one latency; a
//!   baseline is the least that was ever seen, so a slower dependency is taken for
//!   a queue, or it moves with the load, and follows a queue upward. Here it rises
//!   only by what is seen at low load.
//! - Envoy's gradient controller probes with a limit of 3, for as long as it
//!   takes, and refuses what is above. A probe here goes to two fifths of where
//!   nobody would queue, for less than a second, and costs 0.6 % of the goodput.
//!
//! # References
//!
//! - L. S. Brakmo, L. L. Peterson, *TCP Vegas: End to End Congestion Avoidance on
//!   a Global Internet*, IEEE JSAC 13(8), 1995.
//! - Netflix, *Performance Under Load*, 2018, and its library
//!   `concurrency-limits`.
//! - N. Cardwell et al., *BBR: Congestion-Based Congestion Control*, ACM Queue
//!   14(5), 2016: to probe for the shortest time by sending less.

mod algorithm;
mod buckets;
mod config;
mod error;
mod limit;
mod metered;
mod snapshot;
mod window_cell;

#[doc = include_str!("../../docs/rustdoc/simulations.md")]
pub mod simulations {}

use axiomatic_core::{BoxError, Plain};

pub use crate::bulkhead::{
    Ask, ByPartition, ByWeight, CoDel, ConfigError, Gate, Limiter, Order, Partition, Partitions,
    Sharing, WhenFull,
};
pub use algorithm::{
    Aimd, AimdConfig, Bounds, Gradient2, Gradient2Config, LimitAlgorithm, Sample, Seeker,
    SeekerConfig, Step, Vegas, VegasConfig, Why,
};
pub use config::Config;
pub use error::AlgorithmError;
pub use limit::AdaptiveLimit;
pub use metered::Metered;
pub use snapshot::Snapshot;

/// Leave for one call, borrowed from the limit.
pub type Permit<'c> = crate::gate::Permit<'c, Metered>;

/// Leave for one call that outlives the borrow of the limit, for futures and
/// for bodies of responses.
pub type OwnedPermit = crate::gate::OwnedPermit<Metered>;

/// A slot, or a place in the queue.
pub type Admission = crate::gate::Admission<Metered>;

/// A place in the queue: a future of the permit, or of the refusal.
pub type Waiting = crate::gate::Waiting<Metered>;

/// Puts an [`AdaptiveLimit`] in front of a service, which refuses what finds no
/// slot.
pub type AdaptiveLimitLayer<E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::LimitLayer<E, B, G>;

/// A service behind an [`AdaptiveLimit`], which refuses what finds no slot.
pub type AdaptiveLimitService<S, E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::LimitService<S, E, B, G>;

/// The response of an [`AdaptiveLimitService`].
pub type ResponseFuture<F, E, B> = crate::gate::ResponseFuture<F, E, B, Metered>;

/// Puts an [`AdaptiveLimit`] in front of a service, whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedAdaptiveLimitLayer<E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::QueuedLayer<E, B, G>;

/// A service behind an [`AdaptiveLimit`], whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedAdaptiveLimitService<S, E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::QueuedService<S, E, B, G>;

/// The response of a [`QueuedAdaptiveLimitService`].
#[cfg(feature = "tokio")]
pub type QueuedResponseFuture<S, Req, E, B> =
    crate::gate::QueuedResponseFuture<S, Req, E, B, Metered>;

/// Puts an [`AdaptiveLimit`] in front of a service that is ready once it has a
/// slot.
pub type ReservingAdaptiveLimitLayer<E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::ReservingLayer<E, B, G>;

/// A service that is ready once it has a slot of an [`AdaptiveLimit`].
pub type ReservingAdaptiveLimitService<S, E = BoxError, B = Plain, G = AdaptiveLimit> =
    crate::gate::ReservingService<S, E, B, G>;
