//! A bulkhead: so many calls at a time, and what is slow takes nobody else's
//! slots.
//!
//! # The problem
//!
//! A database has twenty connections. Nine tenants send it twenty queries a
//! second each, of 10 ms: two connections would do. A tenth sends forty reports a
//! second, and each of them holds a connection for a second. Now everybody waits
//! behind the reports, and of the nine tenants' queries 5 % are answered within
//! 100 ms. Nothing failed, so no breaker opens; what is finite was not divided.
//! With five connections for each tenant all of those queries are answered
//! (`examples/bulkhead.rs` prints the numbers).
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::bulkhead::{Config, Order, WhenFull};
//! use axiomatic_core::BoxError;
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # async fn query(id: u32) -> Result<u32, BoxError> { Ok(id) }
//! let limit = NonZeroU32::new(20).ok_or("no slots")?;
//! let database = Config::new(limit)
//!     .named("database")
//!     .when_full(WhenFull::Wait {
//!         max_waiting: 100,
//!         max_wait: Duration::from_millis(50),
//!         order: Order::default(),
//!     })
//!     .build()?;
//!
//! let mut service = ServiceBuilder::new()
//!     .layer(database.queued_layer())
//!     .service(service_fn(query));
//! assert_eq!(service.ready().await?.call(7).await?, 7);
//!
//! // Who does not want to wait asks for a slot, or is refused.
//! let mut impatient = ServiceBuilder::new()
//!     .layer(database.layer())
//!     .service(service_fn(query));
//! assert_eq!(impatient.ready().await?.call(8).await?, 8);
//! println!("{}", database.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! Without tower and without a runtime: [`Bulkhead::admit`] and
//! [`Bulkhead::admit_or_wait`]. One for each tenant or host: [`KeyedBulkhead`].
//!
//! # Guarantees
//!
//! - There are never more calls at a time than slots, whatever the threads do
//!   (`in_flight_never_exceeds_limit`,
//!   `many_calls_over_few_slots_all_get_through_and_never_too_many_at_a_time`);
//!   what is refused is told why (`refuses_when_full_and_says_so`).
//! - A slot is taken in `call`: clones that are ready and idle keep nobody out
//!   (`clones_that_are_ready_and_idle_keep_nobody_out`), where tower's
//!   `LoadShed<ConcurrencyLimit>` sheds all calls. Readiness as backpressure,
//!   [`Bulkhead::reserving_layer`], is there for who asks for it
//!   (`ready_means_that_it_has_a_slot_and_a_clone_has_none`).
//! - No slot is lost: a call has it until it is answered, fails, panics or is
//!   dropped (`a_call_has_its_slot_until_it_is_answered_fails_panics_or_is_dropped`,
//!   `wherever_a_call_is_cancelled_no_slot_is_lost`), or until its body ends, if
//!   the binding says so (`a_bulkhead_to_the_end_of_the_body_keeps_the_contract`).
//!   Whoever gets it sees what was done under it before
//!   (`who_gets_a_slot_sees_what_was_done_under_it_before`).
//! - A slot that is given back reaches who waits
//!   (`a_slot_given_back_reaches_who_waits`, `all_who_wait_get_their_slot_in_the_end`,
//!   `all_who_stay_get_their_slots_and_nothing_is_left`), once, and nobody takes
//!   it in between (`nobody_passes_by_who_waits`,
//!   `one_who_waits_is_woken_once_and_the_slot_is_nobody_elses`). One who leaves
//!   passes on what it was given (`a_cancelled_waiter_never_swallows_a_permit`,
//!   `one_who_leaves_passes_on_what_it_was_given`).
//! - Who waits is served in the order that was chosen, what matters more first
//!   (`does_what_a_sorted_list_does`, `who_waits_is_served_as_in_a_list`,
//!   `what_matters_more_is_served_first`,
//!   `a_queue_that_has_stood_serves_who_came_last_until_it_is_empty`), and what is
//!   heavy is not passed by for ever
//!   (`what_is_heavy_is_not_passed_by_and_lets_others_by_when_it_leaves`). In a
//!   full queue, who would be served last gives way
//!   (`who_would_be_served_last_gives_way_in_a_full_queue`).
//! - Nobody is served whose deadline has passed
//!   (`whose_time_is_over_is_passed_by`,
//!   `a_call_waits_no_longer_than_its_deadline_and_is_never_made_after_it`), and
//!   nobody waits longer than it may
//!   (`calls_wait_for_a_slot_and_no_longer_than_they_may`).
//! - With [controlled delay](CoDel), an overload makes nobody wait for ever and
//!   nobody useless: once somebody has waited for the target at every moment of an
//!   interval (`does_what_a_sorted_list_does`), nobody is served who has waited for
//!   the drop age
//!   (`in_an_overload_nobody_is_served_who_has_waited_longer_than_the_drop_age`,
//!   `no_slot_is_lost_nobody_is_served_overdue_and_nobody_shed_before`), those are
//!   refused at once (`all_who_are_overdue_are_woken_and_none_of_them_gets_the_slot`,
//!   `who_is_overdue_is_told_so_and_no_slot_goes_with_it`), also if nothing else
//!   happens
//!   (`calls_behind_a_stuck_one_leave_when_they_are_overdue_although_nothing_happens`),
//!   in whatever order the others are served
//!   (`who_comes_last_is_served_at_once_and_who_came_first_is_not_left_to_wait`,
//!   `what_matters_least_ages_out_while_what_matters_is_served`). A burst loses
//!   nobody (`a_burst_that_drains_within_the_interval_loses_nobody`), and who left
//!   makes no overload (`who_leaves_does_not_age_any_more`).
//! - Nothing that was readied waits: the instance that is called was readied
//!   once there was a slot
//!   (`the_instance_that_is_called_is_readied_once_there_is_a_slot`).
//! - A new limit kills nothing and loses nothing
//!   (`more_slots_are_there_at_once_and_fewer_once_enough_has_ended`,
//!   `resize_loses_no_permit`,
//!   `more_slots_go_to_who_waits_and_fewer_refuse_who_waits_for_more`).
//! - Partitions have what is guaranteed to them at once, and a reserved limit is
//!   never exceeded (`partitions_admit_what_the_ledger_admits`,
//!   `a_guarantee_is_good_at_once_whatever_the_others_do`,
//!   `reserved_slots_are_kept_and_there_is_never_one_call_too_many`,
//!   `partitions_never_exceed_a_reserved_limit_and_give_all_of_it_back`). One that
//!   lends is exceeded by what is guaranteed at most
//!   (`borrowed_slots_are_lent_and_a_guarantee_is_good_at_once_on_top`).
//! - In shadow the excess passes and is counted apart
//!   (`in_shadow_the_excess_passes_and_is_counted_apart`, `in_shadow_nobody_waits`).
//!
//! # Cost
//!
//! A call takes its slot by one compare-and-swap and gives it back by one
//! subtraction, on one word; behind a layer a thread keeps the reference that the
//! call needs. A partition has a word of its own, and within its guarantee takes
//! no other. A refusal is a load, and a count on a line of the thread's own. No
//! lock is taken, no clock read and nothing allocated, unless somebody waits:
//! then each that comes or goes takes the queue's lock for a few steps, and reads
//! the coarse clock. Memory is 1.5 kB on two processors and 1 kB by key, 256 bytes
//! for each partition, where somebody can wait 1 KiB, 2 KiB for each line of those
//! and 160 bytes for each place (`a_place_is_eighty_bytes`). `cargo xtask bench bulkhead` measures it beside its peers, and
//! `tests/costs.rs` holds it to its instructions.
//!
//! # When not to use it
//!
//! - Where the right limit is not known, or moves: the
//!   [adaptive limit](crate::adaptive) finds it.
//! - To bound how often, and not how many at a time: that is a rate.
//! - Around what is divided already: a pool of connections is a bulkhead. Make
//!   the two as large as each other, and let the one in front refuse.
//! - Across processes. Ten instances with twenty slots each are two hundred
//!   calls.
//!
//! # How it works
//!
//! | Found | [`WhenFull::Reject`] | [`WhenFull::Wait`] |
//! |---|---|---|
//! | a slot, and nobody waits | admitted | admitted |
//! | a slot, kept for who is heavy and next | – | waits, unless [`Barging::Allowed`] |
//! | no slot | refused: `Full` | waits |
//! | no slot, and the queue is full | – | takes the place of who is served last, or is refused: `QueueFull` |
//! | it weighs more than there is | refused: `Full` | refused: `Full` |
//! | its deadline has passed, and there is no slot | refused: `Full` | refused: `Expired` |
//! | its time is over while it waits | – | refused: `Expired`, or `WaitedTooLong` |
//! | the queue is overloaded, and it has waited for the drop age | – | refused: `Shed` |
//!
//! The order is strict inside a partition: who is next keeps its place until it
//! fits, and what is free meanwhile is kept for it. What matters more is always
//! served first, so under an overload that lasts what matters least is not served
//! at all; it is refused when it has waited as long as it may.
//!
//! ## Controlled delay
//!
//! A queue that drains is good: it is what a burst is served from. One that stands
//! makes every call late and serves none the more. CoDel tells the two apart by
//! time: the queue is *overloaded* once the age of the oldest that waits, of all
//! lines and priorities, has been at the target or above for an interval, without
//! a break. Then all are refused who are as old as the drop age, twice the target
//! if nothing else is said, and whoever becomes so, until the oldest is younger
//! than the target or nobody waits. So nobody waits longer than the target and the
//! interval together, or than the drop age, if that is more. Who is overdue is told
//! so when somebody comes or goes, and in the [queued layer](Bulkhead::queued_layer)
//! by a timer of his own; [`Waiting`] says when to [look](Waiting::next_look), and the
//! reserving layer does not.
//!
//! It is for calls what RFC 8289 is for packets, and differs in two ways, from
//! Facebook's, which is for calls too, in the first:
//!
//! - It goes by the age of who waits longest, and not by the sojourn of who is
//!   served. The two are one in a queue that serves in the order of arrival. One
//!   that serves who came last, or what matters most, serves them at once while the
//!   others wait for ever: by the sojourn there is no overload. So controlled delay
//!   and [`Order::Adaptive`] go together.
//! - It drops all who are too old, and not one each `interval / √n`. That law has
//!   one flow of packets after the other slow down gently, each of which feels a
//!   drop and sends less. Calls are no flows: a caller that is refused does not know
//!   of the others, and who has waited for too long is of no use to anybody.
//!
//! Partitions share the verdict: while one of them has somebody wait for long, the
//! others have bursts that drain within the drop age, and not within the interval.
//!
//! # Choosing parameters
//!
//! By Little's law there are as many calls in flight as come in a second times
//! the seconds that each takes: 200 a second of 50 ms are ten. Twice that is
//! enough for bursts. A queue should drain within what a caller has left:
//! with twenty slots and calls of 50 ms, four hundred are served a second, so one
//! of a hundred places is a wait of 250 ms. [`Order::Adaptive`] is right if
//! nothing speaks for another.
//!
//! [`CoDel`]'s target is the wait that nobody minds: a tenth of what a caller has,
//! but more than one call takes divided by the slots, which is what the next one
//! waits for in any case. Its interval is the burst that is worth serving late: what
//! a caller has left, at most. The drop age should leave time for the call itself.
//! With callers that give up after 250 ms, twenty slots and calls of 50 ms, a target
//! of 20 ms and an interval of 100 ms are right, and in an overload nobody waits for
//! more than 40 ms. With it the queue may have more places than would drain in time.
//!
//! # Differences from
//!
//! - tower's `ConcurrencyLimit` takes its permit in `poll_ready`, has everybody
//!   wait, and cannot be changed. [`Bulkhead::reserving_layer`] is it, with a
//!   bound for who waits.
//! - Netflix's partitioned limiter lends, and lets ten become seventeen. Here
//!   that is [`Sharing::Borrowing`], and not the default.
//!
//! # References
//!
//! - M. Nygard, *Release It!*, 2007: bulkheads.
//! - B. Maurer, *Fail at Scale*, ACM Queue 13(8), 2015: adaptive LIFO, and
//!   controlled delay for calls. Facebook's folly has it as `Codel`, with the drop
//!   age of twice the target, its *slough timeout*.
//! - K. Nichols, V. Jacobson, *Controlling Queue Delay*, ACM Queue 10(5), 2012, and
//!   with A. McGregor, J. Iyengar, RFC 8289, 2018: CoDel.
//! - J. D. C. Little, *A Proof for the Queuing Formula L = λW*, Operations
//!   Research 9(3), 1961.

