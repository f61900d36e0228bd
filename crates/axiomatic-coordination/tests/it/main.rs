//! Behaviour of the patterns of coordination, seen from outside.

mod inbox;
mod inbox_crashes;
mod outbox;
