//! Patterns for the axiom of **capacity**: no node holds everything, and
//! membership changes.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`consistent_hash`] | Who owns this key, on every machine, for ever |
#![forbid(unsafe_code)]

pub mod consistent_hash;
