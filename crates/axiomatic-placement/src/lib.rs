//! Patterns for the axiom of **capacity**: no node holds everything, and
//! membership changes.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`consistent_hash`] | Who owns this key, on every machine, for ever |
//! | [`bounded_load`] | Who is asked for this key, when its owner has enough to do |
//! | [`shuffle_shard`] | Which few nodes are this customer's, so that no two customers share them all |
#![forbid(unsafe_code)]

pub mod bounded_load;
pub mod consistent_hash;
pub mod shuffle_shard;
