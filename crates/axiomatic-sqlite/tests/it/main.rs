//! What the crate promises, seen from outside.

mod faults;
mod group_commit;
mod inbox;
mod inbox_kills;
mod inbox_laws;
mod producer;
mod schema;
mod support;
