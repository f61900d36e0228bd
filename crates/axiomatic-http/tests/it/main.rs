//! The rejection layer behind tower and inside axum, and `Retry-After` under
//! anything that may be sent.

mod rejection;
mod retry_after;
