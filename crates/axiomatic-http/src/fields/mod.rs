//! The header fields in which a request's context crosses a process.
//!
//! # The problem
//!
//! A context ends with its process, and load multiplies between processes: a
//! service three calls away works for 10 s on what its user gave up after 1,
//! and each of three services on the way makes 3 attempts of one, which are
//! 27 at the end.
//!
//! # Example
//!
//! [`InboundLayer`](crate::InboundLayer) and
//! [`OutboundLayer`](crate::OutboundLayer) read and write all of them. By
//! hand:
//!
//! ```
//! use axiomatic_http::fields;
//! use http::HeaderMap;
//!

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use http::{HeaderName, HeaderValue};

pub use read::{attempt, forbids_retry, is_retried, priority, timeout};
pub use write::{forbid_retry, grpc_timeout_value, timeout_value};
pub(crate) use write::{write, write_grpc_timeout};

/// How long the caller still waits, in milliseconds.
pub static TIMEOUT: HeaderName = HeaderName::from_static("axiomatic-timeout-ms");

/// How long the caller of a gRPC method still waits.
pub static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Which attempt it is.
pub static ATTEMPT: HeaderName = HeaderName::from_static("axiomatic-attempt");

/// How much the request matters.
pub static PRIORITY: HeaderName = HeaderName::from_static("axiomatic-priority");

/// That somebody further out repeats the request.
pub static RETRIED: HeaderName = HeaderName::from_static("axiomatic-retried");

/// In an answer: that nobody further out should repeat the request.
pub static RETRY: HeaderName = HeaderName::from_static("axiomatic-retry");

/// The longest timeout that is read or written. Nobody waits a day for an
/// answer; whoever says so means that there is no hurry.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The highest attempt that is read or written, which no retry comes to.
pub const HIGHEST_ATTEMPT: u32 = 100;

const YES: HeaderValue = HeaderValue::from_static("?1");
const NEVER: HeaderValue = HeaderValue::from_static("never");

// For the links on this page.
#[cfg(doc)]
use axiomatic_core::{Context, context::Priority};
