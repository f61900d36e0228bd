//! Sagas: the store in memory, and executors over it.

mod crashes;
mod laws;
mod operating;
mod running;
mod services;
mod takeover;
mod trial;
