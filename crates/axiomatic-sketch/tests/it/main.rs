//! The behaviour of sketches, as their users see it.

mod count_min;
mod filter;
mod hot_keys;
mod shared;
mod support;
mod windowed;
