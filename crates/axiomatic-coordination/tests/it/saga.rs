//! Sagas: the store in memory.

mod laws;
