//! The behaviour of placement, as its users see it.

mod slot_map;
