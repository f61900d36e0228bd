use std::fmt;
use std::time::Duration;

use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;

use crate::Limiter;

/// How long calls wait for a slot of a bulkhead or of an adaptive limit,
/// against what they should at most.
///
/// Of all signals it is the nearest to what a caller feels, and it needs no
/// idea of how many calls are too many. A limiter without a queue has none of
/// it.
///
/// ```
/// use axiomatic_capacity::bulkhead::{Config, Order, WhenFull};
/// use axiomatic_capacity::load_shed::signal::QueueDelay;
/// use axiomatic_core::pressure::{Pressure, Signal};
/// use axiomatic_core::time::Clock;
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bulkhead = Config::new(NonZeroU32::new(10).unwrap())
///     .when_full(WhenFull::Wait {
///         max_waiting: 100,
///         max_wait: Duration::from_secs(1),
///         order: Order::Fifo,
///     })
///     .build()?;
/// let delay = QueueDelay::of(bulkhead.clone(), Duration::from_millis(20));
/// assert_eq!(delay.pressure(Clock::Precise.now()), Pressure::NONE);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct QueueDelay<L> {
    limiter: L,
    target: Duration,
}

impl<L: Limiter> QueueDelay<L> {
    /// Full when calls wait for so long. A target of nothing makes any waiting
    /// too much.
    pub fn of(limiter: L, target: Duration) -> Self {
        QueueDelay { limiter, target }
    }

    /// How long the one has waited that waits longest; the limiter's clock
    /// tells, by which its calls wait.
    fn delay(&self) -> Duration {
        self.limiter.handle().core.slots.queue().oldest_age
    }
}

impl<L: Limiter + Send + Sync + fmt::Debug> Signal for QueueDelay<L> {
    fn name(&self) -> &'static str {
        "queue delay"
    }

    fn pressure(&self, _: Instant) -> Pressure {
        Pressure::of_times(self.delay(), self.target)
    }
}
