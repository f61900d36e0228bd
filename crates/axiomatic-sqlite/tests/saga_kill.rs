//! Executors that end, or stand still, between any two steps of a saga; and
//! whether what they leave behind is what a saga promises.
//!
//! The children are this executable again: [`child::child`] is a test that
//! does nothing unless a parent says where. What the steps do is told by a
//! ledger, a file, and by a table; [`checking`] holds it against the logs.
//!
//! What does not depend on the engine is shared with `axiomatic-postgres`. A
//! part of the matrix, and of the transfers, runs always; all of them if
//! `AXIOMATIC_DEEP` is set.
#![cfg(unix)]

mod saga_kill {
    mod books;
    pub(crate) mod checking;
    pub(crate) mod child;
    mod matrix;
    mod money;
    pub(crate) mod place;
    pub(crate) mod running;
    pub(crate) mod stories;
    mod zombie;
}
