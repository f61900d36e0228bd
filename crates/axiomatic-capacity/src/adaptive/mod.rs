//! An adaptive limit: as many calls in flight as the dependency can bear, found
//! out by what calls take.

mod algorithm;
mod error;

pub use algorithm::{
    Aimd, AimdConfig, Bounds, Gradient2, Gradient2Config, LimitAlgorithm, Sample, Seeker,
    SeekerConfig, Step, Vegas, VegasConfig, Why,
};
pub use error::AlgorithmError;
