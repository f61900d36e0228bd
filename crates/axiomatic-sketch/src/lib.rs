//! Patterns for the axiom of **economics**: exact knowledge costs more than
//! most questions are worth.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`bloom`] | Was this key ever seen: surely not, or probably, in a byte and a half a key |
//! | [`count_min`] | How often was this key seen: never too few, and too many by little, in fixed memory |
//! | [`hot_keys`] | Which keys are seen the most, in fixed memory |
#![deny(unsafe_code)]

mod build;
mod lanes;
mod load;

pub mod bloom;
pub mod count_min;
pub mod hot_keys;
