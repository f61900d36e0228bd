//! What a rate limiter promises.

mod algorithms;
mod layers;
mod mechanism;
mod oracle;
mod telling;
