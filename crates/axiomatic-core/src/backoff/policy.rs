use std::time::Duration;

use super::growth::Growth;
use super::{ConfigError, Delays, Jitter, Session};
use crate::time::saturating_nanos;

/// How long to wait before each retry.
///
/// A value of 48 bytes, which can stand in a `const`. Whatever is put into
/// it, no wait panics, wraps or exceeds the longest;
/// [`checked`](Backoff::checked) refuses what makes no sense.
#[derive(Copy, Clone, Debug)]
pub struct Backoff {
    growth: Growth,
    /// In nanoseconds, as the next: 584 years is the longest of all waits.
    longest: u64,
    longest_hint: u64,
    jitter: Jitter,
}

impl Backoff {
    /// Each wait as long as the others.
    pub const fn constant(wait: Duration) -> Self {
        let wait = nanos(wait);
        Self::new(Growth::Constant { wait }, wait)
    }

    /// Each wait longer than the last by a step.
    pub const fn linear(first: Duration, step: Duration, longest: Duration) -> Self {
        let (first, step) = (nanos(first), nanos(step));
        Self::new(Growth::Linear { first, step }, nanos(longest))
    }

    /// Each wait twice as long as the last.
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        Self::exponential_by(2, first, longest)
    }

    /// Each wait so many times as long as the last. For a factor between 1
    /// and 2, there is [`fibonacci`](Backoff::fibonacci).
    pub const fn exponential_by(factor: u32, first: Duration, longest: Duration) -> Self {
        let first = nanos(first);
        Self::new(Growth::Exponential { first, factor }, nanos(longest))
    }

    /// Each wait as long as the two before it together: 1, 1, 2, 3, 5 times
    /// the first. It grows by 1.6, in the long run.
    pub const fn fibonacci(first: Duration, longest: Duration) -> Self {
        let first = nanos(first);
        Self::new(Growth::Fibonacci { first }, nanos(longest))
    }

    /// Each wait anything between the first and three times the last one.
    ///
    /// It is a growth with dice of its own, so [`jitter`](Backoff::jitter) is
    /// off; one that is set shortens the walk's waits once more.
    pub const fn decorrelated(first: Duration, longest: Duration) -> Self {
        let first = nanos(first);
        Self::new(Growth::Decorrelated { first }, nanos(longest)).jitter(Jitter::Off)
    }

    /// Each wait what a function says, which is asked for the ceiling of the
    /// first wait with 0, of the second with 1 and so on.
    ///
    /// ```
    /// use axiomatic_core::backoff::{Backoff, Jitter};
    /// use std::time::Duration;
    ///
    /// const SECONDS: [u64; 4] = [1, 5, 60, 600];
    /// let backoff = Backoff::custom(
    ///     |retry| Duration::from_secs(SECONDS[SECONDS.len().min(retry as usize + 1) - 1]),
    ///     Duration::from_secs(600),
    /// );
    /// let waits = backoff.jitter(Jitter::Off).start().take(5);
    /// let waits: Vec<_> = waits.map(|wait| wait.as_secs()).collect();
    /// assert_eq!(waits, [1, 5, 60, 600, 600]);
    /// ```
    pub const fn custom(wait: fn(u32) -> Duration, longest: Duration) -> Self {
        Self::new(Growth::Custom(wait), nanos(longest))
    }

    const fn new(growth: Growth, longest: u64) -> Self {
        Backoff {
            growth,
            longest,
            longest_hint: nanos(Duration::from_secs(5)),
            jitter: Jitter::Full,
        }
    }

    /// How far the waits are shortened at random; fully by default.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// How far a server's `Retry-After` can prolong a wait; zero ignores it,
    /// 5 s is the default.
    #[must_use]
    pub const fn retry_after_up_to(mut self, longest: Duration) -> Self {
        self.longest_hint = nanos(longest);
        self
    }

    /// How far a hint can prolong a wait, for whoever gives up on a longer
    /// one rather than come early.
    pub const fn longest_hint(&self) -> Duration {
        Duration::from_nanos(self.longest_hint)
    }

    /// The same, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what does not. Used nevertheless, a first wait
    /// above the longest is as long as that, a share above 100 % is 100 %, and
    /// by a factor of 1 or 0 a wait stays what it is or ends.
    pub fn checked(self) -> Result<Self, ConfigError> {
        self.growth.check(self.longest)?;
        self.jitter.check()?;
        Ok(self)
    }

    /// The waits of a request, or of a lost connection, unlike those of any
    /// other. It costs nothing before the first of them is asked for.
    pub const fn start(&self) -> Delays {
        Delays::new(*self, Session::new())
    }

    /// The same waits for the same seed: for tests and simulations.
    pub const fn seeded(&self, seed: u64) -> Delays {
        Delays::new(*self, Session::seeded(seed))
    }

    /// The next wait of a session, for whoever keeps the two apart.
    ///
    /// `hint` is how long a server said that it does not want to be asked. It
    /// is clamped to what
    /// [`retry_after_up_to`](Backoff::retry_after_up_to) allows, and then the
    /// wait is counted from there: all those who were told the same come back
    /// later than told, and each at another time.
    ///
    /// ```
    /// use axiomatic_core::backoff::{Backoff, Session};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let backoff = Backoff::exponential(second / 10, second * 10);
    /// let wait = backoff.wait(&mut Session::new(), Some(second));
    /// assert!((second..=second + second / 10).contains(&wait));
    /// ```
    #[inline]
    pub fn wait(&self, session: &mut Session, hint: Option<Duration>) -> Duration {
        let ceiling = self.growth.ceiling(self.longest, session);
        let wait = self.jitter.shorten(ceiling, session);
        session.waited(ceiling);
        let asked = hint.map_or(0, saturating_nanos).min(self.longest_hint);
        Duration::from_nanos(wait.saturating_add(asked))
    }
}

/// [`saturating_nanos`], where only a `const fn` will do.
const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 {
        u64::MAX
    } else {
        nanos as u64
    }
}
