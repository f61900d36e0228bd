//! Executors that end, or stand still, between any two steps of a saga; and
//! whether what they leave behind is what a saga promises.
//!
//! The sagas, the children and what is asked of them are those of
//! `axiomatic-sqlite`: here is what differs in PostgreSQL.
#![cfg(unix)]

#[allow(dead_code, reason = "each of the binaries needs a part of it")]
#[path = "it/support.rs"]
mod support;

mod saga_kill {
    mod books;
    pub(crate) mod place;

    #[path = "../../../axiomatic-sqlite/tests/saga_kill/checking.rs"]
    pub(crate) mod checking;
    #[path = "../../../axiomatic-sqlite/tests/saga_kill/child.rs"]
    pub(crate) mod child;
    #[path = "../../../axiomatic-sqlite/tests/saga_kill/matrix.rs"]
    mod matrix;
    #[path = "../../../axiomatic-sqlite/tests/saga_kill/money.rs"]
    mod money;
    #[path = "../../../axiomatic-sqlite/tests/saga_kill/running.rs"]
    pub(crate) mod running;
    #[path = "../../../axiomatic-sqlite/tests/saga_kill/stories.rs"]
    pub(crate) mod stories;
    #[path = "../../../axiomatic-sqlite/tests/saga_kill/zombie.rs"]
    mod zombie;
}
