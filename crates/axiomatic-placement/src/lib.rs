//! Patterns for the axiom of **capacity**: no node holds everything, and
//! membership changes.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`consistent_hash`] | Who owns this key, on every machine, for ever |
//! | [`slot_map`] | Who holds this slot of the data, as written down, and what moves next |
#![forbid(unsafe_code)]

mod bytes;

pub mod consistent_hash;
pub mod slot_map;
