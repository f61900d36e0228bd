//! Behaviour against a real PostgreSQL: the one at `AXIOMATIC_POSTGRES_URL` or
//! on this machine.

mod health;
mod migration;
mod operate;
mod support;
mod waking;
