//! Behaviour of the patterns of coordination, seen from outside.

mod idempotency;
mod inbox;
mod inbox_crashes;
mod outbox;
mod saga;
