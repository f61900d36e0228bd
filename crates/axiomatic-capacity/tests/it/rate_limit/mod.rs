//! What a rate limiter promises.

mod algorithms;
mod edges;
mod layers;
mod mechanism;
mod oracle;
mod telling;
