//! How the patterns of Axiomatic read and speak HTTP.
//!
//! The patterns know requests, responses and errors only as type parameters.
//! This crate tells them what these mean in HTTP, and turns their refusals
//! into answers:
//!
//! | Item | Side | Does |
//! |---|---|---|
//! | [`Http`] | client, server | the binding: what a status means, where the context of a request is, whether to call again |
//! | [`Http::to_body_end`] | client, server | the same, but a call is over when its [body is](body_end) |
//! | [`Grpc`] | client, server | the binding for gRPC: what a `grpc-status` means, also in trailers |
//! | [`OutboundLayer`] | client | deadline, attempt, priority and "somebody repeats it" go into [header fields](fields) |
//! | [`InboundLayer`] | server | and out of them, into the context: [`propagation`] |
//! | `scope`, `ScopeLayer` | server | what a handler calls inherits its context (feature `tokio`) |
//! | `Inherited` | server | an extractor that hands a handler what its calls inherit (feature `axum`) |
//! | [`WhenIdempotent`] | client | the rule which requests may be sent twice: by method, `Idempotency-Key` and context |
//! | [`ReplayLayer`], [`ReplayBody`] | client | bodies that can be [sent again](replay), up to a cap |
//! | [`retry_after`] | both | `Retry-After`, read in both its forms and written in one |
//! | [`rate_limit`] | both | `RateLimit` and `RateLimit-Policy`: what is left of a rate, announced and heard; which address is a client |
//! | [`fields::ADMISSION_LEVEL`] | both | from which priority on a server admits requests, told in its answers |
//! | [`HealthChecks`] | server | which requests are health checks, for who sheds the others |
//! | [`RejectionLayer`] | server | a refusal becomes a 429, 503 or 504 with `Retry-After` |
//! | `stacks` | both | in which order all of this goes, and why |
//!
//! The two sides agree: what [`RejectionLayer`] writes, [`Http`] reads.
//!
//! ```
//! use axiomatic_core::{BoxError, Classify, Outcome, Pattern, Reason, Rejected};
//! use axiomatic_http::{Http, rejection};
//! use std::time::Duration;
//!
//! let shed = Rejected::new(Pattern::LoadShedder, Reason::Shed)
//!     .with_retry_after(Duration::from_millis(1200));
//! let response: http::Response<String> = rejection::response(&shed);
//! assert_eq!(response.status(), 503);
//! assert_eq!(response.headers()["retry-after"], "2");
//!
//! let read = Classify::classify(&Http, Ok::<_, &BoxError>(&response));
//! assert_eq!(read, Outcome::Throttled { retry_after: Some(Duration::from_secs(2)) });
//! ```
//!
//! It depends on `http`, `http-body` and tower's two traits, on no client and
//! no server: hyper, reqwest, axum and tonic all speak these types.
//!
//! # When a call is over
//!
//! | Binding | At | For |
//! |---|---|---|
//! | [`Http`] | the head | answers that are small or in one piece; streams that stay open |
//! | [`Http.to_body_end()`](Http::to_body_end) | the end of the body | answers that can break while they are sent |
//! | [`Grpc`] | the end of the body, where gRPC has its status | unary calls, and streams that end |
//! | [`Grpc.at_head()`](Grpc::at_head) | the head | gRPC streams that stay open |
//!
//! A call that is not over holds its permit: a probe's place in a half-open
//! breaker, a slot of a bulkhead. [`body_end`] says what follows from that.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `tokio`: the scope, over a task-local of tokio's.
//! - `axum`: the extractor `Inherited`, over axum-core.
//! - `h2`: streams that an HTTP/2 server refused or left out are recognised
//!   in the errors of hyper, which has to be built with the same `h2`.
#![forbid(unsafe_code)]

mod advice;
mod binding;
pub mod body_end;
pub mod fields;
pub mod grpc;
mod health;
mod idempotent;
#[cfg(feature = "axum")]
mod inherited;
pub mod propagation;
pub mod rate_limit;
pub mod rejection;
pub mod replay;
pub mod retry_after;
#[cfg(feature = "tokio")]
pub mod scope;
#[cfg(all(feature = "axum", feature = "tokio"))]
#[doc = include_str!("../docs/stacks.md")]
pub mod stacks {}

pub use binding::Http;
pub use body_end::ToBodyEnd;
pub use grpc::Grpc;
pub use health::{HealthChecks, NotAPath};
pub use idempotent::{IDEMPOTENCY_KEY, WhenIdempotent};
#[cfg(feature = "axum")]
pub use inherited::Inherited;
pub use propagation::{InboundLayer, InboundService, OutboundLayer, OutboundService};
pub use rejection::{RejectionLayer, RejectionService};
pub use replay::{ReplayBody, ReplayError, ReplayLayer, ReplayService};
#[cfg(feature = "tokio")]
pub use scope::{ScopeLayer, ScopeService, scope};
