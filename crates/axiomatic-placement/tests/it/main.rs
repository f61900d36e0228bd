//! The behaviour of placement, as its users see it.

mod ring;
mod ring_formats;
