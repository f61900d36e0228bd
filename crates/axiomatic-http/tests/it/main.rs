//! The bindings and the layers behind tower, inside axum and over hyper, and
//! header fields under anything that may be sent.

mod advice;
mod body_end;
mod fields;
mod grpc;
mod hops;
mod idempotent;
mod level;
mod loopback;
mod oracle;
mod propagation;
mod rate_limit;
mod rejection;
mod replay;
mod retries;
mod retry_after;
#[cfg(feature = "tokio")]
mod scope;
mod scripted;
