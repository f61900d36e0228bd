use std::fmt;
use std::num::NonZeroU32;
#[cfg(feature = "tokio")]
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::allowance::{Heard, Policy};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Rejected};

use super::core::Core;
use super::rule::Ask;
use super::{
    ConfigError, Inheritance, LearningRateLimitLayer, Permit, Quota, RateLimitLayer, Reservation,
    Snapshot, Standing,
};
#[cfg(feature = "tokio")]
use super::{WaitingRateLimitLayer, waiting::Waiting};

/// So many in a time: a handle to one limit, cheap to clone.
///
/// It works without tower and without a runtime: [`admit`](RateLimiter::admit)
/// asks.
///
/// ```
/// use axiomatic_capacity::rate_limit::{Config, Quota};
/// use axiomatic_core::Reason;
/// use axiomatic_core::time::Instant;
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ten = NonZeroU32::new(10).ok_or("nothing")?;
/// let limiter = Config::new(Quota::per_second(ten).paced()).build()?;
/// // Layers read a clock.
/// let now = Instant::from_nanos(5_000_000_000);
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
    /// comes, it is admitted then, and not a nanosecond earlier. It is exact to
    /// the unit of virtual time, two nanoseconds at most, that `now` lies in.
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
    /// # use axiomatic_core::time::Instant;
    /// # use std::num::NonZeroU32;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ten = NonZeroU32::new(10).ok_or("nothing")?;
    /// let limiter = Config::new(Quota::per_second(ten).paced()).build()?;
    /// let now = Instant::from_nanos(5_000_000_000);
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
        self.0.standing(now)
    }

    /// Hears what a server says of its own limit, and keeps to it: a quota
    /// that is lower than the configured one is taken over, of what is left
    /// there is no more left here, and as long as a refusal says nothing is
    /// asked for, at most [`LONGEST_PAUSE`](RateLimiter::LONGEST_PAUSE), and
    /// what was granted before is no longer given back. A sliding window knows
    /// no later: of a refusal it is emptied. It is another's word, so it only
    /// ever makes a client ask for less than it was configured to.
    ///
    /// ```
    /// use axiomatic_capacity::rate_limit::{Config, Quota};
    /// use axiomatic_core::allowance::Heard;
    /// use axiomatic_core::time::Clock;
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hundred = NonZeroU32::new(100).ok_or("nothing")?;
    /// let limiter = Config::new(Quota::per_second(hundred)).build()?;
    /// let now = Clock::Precise.now();
    /// let window = Duration::from_secs(60);
    /// let told = Heard::nothing().with_quota(30).with_window(window).with_remaining(2);
    /// limiter.heed(now, &told);
    /// assert_eq!(limiter.quota().to_string(), "30 per 60s, 30 at once");
    /// assert_eq!(limiter.peek(now).available(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn heed(&self, now: Instant, heard: &Heard) {
        let cells = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        if let (Some(quota), Some(window)) = (heard.quota(), heard.window())
            && let Some(count) = NonZeroU32::new(cells(quota))
        {
            self.0.lower(now, Quota::new(count, window));
        }
        if let Some(remaining) = heard.remaining() {
            self.0.leave(now, cells(remaining));
        }
        let wait = heard.wait().min(Self::LONGEST_PAUSE);
        if !wait.is_zero() {
            self.0.pause(now, now + wait);
        }
    }

    /// The longest time for which a server's word keeps a client from asking:
    /// an hour.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

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

    /// What callers can keep to.
    pub fn policy(&self) -> Policy {
        self.quota().policy(self.0.name)
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

    /// A tower layer that refuses what is beyond the limit. Its services, and
    /// those of other layers, share it.
    pub fn layer(&self) -> RateLimitLayer {
        RateLimitLayer::new(self.clone())
    }

    /// A tower layer whose calls wait until they are due, as
    /// [`WhenLimited::Wait`](super::WhenLimited::Wait) says.
    #[cfg(feature = "tokio")]
    pub fn waiting_layer(&self) -> WaitingRateLimitLayer {
        WaitingRateLimitLayer::new(self.clone())
    }

    /// A tower layer for a client, which keeps to its own limit and to what
    /// servers say of theirs in their answers: see [`heed`](RateLimiter::heed).
    /// The binding reads it, so it is one that knows the protocol:
    /// `axiomatic_http::Http` reads `RateLimit`, `X-RateLimit-*` and
    /// `Retry-After`.
    pub fn learning_layer(&self) -> LearningRateLimitLayer {
        LearningRateLimitLayer::new(self.clone())
    }

    /// Waits until a call is due that costs so much, as
    /// [`WhenLimited::Wait`](super::WhenLimited::Wait) says and not longer than
    /// `until`. Who waits is served in the order in which it asked. Dropped, it
    /// gives its place up.
    ///
    /// ```
    /// # use axiomatic_capacity::rate_limit::{Config, Quota, WhenLimited};
    /// # use std::num::NonZeroU32;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ten = NonZeroU32::new(10).ok_or("nothing")?;
    /// let limiter = Config::new(Quota::per_second(ten).paced())
    ///     .when_limited(WhenLimited::Wait {
    ///         max_wait: Duration::from_millis(150),
    ///         max_waiting: ten,
    ///     })
    ///     .build()?;
    /// let one = NonZeroU32::MIN;
    /// limiter.wait(one, None).await?;
    /// limiter.wait(one, None).await?;
    /// let (third, fourth) = tokio::join!(limiter.wait(one, None), limiter.wait(one, None));
    /// assert!(third.is_ok());
    /// assert!(fourth.is_err(), "200 ms are too long, which it is told at once");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Rejected`] at once, if it cannot have it in time: `Limited`, with how
    /// long it would have to wait, if nobody else came.
    #[cfg(feature = "tokio")]
    pub async fn wait(&self, cost: NonZeroU32, until: Option<Instant>) -> Result<(), Rejected> {
        let mut waiting = pin!(Waiting::begin(&self, &(), until, cost)?);
        waiting.as_mut().await;
        waiting.used();
        Ok(())
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
