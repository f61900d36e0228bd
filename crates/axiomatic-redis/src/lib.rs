//! Patterns whose state processes share through Redis.
//!
//! - [`rate_limit`]: one quota for all processes, and what becomes of it while
//!   Redis is away.
#![forbid(unsafe_code)]

pub mod rate_limit;
