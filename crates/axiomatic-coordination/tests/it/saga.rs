//! Sagas: the store in memory, and executors over it.

mod crashes;
mod laws;
mod running;
