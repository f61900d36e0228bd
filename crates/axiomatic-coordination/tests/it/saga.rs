//! Sagas: the store in memory.

mod crashes;
mod laws;
