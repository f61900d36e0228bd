//! A timeout: nobody waits for ever, and all who wait know until when.
//!
//! # The problem
//!
//! An answer that never comes looks like one that is about to. A caller that
//! waits holds a task, a connection and its own caller; at 200 requests a
//! second a dependency that hangs holds 12,000 of them after a minute. And
//! three layers that each wait a second by their own clock let a user wait
//! for three.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::{BoxError, Reason, Refusable};
//! use axiomatic_latency::timeout::Timeout;
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), BoxError> {
//! let timeout = Timeout::after(Duration::from_millis(200));
//! let mut service = ServiceBuilder::new()
//!     .layer(timeout.layer())
//!     .service(service_fn(|()| std::future::pending::<Result<(), BoxError>>()));
//!
//! let error = service.ready().await?.call(()).await.unwrap_err();
//! assert_eq!(error.rejected().map(|no| no.reason()), Some(Reason::Elapsed));
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A call takes its time from `call`, not from its first poll
//!   (`time_runs_from_the_call`). It never has less, and more by less than a
//!   fiftieth (`a_clock_that_lags_takes_nothing_from_a_call`,
//!   `a_tick_is_borne_where_it_is_a_fiftieth_at_most`).
//! - The inner future is dropped when its time is up, not when the caller
//!   lets go (`an_elapsed_call_is_cancelled_at_once`), also if it spends the
//!   task's cooperative budget
//!   (`a_call_that_spends_the_cooperative_budget_cannot_outlive_its_time`).
//! - A deadline is only ever shortened on the way in: an inherited one that
//!   is earlier stands (`an_earlier_deadline_stands`). The exception is one
//!   that has passed and is not believed, and who is further in is told so
//!   (`a_call_served_although_expired_has_the_timeouts_own_time`).
//! - A call whose deadline has passed is refused, not begun
//!   (`an_expired_call_is_refused`); with [`Expired::RefuseAtMost`], no more
//!   than that share of the calls is
//!   (`refused_as_expired_never_exceeds_its_share`), and all that are expired
//!   as long as they are fewer
//!   (`while_they_are_fewer_all_expired_calls_are_refused`).
//! - Nested timeouts with the tightest outside arm one timer
//!   (`the_tightest_outside_arms_the_only_timer`).
//! - An [`Adaptive`] timeout is never longer than the time that was set
//!   (`the_time_is_some_times_a_quantile_between_the_shortest_and_the_longest`);
//!   does not creep down by cutting off what it should learn from
//!   (`a_timeout_that_cuts_calls_off_does_not_creep_down`), nor because the
//!   dependency fails quickly (`quick_failures_do_not_shorten_the_time`,
//!   `an_outage_of_quick_failures_does_not_shorten_the_time`);
//!   follows one that becomes slow, and quick again
//!   (`a_timeout_follows_a_dependency_that_becomes_slow_and_quick_again`); and
//!   after an outage comes back
//!   (`where_nothing_is_answered_the_time_is_the_longest_and_comes_back`).
//!
//! # Cost
//!
//! One read of the coarse clock a call (3 ns), or, where its tick would be more
//! than a fiftieth of the time, of the precise one (22 ns); no allocation, no
//! reference count; a tokio timer (60 ns) only for a call that is pending once
//! and whose deadline no layer further out enforces.
//!
//! To refuse a share takes an addition to a line of the thread's own. An
//! adaptive timeout reads the precise clock twice, records in a
//! [`LatencyHistogram`](axiomatic_core::histogram::LatencyHistogram), whose
//! memory it has, and holds a reference that its thread keeps for the next
//! call.
//!
//! # When not to use it
//!
//! Where the work itself cannot be cancelled: the caller stops waiting, the
//! dependency does not stop working. And not alone: a timeout limits what one
//! call loses, a circuit breaker how many lose it.
//!
//! Not adaptive in front of calls that take by their nature now this long and
//! now that: a report is not a slow lookup. And not where a timeout is a promise
//! to somebody: a quantile is none.
//!
//! # Choosing parameters
//!
//! A server whose callers send deadlines refuses those that have passed: nobody
//! waits for them. When its clock is ahead by more than calls have time, that
//! is all of them; [`Expired::RefuseAtMost`] with the largest share that the
//! service can do without, 10 or 20 %, makes an outage of it a loss of that
//! share.
//!
//! An adaptive timeout of twice the 99th percentile gives up less than one call
//! in a hundred that would have been answered. The set time remains the limit,
//! and is what calls have until there are enough of them (400 for the 99th
//! percentile), and while the dependency answers nothing at all: then there is
//! no telling how long an answer takes, and to try longer is how one finds out.
//! A multiple below 125 % is refused: a quantile that is cut off at itself
//! cannot be seen to rise.
//!
//! # Differences from tower
//!
//! `tower::timeout` arms a timer in every layer for every call, knows no
//! deadline, and its error is always boxed. Neither counts the wait for
//! readiness.

mod adaptive;
mod config;
mod error;
#[cfg(feature = "tokio")]
mod future;
#[cfg(feature = "tokio")]
mod layer;
mod permit;
#[cfg(feature = "tokio")]
mod service;
mod settings;
mod snapshot;
#[expect(
    clippy::module_inception,
    reason = "the mechanism of the pattern, in the file of its name"
)]
mod timeout;

pub use adaptive::Adaptive;
pub use config::{Config, Expired};
pub use error::ConfigError;
#[cfg(feature = "tokio")]
pub use future::ResponseFuture;
#[cfg(feature = "tokio")]
pub use layer::TimeoutLayer;
pub use permit::Permit;
#[cfg(feature = "tokio")]
pub use service::TimeoutService;
pub use snapshot::Snapshot;
pub use timeout::Timeout;
