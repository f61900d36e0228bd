//! Behaviour against a real PostgreSQL: the one at `AXIOMATIC_POSTGRES_URL` or
//! on this machine.

mod cancel;
mod cap;
mod conformance;
mod enqueue_cancel;
mod fetch;
mod health;
mod idempotency;
mod idempotency_laws;
mod inbox;
mod inbox_laws;
mod leases;
mod migration;
mod operate;
mod ordered;
mod producer;
mod saga;
mod saga_laws;
mod scene;
mod store;
mod support;
mod waking;
