use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Rejected};

use super::core::Core;
use super::rule::Ask;
use super::{ConfigError, Inheritance, Permit, Quota, Reservation, Snapshot, Standing};

/// So many in a time: a handle to one limit, cheap to clone.
///
/// It works without tower and without a runtime: [`admit`](RateLimiter::admit)
/// asks.
///
/// ```
/// use axiomatic_capacity::rate_limit::{Config, Quota};
/// use axiomatic_core::Reason;
/// use axiomatic_core::time::Clock;
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ten = NonZeroU32::new(10).ok_or("nothing")?;
/// let limiter = Config::new(Quota::per_second(ten).paced()).build()?;
/// let now = Clock::Precise.now();
/// limiter.admit(now)?;
/// let refused = limiter.admit(now).unwrap_err();
/// assert_eq!(refused.reason(), Reason::Limited);
/// assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
/// limiter.admit(now + Duration::from_millis(100))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RateLimiter(pub(super) Arc<Core>);

impl RateLimiter {
    /// Asks for one call at `now`.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Limited`](axiomatic_core::Reason::Limited),
    /// or `Shed` if that was chosen, and with how long to wait: if nobody else
    /// comes, it is admitted then, and not a nanosecond earlier.
    #[inline(always)]
    pub fn admit(&self, now: Instant) -> Result<Permit<'_>, Rejected> {
        self.admit_weighing(now, NonZeroU32::MIN)
    }

    /// The same for one that costs more.
    ///
    /// # Errors
    ///
    /// As [`admit`](RateLimiter::admit). One that costs more than a burst is
    /// never admitted, and not told to wait.
    #[inline(always)]
    pub fn admit_weighing(&self, now: Instant, cost: NonZeroU32) -> Result<Permit<'_>, Rejected> {
        let taken = self.0.admit(now, cost.get())?;
        Ok(Permit::new(&self.0, taken))
    }

    /// Takes what a call costs, now or as soon as it is there: in the order in
    /// which it is asked, and never later than `until`. Who cannot have it by
    /// then is told so at once, and takes nothing.
    ///
    /// ```
    /// # use axiomatic_capacity::rate_limit::{Config, Quota};
    /// # use axiomatic_core::time::Clock;
    /// # use std::num::NonZeroU32;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ten = NonZeroU32::new(10).ok_or("nothing")?;
    /// let limiter = Config::new(Quota::per_second(ten).paced()).build()?;
    /// let now = Clock::Precise.now();
    /// let soon = now + Duration::from_secs(1);
    /// assert_eq!(limiter.reserve(now, NonZeroU32::MIN, soon)?.ready_at(), now);
    /// let second = limiter.reserve(now, NonZeroU32::MIN, soon)?;
    /// assert_eq!(second.ready_at() - now, Duration::from_millis(100));
    /// second.cancel(now);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`admit_weighing`](RateLimiter::admit_weighing). Of a sliding window
    /// nothing is reserved ahead, and of no limit more than a year.
    pub fn reserve(
        &self,
        now: Instant,
        cost: NonZeroU32,
        until: Instant,
    ) -> Result<Reservation, Rejected> {
        let ask = Ask {
            cells: cost.get(),
            until,
            most_ahead: u32::MAX,
        };
        let taken = self.0.reserve(now, &ask)?;
        Ok(Reservation::new(Arc::clone(&self.0), taken))
    }

    /// Puts so many back, as far as there is room in a burst: what a call cost
    /// less than was asked for. What was put back may be had again at once, so
    /// within any time there are as many more calls as were put back in it.
    /// Who gives back what was not used at all does so with its
    /// [`Permit`] or [`Reservation`].
    pub fn refund(&self, now: Instant, cost: NonZeroU32) {
        self.0.refund(now, cost.get());
    }

    /// Takes everything that is left, for example because a server was found
    /// to have less left than was thought. What is reserved stays so.
    pub fn drain(&self, now: Instant) {
        self.0.leave(now, 0);
    }

    /// What is left, and when there is more. It takes nothing.
    pub fn peek(&self, now: Instant) -> Standing {
        let (available, next, full) = self.0.standing(now);
        Standing {
            quota: self.0.quota(),
            available,
            next_after: next - now,
            full_after: full - now,
        }
    }

    /// Changes the quota live: from then on nothing is granted by the old one.
    /// What was granted stays so, and reservations keep their times.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why; then nothing was
    /// changed.
    pub fn update(
        &self,
        now: Instant,
        quota: Quota,
        inheritance: Inheritance,
    ) -> Result<(), ConfigError> {
        self.0.update(now, quota, inheritance)
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.0.quota()
    }

    /// Switches between enforcing, shadowing and standing aside. In shadow
    /// what would have been refused is let in and consumes nothing.
    pub fn set_mode(&self, mode: Mode) {
        self.0.mode.store(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.0.mode.load()
    }

    /// The name.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// The clock that its layers read.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What it is like now, by its clock.
    pub fn snapshot(&self) -> Snapshot {
        let now = self.0.clock.now();
        Snapshot {
            name: self.0.name,
            mode: self.0.mode.load(),
            standing: self.peek(now),
            refused: self.0.refused.load(),
            would_refuse: self.0.would_refuse.load(),
        }
    }

    /// Whether two handles are of one limit.
    pub fn is_same(&self, other: &RateLimiter) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("name", &self.0.name)
            .field("quota", &self.0.quota())
            .finish_non_exhaustive()
    }
}

/// What a client may do when a server tells it of its limit.
impl RateLimiter {
    /// At most so many are left.
    pub(super) fn leave(&self, now: Instant, cells: u32) {
        self.0.leave(now, cells);
    }

    /// Nothing is left for so long.
    pub(super) fn pause(&self, now: Instant, wait: Duration) {
        self.0.pause(now, now + wait);
    }
}
