//! What the crate promises, seen from outside.

mod group_commit;
mod support;
