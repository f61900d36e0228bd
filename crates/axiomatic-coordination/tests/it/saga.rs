//! Sagas: the store in memory, and executors over it.

mod crashes;
mod executor_crashes;
mod gates;
mod isolation;
mod laws;
mod leases;
mod lost_answers;
mod operating;
mod races;
mod refusals;
mod running;
mod services;
mod takeover;
mod trial;
