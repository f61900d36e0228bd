//! Behaviour against a real PostgreSQL: the one at `AXIOMATIC_POSTGRES_URL` or
//! on this machine.

mod cancel;
mod conformance;
mod enqueue_cancel;
mod health;
mod inbox;
mod inbox_laws;
mod migration;
mod operate;
mod ordered;
mod producer;
mod support;
mod waking;
