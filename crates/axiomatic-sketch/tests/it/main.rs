//! The behaviour of sketches, as their users see it.

mod attack;
#[cfg(not(axiomatic_loom))]
mod differential;
mod filter;
mod oracle;
#[cfg(feature = "parquet")]
mod parquet;
mod scalable;
mod stored;
mod support;
