//! The outbox and the inbox in SQLite.
#![forbid(unsafe_code)]
