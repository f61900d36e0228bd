//! Behaviour against a real PostgreSQL: the one at `AXIOMATIC_POSTGRES_URL` or
//! on this machine.

mod inbox_laws;
mod migration;
mod producer;
mod operate;
mod support;
