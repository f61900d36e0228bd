//! Behaviour of the patterns of coordination, seen from outside.

mod outbox;
