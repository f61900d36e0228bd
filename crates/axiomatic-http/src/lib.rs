//! How the patterns of Axiomatic read and speak HTTP.
//!
//! The patterns know requests, responses and errors only as type parameters.
//! This crate tells them what these mean in HTTP, and turns their refusals
//! into answers:
//!
//! | Item | Side | Does |
//! |---|---|---|
//! | [`Http`] | client, server | the binding: what a status means, where the context of a request is |
//! | [`retry_after`] | both | `Retry-After`, read in both its forms and written in one |
//! | [`RejectionLayer`] | server | a refusal becomes a 429, 503 or 504 with `Retry-After` |
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
//! It depends on `http` and tower's two traits, on no client and no server:
//! hyper, reqwest, axum and tonic all speak these types.
#![forbid(unsafe_code)]

mod binding;
pub mod rejection;
pub mod retry_after;

pub use binding::Http;
pub use rejection::{RejectionLayer, RejectionService};
