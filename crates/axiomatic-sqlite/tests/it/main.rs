//! What the crate promises, seen from outside.

mod faults;
mod group_commit;
mod producer;
mod schema;
mod support;
