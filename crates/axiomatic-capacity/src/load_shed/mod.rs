//! Load shedding: what cannot be answered in time is refused at once.

pub mod throttle;
