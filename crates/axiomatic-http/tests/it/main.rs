//! The bindings and the rejection layer behind tower, inside axum and over
//! hyper, and `Retry-After` under anything that may be sent.

mod body_end;
mod grpc;
mod loopback;
mod rejection;
mod retry_after;
mod scripted;