#[expect(
    clippy::module_inception,
    reason = "the mechanism has the pattern's name"
)]
mod bulkhead;
#[cfg(feature = "keyed")]
mod by_key;
mod config;
#[cfg(feature = "keyed")]
mod keyed;
mod unmetered;

use axiomatic_core::{BoxError, Plain};

pub use self::bulkhead::Bulkhead;
pub use crate::gate::{
    Ask, ByPartition, ByWeight, ConfigError, Gate, Limiter, Partition, PartitionSnapshot,
    Partitions, Snapshot, WhenFull,
};
pub use crate::queue::{CoDel, Order};
pub use crate::slots::{Barging, Sharing};
#[cfg(feature = "keyed")]
pub use by_key::{ByKey, KeyedBulkheadLayer};
pub use config::Config;
#[cfg(feature = "keyed")]
pub use keyed::KeyedBulkhead;
pub use unmetered::Unmetered;

/// Leave for one call, borrowed from the bulkhead.
pub type Permit<'b> = crate::gate::Permit<'b, Unmetered>;

/// Leave for one call that outlives the borrow of the bulkhead, for futures and
/// for bodies of responses.
pub type OwnedPermit = crate::gate::OwnedPermit<Unmetered>;

/// A slot, or a place in the queue.
pub type Admission = crate::gate::Admission<Unmetered>;

