//! Models of sketches, explored by loom: `cargo xtask loom`.
//!
//! Each is named for the invariant that it holds.
#![cfg(axiomatic_loom)]

#[path = "loom/counts.rs"]
mod counts;
#[path = "loom/shared.rs"]
mod shared;
#[path = "loom/windowed.rs"]
mod windowed;
