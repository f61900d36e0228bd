//! What needs two crates, or the whole tree.

mod tidy;
