//! The relay over the store in memory.

mod conformance;
mod relaying;
