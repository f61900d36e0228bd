//! Rates: so many in a time, and the rest is refused or waits. Work in progress:
//! the essay comes with the mechanism.

mod error;
mod quota;

pub use error::ConfigError;
pub use quota::Quota;
