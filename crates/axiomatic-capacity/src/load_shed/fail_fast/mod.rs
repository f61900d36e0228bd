//! Fail-fast: a service that has not been ready for too long is not waited for.
//!
//! # The problem
//!
//! To be not ready is how a tower service says "later", and nothing bounds how
//! much later that is. Calls that wait for it hold their tasks, bodies and
//! callers: at 200 requests a second, a connection that is not there for a minute
//! is 12,000 of them, which all arrive at once when it is, long after their
//! callers have gone. To refuse at the first "later", as a load shedder does,
//! is the other extreme: a pool that is empty for a millisecond is no outage.
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::load_shed::fail_fast::Config;
//! use axiomatic_core::{BoxError, Reason, Refusable};
//! use std::time::Duration;
//! use tower::limit::GlobalConcurrencyLimitLayer;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), BoxError> {
//! let fail_fast = Config::new(Duration::from_millis(500)).named("inventory").build()?;
//! let service = ServiceBuilder::new()
//!     .layer(fail_fast.layer())
//!     .layer(GlobalConcurrencyLimitLayer::new(1))
//!     .service(service_fn(|()| std::future::pending::<Result<(), BoxError>>()));
//!
//! let mut hangs = service.clone();
//! let hangs = hangs.ready().await?.call(());
//! let refused = service.clone().oneshot(()).await.unwrap_err();
//! assert_eq!(refused.rejected().map(|no| no.reason()), Some(Reason::Shed));
//! assert!(fail_fast.is_failing());
//!
//! // What all waited for is there again, and that is seen by who comes next.
//! drop(hangs);
//! service.clone().ready().await?;
//! assert!(!fail_fast.is_failing());
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - Who finds the service ready in less than the time is served
//!   (`who_is_not_ready_for_less_than_the_time_is_waited_for`); who does not is
//!   refused (`a_call_is_refused_once_the_service_was_not_ready_for_the_time`).
//! - What was too long for one is waited for by nobody: all instances of all
//!   services with one handle refuse at once
//!   (`what_was_too_long_for_one_is_waited_for_by_nobody`), those that wait
//!   already a millisecond or two later
//!   (`who_came_later_is_refused_with_the_first`) or, if the first is late itself,
//!   after their own time; and it is told once (`of_ten_that_are_stuck_all_are_refused_and_it_is_told_once`,
//!   `an_episode_is_begun_by_one`).
//! - One that finds the service ready lets all pass
//!   (`one_that_finds_it_ready_lets_all_pass_at_once`), also if that meets a
//!   decision to the contrary
//!   (`what_is_found_ready_is_not_failed_by_who_waited_before`); and a service
//!   that serves others is not unavailable
//!   (`a_service_that_serves_others_is_not_unavailable`,
//!   `a_wait_counts_from_when_somebody_last_found_it_ready`).
//! - Nobody makes others fail who has not waited the whole time: not who has left
//!   (`who_left_makes_nobody_fail`,
//!   `who_came_later_waits_the_whole_time_if_the_first_has_left`), nor an idle
//!   instance (`an_instance_that_nobody_asks_makes_nobody_fail`).
//! - A call that is refused gives up its place in the inner service's queue, and
//!   does so before it is called (`a_shed_call_leaves_no_waiter_in_the_queue`).
//! - Who waits is woken once (`who_waits_is_woken_once_when_it_is_too_long`), and
//!   not for a wait that is over (`nobody_is_woken_for_a_wait_that_is_over`).
//! - An error of the inner service's readiness reaches the caller
//!   (`an_error_of_readiness_passes`).
//! - Nothing is spawned, so nothing has to be `Send`
//!   (`what_cannot_leave_its_thread_is_served_and_refused`).
//! - In shadow all wait, and each call that would have been refused is counted
//!   once (`in_shadow_all_wait_and_those_that_would_be_refused_are_counted`).
//!
//! # Cost
//!
//! A call that finds the service ready costs one load of a word that nobody
//! writes meanwhile. A call that has to wait reads the precise clock, makes one
//! atomic step, and arms a timer of tokio's in a box that the instance keeps. A
//! refused one asks the inner service once, clones it, and counts on a line of
//! its thread's own; with a typed error it allocates nothing, nor does one that
//! passes (`neither_a_call_that_passes_nor_a_typed_refusal_allocates`). What the
//! inner service does when it is asked and cloned comes on top: tower's
//! `ConcurrencyLimit` allocates whenever it is not ready. The state is some
//! hundred bytes, and for the count 128 for each line.
//!
//! # When not to use it
//!
//! - In front of what becomes ready only by being asked again and again through
//!   one instance, as by a connection that the instance makes for itself. While
//!   it fails, each call asks a clone, once. Share what makes progress, or let a
//!   task of its own make it, as tower's `Buffer` does.
//! - As a limit to how long one call waits: while others are served the service
//!   is ready. That is a queue with a limit of time, as the
//!   [bulkhead](crate::bulkhead) has.
//! - In front of what is always ready and fails, or hangs in the call: that is a
//!   circuit breaker's business, and a timeout's.
//!
//! # How it works
//!
//! | State | The inner service is | becomes | and the call |
//! |---|---|---|---|
//! | passing | ready | passing | passes |
//! | passing | not ready | waiting, since now | waits |
//! | waiting | ready | passing | passes |
//! | waiting | not ready, for less than the time | waiting | waits |
//! | waiting | not ready for the time, to one that waited through it | failing | is refused |
//! | failing | ready | passing | passes |
//! | failing | not ready | failing | is refused |
//! | any | broken | the same | gets the error |
//!
//! The state is one word that all instances share: since when nobody has found the
//! service ready, and whether that was too long. It is not enough that the word
//! is old: an asker may have left, and the next come an hour later, and in
//! between nobody knows. So the time is waited by one asker, from when it began or
//! from when the word did, whichever is later. There is no list of who waits, and
//! none of their wakers: each has its own timer, and who is not the first sets it
//! to a millisecond after the first's, to see what that one has said. If the first
//! has left, it waits on. Asked more than a second (or the time itself, if that
//! is more) later than its timer rang, it did not wait, and begins anew.
//!
//! Who waits while another finds the service ready and nobody asks in vain after
//! that, learns of it when its timer rings, and begins anew then: so a wait is
//! less than twice the time from when the service was last found ready.
//!
//! With a time of zero each knows by itself all that there is to know, and nothing
//! is shared or told but the count.
//!
//! # Differences from
//!
//! - tower's `LoadShed` sheds at the first "not ready", and leaves its waiter in
//!   the inner service's queue until the next call
//!   (`towers_load_shed_leaves_its_waiter_in_the_queue`): a place that goes
//!   to nobody.
//! - linkerd2-proxy's `FailFast` has the state in each instance, and spawns a task
//!   that drives the inner service until it is ready, for which it must be
//!   `Send` and `'static`. Beside that it has a gate, which holds back what
//!   stands before it.
//!
//! # References
//!
//! - M. Nygard, *Release It!*, 2007: fail fast.
//! - linkerd2-proxy, `linkerd/stack/src/failfast.rs`.

mod config;
#[expect(
    clippy::module_inception,
    reason = "the mechanism of the pattern, in the file of its name"
)]
mod fail_fast;
mod future;
mod layer;
mod service;
mod snapshot;
mod telemetry;
mod timer;
mod unready_cell;
mod wait;

pub use config::{Config, ConfigError};
pub use fail_fast::{FailFast, Verdict};
pub use future::ResponseFuture;
pub use layer::FailFastLayer;
pub use service::FailFastService;
pub use snapshot::Snapshot;
pub use wait::Wait;
