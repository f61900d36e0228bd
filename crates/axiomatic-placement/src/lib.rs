//! Patterns for the axiom of **capacity**: no node holds everything, and
//! membership changes.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`consistent_hash`] | Who owns this key, on every machine, for ever |
//! | [`bounded_load`] | Who is asked for this key, when its owner has enough to do |
//! | `router` (feature `tower`) | Each request to the node that owns its key, each retry to the next |
//! | [`shuffle_shard`] | Which few nodes are this customer's, so that no two customers share them all |
//! | [`slot_map`] | Who holds this slot of the data, as written down, and what moves next |
#![forbid(unsafe_code)]

mod bytes;

pub mod bounded_load;
pub mod consistent_hash;
#[cfg(feature = "tower")]
pub mod router;
pub mod shuffle_shard;
pub mod slot_map;
