//! The behaviour of placement, as its users see it.

mod bounded_load;
mod fixtures;
mod live;
mod membership;
mod multi_probe;
mod numbered;
mod placement;
mod ring;
mod ring_formats;
#[cfg(feature = "tower")]
mod router;
mod shuffle_shard;
mod slot_map;
mod support;
