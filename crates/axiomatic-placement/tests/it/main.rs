//! The behaviour of placement, as its users see it.

mod bounded_load;
mod live;
mod membership;
mod numbered;
mod placement;
mod shuffle_shard;
mod slot_map;
mod support;
