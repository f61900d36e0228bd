//! Sagas: the store in memory, and executors over it.

mod laws;
mod running;
mod trial;
