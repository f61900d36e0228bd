//! What the crate promises, in paused time.
#![cfg(not(axiomatic_loom))]

mod adaptive;
mod bulkhead;
mod codel;
mod keyed;
mod model;
mod partitions;
mod queued;
mod queued_layer;
mod rate_limit;
mod rate_limit_keyed;
mod regressions;
mod reserving;
mod support;
