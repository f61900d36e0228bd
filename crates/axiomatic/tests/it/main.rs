//! What this crate's pages and the papers at the root promise is there.

mod axioms;
mod patterns;
mod readme;
mod tree;
