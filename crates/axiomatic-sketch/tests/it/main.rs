//! The behaviour of sketches, as their users see it.

mod attack;
mod count_min;
#[cfg(not(axiomatic_loom))]
mod differential;
mod filter;
mod hot_keys;
mod oracle;
#[cfg(feature = "parquet")]
mod parquet;
mod scalable;
mod shared;
mod stored;
mod support;
mod windowed;
