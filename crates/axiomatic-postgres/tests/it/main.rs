//! Behaviour against a real PostgreSQL: the one at `AXIOMATIC_POSTGRES_URL` or
//! on this machine.

mod inbox;
mod inbox_laws;
mod migration;
mod support;
