//! What the crate promises, seen from outside.

mod agenda;
mod load;
mod queues;
mod runs;
