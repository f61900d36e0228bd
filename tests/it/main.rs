//! What needs two crates, or the whole tree.

mod contract;
mod tidy;
