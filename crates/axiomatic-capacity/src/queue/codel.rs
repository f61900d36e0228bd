use std::time::Duration;

/// When a queue that stands is taken for an overload, and who then leaves it:
/// controlled delay.
///
/// If the one that has waited longest has been waiting for `target` or longer,
/// without a break for `interval`, then the queue is overloaded: what comes is
/// more than is served, and no burst. From then on whoever has waited for
/// twice the target is refused, with
/// [`Reason::Shed`](axiomatic_core::Reason::Shed). It ends when the oldest one is
/// younger than the target, or nobody waits. It is right for every
/// [`Order`](super::Order), and the [module](crate::bulkhead#controlled-delay) says
/// why it is so.
///
/// ```
/// use axiomatic_capacity::bulkhead::{CoDel, Config, Order, WhenFull};
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = NonZeroU32::new(20).ok_or("no slots")?;
/// let bulkhead = Config::new(limit)
///     .when_full(WhenFull::Wait {
///         max_waiting: 100,
///         max_wait: Duration::from_secs(1),
///         order: Order::default(),
///     })
///     .codel(CoDel::new(Duration::from_millis(20), Duration::from_millis(200)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CoDel {
    target: Duration,
    interval: Duration,
    drop_age: Duration,
}

impl CoDel {
    /// Overloaded after an `interval` in which somebody has waited for `target`
    /// at every moment.
    pub const fn new(target: Duration, interval: Duration) -> Self {
        CoDel {
            target,
            interval,
            drop_age: target.saturating_mul(2),
        }
    }

    /// Who has waited that long leaves an overloaded queue: not twice the
    /// target, and not less than it.
    #[must_use]
    pub const fn dropping_after(mut self, age: Duration) -> Self {
        self.drop_age = age;
        self
    }

    /// The wait that is no trouble.
    pub const fn target(self) -> Duration {
        self.target
    }

    /// How long a burst may last.
    pub const fn interval(self) -> Duration {
        self.interval
    }

    /// How long one waits in an overloaded queue.
    pub const fn drop_age(self) -> Duration {
        self.drop_age
    }
}

impl Default for CoDel {
    /// 5 ms and 100 ms, as RFC 8289 has it, and 10 ms in an overload. They were
    /// found for packets; for calls they were not measured.
    fn default() -> Self {
        CoDel::new(Duration::from_millis(5), Duration::from_millis(100))
    }
}