/// A place in the queue: a future of the permit, or of the refusal.
pub type Waiting = crate::gate::Waiting<Unmetered>;

/// Puts a [`Bulkhead`] in front of a service, which refuses what finds no slot.
pub type BulkheadLayer<E = BoxError, B = Plain, G = Bulkhead> = crate::gate::LimitLayer<E, B, G>;

/// A service behind a [`Bulkhead`], which refuses what finds no slot.
pub type BulkheadService<S, E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::LimitService<S, E, B, G>;

/// The response of a [`BulkheadService`].
pub type ResponseFuture<F, E, B> = crate::gate::ResponseFuture<F, E, B, Unmetered>;

/// Puts a [`Bulkhead`] in front of a service, whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedBulkheadLayer<E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::QueuedLayer<E, B, G>;

/// A service behind a [`Bulkhead`], whose calls wait for a slot.
#[cfg(feature = "tokio")]
pub type QueuedBulkheadService<S, E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::QueuedService<S, E, B, G>;

/// The response of a [`QueuedBulkheadService`].
#[cfg(feature = "tokio")]
pub type QueuedResponseFuture<S, Req, E, B> =
    crate::gate::QueuedResponseFuture<S, Req, E, B, Unmetered>;

/// Puts a [`Bulkhead`] in front of a service that is ready once it has a slot.
pub type ReservingBulkheadLayer<E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::ReservingLayer<E, B, G>;

/// A service that is ready once it has a slot of a [`Bulkhead`].
pub type ReservingBulkheadService<S, E = BoxError, B = Plain, G = Bulkhead> =
    crate::gate::ReservingService<S, E, B, G>;
