//! The behaviour of sketches, as their users see it.

mod filter;
mod shared;
mod support;
mod windowed;
