//! What the crate promises, seen from outside.

mod counts;
mod group_commit;
mod inbox;
mod inbox_kills;
mod inbox_laws;
mod operate;
mod scene;
mod store;
mod support;
