//! gRPC over HTTP: the verdict stands at the end.
//!
//! # The problem
//!
//! A gRPC call that fails is answered with `200 OK`. What became of it is in
//! the field `grpc-status`, which comes in the trailers, after all messages.
//! Whoever judges the head counts every failure of a gRPC server as a
//! success.
//!
//! # Example
//!
//! ```
//! use axiomatic_failure::circuit_breaker::CircuitBreaker;
//! use axiomatic_http::Grpc;
//!
//! let breaker = CircuitBreaker::default();
//! let unary = breaker.layer().with_binding(Grpc);
//! // For streams that stay open, which must not hold a permit as long:
//! let streams = breaker.layer().with_binding(Grpc.at_head());
//! # let _: (&axiomatic_failure::circuit_breaker::CircuitBreakerLayer<_, Grpc>, _) = (&unary, streams);
//! ```
//!
//! # How it works
//!
//! | The answer | Is judged by |
//! |---|---|
//! | has `grpc-status` in its head ("trailers only") | that, at once, whatever the HTTP status |
//! | has another HTTP status than 200 | that, at once: no gRPC server wrote it |
//! | has `grpc-status` in its trailers | that, when they come |
//! | ends without one, or breaks | `Transient`: half an answer |
//! | is dropped before its end | nothing: cancelled |
//!
//! | Code | Outcome | Because |
//! |---|---|---|
//! | `OK` | `Success` | |
//! | `CANCELLED` | `Ignored` | the caller gave up; servers echo it, and it says nothing of them |
//! | `UNKNOWN` | `Transient` | what a handler that threw is answered with, and every code that is not listed |
//! | `INVALID_ARGUMENT`, `NOT_FOUND`, `ALREADY_EXISTS`, `FAILED_PRECONDITION`, `OUT_OF_RANGE` | `Permanent` | the request does not fit the state of things, the dependency works |
//! | `PERMISSION_DENIED`, `UNAUTHENTICATED` | `Permanent` | the caller lacks something |
//! | `UNIMPLEMENTED` | `Permanent` | it will not learn the method by tomorrow |
//! | `DEADLINE_EXCEEDED` | `Transient` | it did not answer in time |
//! | `RESOURCE_EXHAUSTED` | `Throttled` | a quota or a queue is full |
//! | `ABORTED` | `Transient` | a conflict, and the call may work when it is made again |
//! | `INTERNAL`, `DATA_LOSS` | `Transient` | it broke; that a retry will not bring data back is the retry's affair |
//! | `UNAVAILABLE` | `Transient` | it is not there |
//!
//! | HTTP status without `grpc-status` | Is read as |
//! |---|---|
//! | 400 | `INTERNAL` |
//! | 401 | `UNAUTHENTICATED` |
//! | 403 | `PERMISSION_DENIED` |
//! | 404 | `UNIMPLEMENTED` |
//! | 429, 503 | `UNAVAILABLE`, and `Throttled`: HTTP says it, so its `Retry-After` counts |
//! | 502, 504 | `UNAVAILABLE` |
//! | others | `UNKNOWN` |
//!
//! An [admission level](crate::fields::ADMISSION_LEVEL) is announced and heard in
//! the head, as with [`Http`].
//!
//! A server that wants to be left alone for a while says so in
//! `grpc-retry-pushback-ms`: with a wait, `RESOURCE_EXHAUSTED` and every
//! transient code are `Throttled`, until then. A negative or unreadable value
//! asks not to be tried again at all. No [`Outcome`] says "a failure that is
//! not repeated", so the code stands as it is, and the binding
//! [advises](Advise) against it where the head says so: an answer of trailers
//! only. A failure that comes with real trailers is past any retry, since the
//! answer has been handed on. `RetryInfo`, which is protobuf inside of
//! `grpc-status-details-bin`, is not read.
//!
//! Otherwise the advice is that of [`Http`]. A retry that gives up marks its
//! answer with a negative pushback too, for clients that know gRPC and not
//! us.
//!
//! # Guarantees
//!
//! - Every code and every HTTP status means what the tables say
//!   (`a_code_means_what_the_table_says`,
//!   `a_status_of_http_counts_only_without_one_of_grpc`).
//! - The trailers decide, and nothing before them
//!   (`the_trailers_decide`); without them a call has failed
//!   (`an_answer_without_a_status_is_transient`).
//! - An answer of trailers only is settled at its head
//!   (`trailers_only_is_settled_at_once`).
//! - A wait is read, and its absence is no wait
//!   (`a_pushback_throttles`).
//! - At the head, no permit outlives it (`at_head_a_stream_holds_no_permit`).
//! - What real HTTP/2 makes of trailers, trips a breaker
//!   (`a_breaker_sees_the_trailers_of_http_2`).
//!
//! # Cost
//!
//! As [`body_end`](crate::body_end), and two lookups of a field in a map.
//!
//! # When not to use it
//!
//! For streams that stay open, for the reasons in
//! [`body_end`](crate::body_end#when-not-to-use-it): their verdict comes when
//! they break, and until then they hold a probe's place.
//! [`Grpc::at_head`] settles when the server has begun to answer. It sees
//! what failed before: trailers only, a proxy's status, no connection.
//!
//! Not for gRPC-Web, whose trailers are inside of the body.
//!
//! # References
//!
//! gRPC over HTTP/2, "Responses"; gRPC, "HTTP to gRPC Status Code Mapping";
//! gRFC A6, "Client Retries".

mod binding;
mod code;

pub use binding::{AtHead, ByTrailers, Grpc};
pub use code::{Code, Pushback, outcome};

/// The field that says what became of a call.
pub const STATUS: &str = "grpc-status";

/// The field that says when the server wants to hear from us again.
pub const PUSHBACK: &str = "grpc-retry-pushback-ms";

// For the links on this page.
#[cfg(doc)]
use crate::Http;
#[cfg(doc)]
use axiomatic_core::{Advise, Outcome};
