use std::fmt;

use axiomatic_core::Ratio;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;

use crate::Limiter;

/// How many slots of a bulkhead or of an adaptive limit are taken, against a
/// share of the limit.
///
/// It asks for the limit each time: what an adaptive limit lowers is nearer to
/// its target at once. Partitions are one whole here.
///
/// ```
/// use axiomatic_capacity::bulkhead::Config;
/// use axiomatic_capacity::load_shed::signal::InFlight;
/// use axiomatic_core::Ratio;
/// use axiomatic_core::pressure::{Pressure, Signal};
/// use axiomatic_core::time::Instant;
/// use std::num::NonZeroU32;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bulkhead = Config::new(NonZeroU32::new(10).unwrap()).build()?;
/// let in_flight = InFlight::of(bulkhead.clone(), Ratio::percent(80));
/// let _permits = [bulkhead.admit()?, bulkhead.admit()?];
/// assert_eq!(in_flight.pressure(Instant::from_nanos(1)), Pressure::percent(25));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct InFlight<L> {
    limiter: L,
    target: Ratio,
}

impl<L: Limiter> InFlight<L> {
    /// Full when so much of the limit is taken. A target of nothing makes
    /// anything too much.
    pub fn of(limiter: L, target: Ratio) -> Self {
        InFlight { limiter, target }
    }
}

impl<L: Limiter + Send + Sync + fmt::Debug> Signal for InFlight<L> {
    fn name(&self) -> &'static str {
        "in flight"
    }

    fn pressure(&self, _: Instant) -> Pressure {
        let slots = &self.limiter.handle().core.slots;
        // Below a whole slot there is no rounding: both sides in millionths.
        let taken = u64::from(slots.taken()) * 1_000_000;
        let target = u64::from(slots.limit()) * u64::from(self.target.as_parts_per_million());
        Pressure::of(taken, target)
    }
}
