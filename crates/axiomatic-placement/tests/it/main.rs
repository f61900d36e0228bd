//! The behaviour of placement, as its users see it.

mod multi_probe;
mod ring;
mod ring_formats;
