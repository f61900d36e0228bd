//! Patterns for the axiom of **economics**: exact knowledge costs more than
//! most questions are worth.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`bloom`] | Was this key ever seen: surely not, or probably, in a byte and a half a key |
#![deny(unsafe_code)]

mod lanes;
mod load;

pub mod bloom;
