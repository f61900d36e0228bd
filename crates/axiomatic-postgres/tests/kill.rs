//! Processes that end, or stand still, between any two steps; and whether what
//! they leave behind is what the outbox, the inbox and idempotent requests
//! promise.
//!
//! The children are this executable again: [`child::child`] is a test that
//! does nothing unless a parent says where. What happens is written into a
//! history, which is checked when all is published.
//!
//! A part of the matrix runs always. All of it runs if `AXIOMATIC_DEEP` is
//! set.
#![cfg(unix)]

#[allow(dead_code, reason = "each of the binaries needs a part of it")]
#[path = "it/support.rs"]
mod support;

mod kill {
    pub(crate) mod broker;
    pub(crate) mod child;
    pub(crate) mod consumer;
    mod matrix;
    pub(crate) mod place;
    pub(crate) mod producer;
    mod random;
    pub(crate) mod requests;
    pub(crate) mod running;
    mod streams;
    mod zombie;
}
