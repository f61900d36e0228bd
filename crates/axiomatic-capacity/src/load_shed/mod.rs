//! Load shedding: what to refuse when there is too much of it.

#[cfg(feature = "tokio")]
pub mod fail_fast;
