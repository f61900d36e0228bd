//! Rates: so many in a time, and the rest is refused or waits. Work in progress:
//! the essay comes with the mechanism.

mod error;
pub mod keyed;
mod quota;

pub use error::ConfigError;
#[cfg(feature = "keyed")]
pub use keyed::ExactKeyedRateLimiter;
pub use keyed::KeyedRateLimiter;
pub use quota::Quota;
