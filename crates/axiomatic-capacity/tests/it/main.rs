//! What the crate promises, in paused time.
#![cfg(not(axiomatic_loom))]

mod adaptive;
mod bulkhead;
mod codel;
#[cfg(feature = "tokio")]
mod fail_fast;
mod keyed;
mod load_shed;
mod model;
mod partitions;
mod queued;
mod queued_layer;
mod rate_limit;
mod rate_limit_keyed;
mod regressions;
mod reserving;
mod signals;
mod support;
mod throttle;
