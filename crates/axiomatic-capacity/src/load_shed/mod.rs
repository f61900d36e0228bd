//! Load shedding: what tells that there is too much.

pub mod signal;
