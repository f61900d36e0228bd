//! What a rate limiter promises.

mod algorithms;
mod by_key;
mod edges;
mod giving_back;
mod layers;
mod mechanism;
mod oracle;
mod telling;
mod warming;
