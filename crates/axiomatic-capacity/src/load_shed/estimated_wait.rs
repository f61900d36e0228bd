use std::fmt;
use std::time::Duration;

use axiomatic_core::context::Priority;
use axiomatic_core::time::Instant;

use super::Estimate;
use crate::Limiter;

/// How long a request would wait for a slot of a bulkhead or of an adaptive
/// limit: those that are served before it, at the pace of late.
///
/// ```
/// use axiomatic_capacity::bulkhead::{Config, Order, WhenFull};
/// use axiomatic_capacity::load_shed::{self, EstimatedWait, prioritizer};
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let prioritizer = prioritizer::Config::new().build()?;
/// let slots = Config::new(NonZeroU32::new(20).ok_or("none")?)
///     .when_full(WhenFull::Wait {
///         max_waiting: 100,
///         max_wait: Duration::from_secs(1),
///         order: Order::default(),
///     })
///     .reporting_to(&prioritizer)
///     .build()?;
/// let shedder = load_shed::Config::new(&prioritizer)
///     .estimating(EstimatedWait::of(slots.clone()))
///     .build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EstimatedWait<L>(L);

impl<L: Limiter> EstimatedWait<L> {
    /// The wait for a slot of this one.
    pub fn of(limiter: L) -> Self {
        EstimatedWait(limiter)
    }
}

impl<L: Limiter + Send + Sync + fmt::Debug> Estimate for EstimatedWait<L> {
    fn wait(&self, _: Instant, priority: Priority) -> Duration {
        self.0.handle().core.slots.estimated_wait(priority.as_u8())
    }
}
