//! Idempotent requests in a storm: two servers of one database, which are
//! killed and stopped at any time, and sixty-four clients that do not give up.
//!
//! Each key is sent by two to four clients at once, so that first requests
//! race. Clients repeat until they have an answer. In the end each key's
//! effect is there once, in the database and at the other side, and all of its
//! clients have the same answer.
//!
//! Two thousand keys always; ten thousand if `AXIOMATIC_DEEP` is set. The
//! servers are this executable again: [`server::child`] is a test that does
//! nothing unless a parent says where.
#![cfg(unix)]

mod clients;
mod place;
mod provider;
mod server;
mod servers;
mod story;
