//! What the crate promises, seen from outside.

mod cancel;
mod conformance;
mod counts;
mod faults;
mod group_commit;
mod idempotency;
mod idempotency_kills;
mod idempotency_laws;
mod inbox;
mod inbox_kills;
mod inbox_laws;
mod leases;
mod operate;
mod producer;
mod saga_kills;
mod saga_laws;
mod sagas;
mod scene;
mod schema;
mod store;
mod support;
