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
//!   (`time_runs_from_the_call`).
//! - The inner future is dropped when its time is up, not when the caller
//!   lets go (`an_elapsed_call_is_cancelled_at_once`).
//! - A deadline is only ever shortened on the way in: an inherited one that
//!   is earlier stands (`an_earlier_deadline_stands`).
//! - A call whose deadline has passed is refused, not begun
//!   (`an_expired_call_is_refused`).
//! - Nested timeouts with the tightest outside arm one timer
//!   (`the_tightest_outside_arms_the_only_timer`).
//!
//! # Cost
//!
//! One read of the precise clock a call (22 ns), no allocation, no reference
//! count; a tokio timer (60 ns) only for a call that is pending once and whose
//! deadline no layer further out enforces.
//!
//! # When not to use it
//!
//! Where the work itself cannot be cancelled: the caller stops waiting, the
//! dependency does not stop working. And not alone: a timeout limits what one
//! call loses, a circuit breaker how many lose it.
//!
//! # Differences from tower
//!
//! `tower::timeout` arms a timer in every layer for every call, knows no
//! deadline, and its error is always boxed. Neither counts the wait for
//! readiness.

mod adaptive;
mod cell;
mod config;
mod error;
#[cfg(feature = "tokio")]
mod future;
#[cfg(feature = "tokio")]
mod layer;
mod permit;
#[cfg(feature = "tokio")]
mod service;
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
