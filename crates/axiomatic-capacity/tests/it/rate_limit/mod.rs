//! What a rate limiter promises.

mod algorithms;
mod mechanism;
mod oracle;
