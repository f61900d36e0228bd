//! The behaviour of placement, as its users see it.

mod membership;
mod numbered;
mod placement;
mod support;
