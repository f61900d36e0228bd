//! An adaptive limit: as many calls in flight as the dependency can bear, found
//! out by what calls take.

mod algorithm;

pub use algorithm::{LimitAlgorithm, Sample, Step, Why};
