//! The behaviour of placement, as its users see it.

mod membership;
mod placement;
mod support;
