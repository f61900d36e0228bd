//! Patterns for the axiom of **capacity**: no node holds everything, and
//! membership changes.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`consistent_hash`] | Who owns this key, on every machine, for ever |
//! | [`shuffle_shard`] | Which few nodes are this customer's, so that no two customers share them all |
#![forbid(unsafe_code)]

pub mod consistent_hash;
pub mod shuffle_shard;
