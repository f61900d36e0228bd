//! What the crate promises, seen from outside.

mod counts;
mod group_commit;
mod operate;
mod scene;
mod store;
mod support;
