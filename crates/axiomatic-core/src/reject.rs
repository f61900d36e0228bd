//! A refusal is data: [`Rejected`] says what refused, why, and when to come
//! back, and any error type can carry it.

mod refusable;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::time::saturating_nanos;
use crate::{Name, Outcome};

pub use refusable::Refusable;

/// The error type of a stack whose layers do not agree on one: tower's.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A call that one of our patterns turned away or gave up.
///
/// It is `Copy` and allocates nothing, so that saying no stays cheap when
/// there is least to spend.
///
/// ```
/// use axiomatic_core::{Name, Pattern, Reason, Rejected};
/// use std::time::Duration;
///
/// let no = Rejected::new(Pattern::CircuitBreaker, Reason::Open)
///     .with_name(Name::from("payment"))
///     .with_retry_after(Duration::from_millis(1500));
/// assert_eq!(no.to_string(), "circuit breaker payment is open; try again in 1.5s");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejected {
    name: Name,
    /// All ones if it is not known. Not an optional `Duration`, which is twice
    /// as large and costs a division to make.
    retry_after_nanos: u64,
    pattern: Pattern,
    reason: Reason,
}

const UNKNOWN: u64 = u64::MAX;

impl Rejected {
    /// A rejection by an unnamed mechanism that cannot say until when.
    #[inline]
    pub const fn new(pattern: Pattern, reason: Reason) -> Self {
        Rejected {
            name: Name::UNNAMED,
            retry_after_nanos: UNKNOWN,
            pattern,
            reason,
        }
    }

    /// The same, from a mechanism of this name.
    #[inline]
    #[must_use]
    pub const fn with_name(mut self, name: Name) -> Self {
        self.name = name;
        self
    }

    /// The same, with the time after which asking again makes sense.
    #[inline]
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.with_retry_after_nanos(saturating_nanos(wait))
    }

    /// The same in nanoseconds, which is what a mechanism has at hand.
    #[inline]
    #[must_use]
    pub const fn with_retry_after_nanos(mut self, wait: u64) -> Self {
        // The longest wait is 584 years, and the next longer one is unknown.
        self.retry_after_nanos = if wait == UNKNOWN { UNKNOWN - 1 } else { wait };
        self
    }

    /// Why.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Which pattern said so.
    pub const fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// The name of the mechanism that said so.
    pub const fn name(&self) -> Name {
        self.name
    }

    /// How long to wait before asking again, where the mechanism knows.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.retry_after_nanos {
            UNKNOWN => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pattern)?;
        if self.name != Name::UNNAMED {
            write!(f, " {}", self.name)?;
        }
        write!(f, " {}", self.reason)?;
        match self.retry_after() {
            Some(wait) => write!(f, "; try again in {wait:.1?}"),
            None => Ok(()),
        }
    }
}

impl Error for Rejected {}

/// Why a call was rejected.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The circuit is open.
    Open,
    /// It was called without being ready.
    NotReady,
    /// Every slot is taken.
    Full,
    /// Every slot is taken, and so is every place to wait for one.
    QueueFull,
    /// It waited for a slot as long as it may.
    WaitedTooLong,
    /// The rate is spent.
    Limited,
    /// The load is shed.
    Shed,
    /// What decides is shared with other processes, cannot be reached, and
    /// nothing may pass without it.
    Unreachable,
    /// The deadline had passed before the call began.
    Expired,
    /// The call began, and its time ran out.
    Elapsed,
    /// The call was made and failed, what it was answered with is gone, and it
    /// was not made again after all.
    Unrepeated,
}

/// On which side of the call a rejection arose.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The inner service was not called.
    Refused,
    /// The inner service was called, and given up.
    Abandoned,
}

impl Reason {
    /// Whether the inner service had been called.
    pub const fn side(self) -> Side {
        match self {
            Reason::Elapsed | Reason::Unrepeated => Side::Abandoned,
            Reason::Open
            | Reason::NotReady
            | Reason::Full
            | Reason::QueueFull
            | Reason::WaitedTooLong
            | Reason::Limited
            | Reason::Shed
            | Reason::Unreachable
            | Reason::Expired => Side::Refused,
        }
    }

    /// What a rejection is worth as evidence, decided here and nowhere else:
    /// a call that was refused says nothing about the dependency, a call
    /// that was given up says that it did not answer.
    pub const fn outcome(self) -> Outcome {
        match self.side() {
            Side::Refused => Outcome::Ignored,
            Side::Abandoned => Outcome::Transient,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Open => "is open",
            Reason::NotReady => "was called without being ready",
            Reason::Full => "is full",
            Reason::QueueFull => "is full, and so is its queue",
            Reason::WaitedTooLong => "had no slot in time",
            Reason::Limited => "has no tokens left",
            Reason::Shed => "sheds load",
            Reason::Unreachable => "cannot reach its store",
            Reason::Expired => "refused a call whose deadline had passed",
            Reason::Elapsed => "ran out of time",
            Reason::Unrepeated => "failed, and was not repeated after all",
        })
    }
}

/// The pattern that rejected a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// `axiomatic-failure::circuit_breaker`.
    CircuitBreaker,
    /// `axiomatic-failure::retry`.
    Retry,
    /// `axiomatic-latency::timeout`.
    Timeout,
    /// `axiomatic-latency::hedge`.
    Hedge,
    /// `axiomatic-capacity::bulkhead`.
    Bulkhead,
    /// `axiomatic-capacity::adaptive`.
    AdaptiveLimit,
    /// `axiomatic-capacity::rate_limit`.
    RateLimiter,
    /// `axiomatic-capacity::load_shed`.
    LoadShedder,
    /// `axiomatic-capacity::load_shed::throttle`.
    Throttler,
    /// `axiomatic-capacity::load_shed::fail_fast`.
    FailFast,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pattern::CircuitBreaker => "circuit breaker",
            Pattern::Retry => "retry",
            Pattern::Timeout => "timeout",
            Pattern::Hedge => "hedge",
            Pattern::Bulkhead => "bulkhead",
            Pattern::AdaptiveLimit => "adaptive limit",
            Pattern::RateLimiter => "rate limiter",
            Pattern::LoadShedder => "load shedder",
            Pattern::Throttler => "throttler",
            Pattern::FailFast => "fail-fast",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_was_made_is_evidence() {
        for abandoned in [Reason::Elapsed, Reason::Unrepeated] {
            assert_eq!(abandoned.outcome(), Outcome::Transient);
        }
        for refused in [
            Reason::Open,
            Reason::NotReady,
            Reason::Full,
            Reason::QueueFull,
            Reason::WaitedTooLong,
            Reason::Limited,
            Reason::Shed,
            Reason::Unreachable,
            Reason::Expired,
        ] {
            assert_eq!(refused.outcome(), Outcome::Ignored, "{refused:?}");
        }
    }
}
