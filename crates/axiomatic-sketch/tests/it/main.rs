//! The behaviour of sketches, as their users see it.

mod filter;
mod support;
mod windowed;
