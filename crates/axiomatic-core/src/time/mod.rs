//! Time as an argument: [`Instant`], a number that mechanisms take, and
//! [`Clock`], which only adapters read.
//!
//! ```
//! use axiomatic_core::time::{Clock, ManualClock};
//! use std::time::Duration;
//!
//! let hand = ManualClock::new();
//! let clock = Clock::Manual(hand.clone());
//! let before = clock.now();
//! hand.advance(Duration::from_secs(3));
//! assert_eq!(clock.now().saturating_duration_since(before), Duration::from_secs(3));
//! ```

mod clock;
mod instant;
mod manual_cell;

pub use clock::Clock;
pub use instant::Instant;
pub use manual_cell::ManualClock;

/// A duration in whole nanoseconds, saturating after 584 years.
pub fn saturating_nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
