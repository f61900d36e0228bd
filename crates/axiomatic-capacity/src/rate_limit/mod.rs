//! Rates: so many in a time, and the rest is refused or waits. Work in progress:
//! the essay comes with the mechanism.

mod config;
mod core;
mod error;
mod holes;
mod inheritance;
mod limiter;
mod line;
mod permit;
mod quota;
mod reservation;
mod rule;
mod sliding;
mod snapshot;
mod telemetry;
mod terms;
mod word_cell;

pub use config::{Algorithm, Config, WhenLimited};
pub use error::ConfigError;
pub use inheritance::Inheritance;
pub use limiter::RateLimiter;
pub use permit::Permit;
pub use quota::Quota;
pub use reservation::Reservation;
pub use snapshot::{Snapshot, Standing};
