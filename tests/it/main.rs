//! What needs two crates, or the whole tree.

mod composition;
mod contract;
mod tidy;
