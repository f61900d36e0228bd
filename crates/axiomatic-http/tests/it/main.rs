//! The rejection layer in its surroundings: behind tower, inside axum.

mod rejection;
