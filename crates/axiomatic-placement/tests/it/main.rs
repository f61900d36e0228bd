//! The behaviour of placement, as its users see it.

mod shuffle_shard;
