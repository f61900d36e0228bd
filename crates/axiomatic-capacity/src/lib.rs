//! Patterns for the axiom of **capacity**: every resource is finite.
//!
//! | Pattern | Answers |
//! |---|---|
//! | [`adaptive`] | A limit that finds the capacity by itself |
#![forbid(unsafe_code)]

pub mod adaptive;
