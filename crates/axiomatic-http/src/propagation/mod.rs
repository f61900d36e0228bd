//! A request's context, out of the header fields and into them.
//!
//! # The problem
//!
//! A deadline, a priority and the news that somebody repeats the request are
//! facts of the user's call, and end at the first process that does not hand
//! them on. [`fields`](crate::fields) has the arithmetic of it and says what
//! stands on the wire; here are the two layers.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::BoxError;
//! use axiomatic_core::context::{Context, Deadline, Priority};
//! use axiomatic_core::time::Clock;
//! use axiomatic_http::{InboundLayer, OutboundLayer};
//! use http::{Request, Response};
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // In one process, innermost: what is written is as old as the way is long.
//! let client = ServiceBuilder::new().layer(OutboundLayer::new());
//! // In the other, outermost: what comes further in reads the context.
//! let server = ServiceBuilder::new()
//!     .layer(InboundLayer::new())
//!     .service(service_fn(async |request: Request<()>| {
//!         let context = request.extensions().get::<Context>();
//!         let context = context.cloned().ok_or("nothing came")?;
//!         assert!(context.deadline().is_some());
//!         assert_eq!(context.priority(), Priority::SHEDDABLE);
//!         Ok::<_, BoxError>(Response::new(()))
//!     }));
//!
//! let deadline = Deadline::at(Clock::Precise.now() + Duration::from_secs(1));
//! let request = Request::get("/price")
//!     .extension(Context::default().with_deadline(deadline).with_priority(Priority::SHEDDABLE))
//!     .body(())?;
//! // Here they are one behind the other, and extensions cross no wire.
//! let wire = tower::util::MapRequest::new(server, |mut request: Request<()>| {
//!     request.extensions_mut().clear();
//!     request
//! });
//! client.service(wire).oneshot(request).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! [`InboundLayer`] begins from the context that the request has already, if
//! a layer further out gave it one, and that stands: a deadline is only
//! shortened, and of priority, attempt and `retried_by` a field fills in what
//! was not said. A deadline is the arrival, here, plus the time that the
//! caller still waits. A priority is at most the
//! [highest](InboundLayer::highest_priority) that a caller may claim.
//!
//! [`OutboundLayer`] makes the fields say what the context says at this
//! moment, and nothing else: a field that came with a request which is only
//! handed on is replaced or removed, or a stranger's claim would be read two
//! processes further in. A context whose deadline has passed is written as
//! such; to refuse it is for a timeout.
//!
//! Both read and write `axiomatic_core`'s [`Context`](axiomatic_core::Context) where
//! [`Http`](crate::Http) has it, so what goes out inherits from the scope
//! (`axiomatic_http::scope`), if that feature is on.
//!
//! # Guarantees
//!
//! - What one process sends, the next one knows, over real sockets
//!   (`three_hops_know_of_one_deadline`).
//! - A deadline from the wire counts from the arrival, and never prolongs one
//!   (`a_deadline_counts_from_the_arrival`).
//! - Nobody claims a higher priority than they may, by default none above the
//!   one that silence has (`a_stranger_may_say_that_it_matters_less_and_no_more`).
//! - What a layer further out said stands (`what_is_known_already_stands`).
//! - Where nothing is carried, nothing is written and nothing allocated
//!   (`what_carries_nothing_passes_unaltered`, and `every_claim_of_allocations_holds`).
//! - Errors, answers and futures are the inner service's own
//!   (`the_wire_layers_keep_the_contract`).
//!
//! # Cost
//!
//! Inbound: a lookup a field, and if one is there a clock and the allocation
//! of an extension. Outbound: a lookup for the context and one a field, and
//! for each field that is written the allocation of its value. No box, no
//! future of their own.
//!
//! # When not to use it
//!
//! [`OutboundLayer`] towards strangers, who have no use for it.
//! [`InboundLayer`] where every caller is one: then a `Timeout` of your own
//! is what bounds a call.

mod inbound;
mod outbound;

pub use inbound::{InboundLayer, InboundService};
pub use outbound::{OutboundLayer, OutboundService};
