use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::time::Clock;
use axiomatic_core::{Mode, Name, Ratio};
use axiomatic_failure::circuit_breaker::{
    self, CircuitBreaker, HalfOpen, OpenFor, TripWhen, Window,
};

use super::gcra::Limit;
use super::key::Prefix;
use super::{ConfigError, OnFailure, RedisRateLimiter};

/// What a limit over Redis is.
///
/// ```
/// use axiomatic_capacity::rate_limit::Quota;
/// use axiomatic_redis::rate_limit::{Config, Lease, OnFailure};
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let some = |n| NonZeroU32::new(n).ok_or("nothing");
/// let config = Config::new(
///     "api",
///     Quota::per_second(some(500)?).burst(some(100)?),
///     OnFailure::LocalShare { peers: some(4)?, overshoot: some(40)? },
/// )
/// .named("api")
/// .timeout(Duration::from_millis(20))
/// .lease(Lease::of(some(10)?).lasting(Duration::from_secs(1)));
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) prefix: Box<str>,
    pub(super) quota: Quota,
    pub(super) on_failure: OnFailure,
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) clock: Clock,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) lease: Option<Lease>,
    pub(super) keys: NonZeroU32,
    /// The first time for which Redis is left alone, and the longest.
    pub(super) left_alone: (Duration, Duration),
}

/// Tokens that a process takes at once, and spends without asking Redis.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) batch: NonZeroU32,
    pub(super) lasting: Duration,
}

impl Lease {
    /// So many tokens of a key at a time, for a second.
    pub const fn of(batch: NonZeroU32) -> Self {
        Lease {
            batch,
            lasting: Duration::from_secs(1),
        }
    }

    /// For how long they are kept. What was not spent by then is given back.
    #[must_use]
    pub const fn lasting(mut self, lasting: Duration) -> Self {
        self.lasting = lasting;
        self
    }

    fn check(&self, quota: Quota) -> Result<(), ConfigError> {
        if self.batch > quota.at_once() || self.batch.get() > super::lease_cell::MOST {
            return Err(ConfigError::Batch(self.batch));
        }
        let lasting = Duration::from_millis(10)..=Duration::from_secs(3_600);
        if !lasting.contains(&self.lasting) {
            return Err(ConfigError::Lasting(self.lasting));
        }
        Ok(())
    }
}

impl Config {
    /// The longest time to wait for Redis.
    pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

    /// A quota for each key, shared by all processes that have this prefix,
    /// and what becomes of calls while Redis does not answer.
    pub fn new(prefix: impl Into<Box<str>>, quota: Quota, on_failure: OnFailure) -> Self {
        Config {
            prefix: prefix.into(),
            quota,
            on_failure,
            name: Name::UNNAMED,
            mode: Mode::Enforce,
            clock: Clock::default(),
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(1),
            lease: None,
            keys: NonZeroU32::MIN.saturating_add(9_999),
            left_alone: (Duration::from_millis(250), Duration::from_secs(5)),
        }
    }

    /// The name in refusals, events and metrics.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether it acts on its decisions; [`Mode::Enforce`] by default.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The clock of the breaker, of leases and of local shares. The quota
    /// itself is kept by the clock of Redis.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long a call waits for Redis, 100 ms by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long it may take to connect, a second by default. No call waits for
    /// it longer than its own timeout; a connection that takes longer serves
    /// later ones.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Takes tokens in batches. Without it every call asks Redis.
    #[must_use]
    pub fn lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// For how many keys a lease and a local share can be kept, 10,000 of each
    /// by default. Keys beyond that have no lease, and share one local share.
    #[must_use]
    pub fn keys(mut self, most: NonZeroU32) -> Self {
        self.keys = most;
        self
    }

    /// How long Redis is left alone once it does not answer: after 5 failures
    /// in a row, or when half of at least 20 calls in 10 s failed, a breaker
    /// asks it nothing for the first of these times, which doubles to the
    /// longest while that helps nothing; 250 ms and 5 s by default. Each time
    /// is shortened at random by up to a half, so that processes do not come
    /// back in step. Then one call at a time asks, until two were answered.
    #[must_use]
    pub fn left_alone_for(mut self, first: Duration, longest: Duration) -> Self {
        self.left_alone = (first, longest);
        self
    }

    /// The most that so many processes with this configuration admit of a key
    /// in any stretch of time in which Redis went away so many times; none if
    /// there is no bound.
    ///
    /// It is the burst and what comes in the time; what leases hold when it
    /// begins; and for each time that Redis went away, a burst, and with local
    /// shares the overshoot, and what comes at the rate in the time in which
    /// some processes have not noticed yet that it is back. That is as long as
    /// it is left alone at the most, and two timeouts. An outage is what the
    /// processes see: a single call that finds no answer in time is one.
    ///
    /// ```
    /// # use axiomatic_capacity::rate_limit::Quota;
    /// # use axiomatic_redis::rate_limit::{Config, OnFailure};
    /// # use std::num::NonZeroU32;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let some = |n| NonZeroU32::new(n).ok_or("nothing");
    /// let quota = Quota::per_second(some(500)?).burst(some(100)?);
    /// let share = OnFailure::LocalShare { peers: some(4)?, overshoot: some(40)? };
    /// let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    /// let config = Config::new("api", quota, share)
    ///     .timeout(second / 20)
    ///     .left_alone_for(second / 4, second * 9 / 10);
    /// let within = |outages| config.most_admitted(NonZeroU32::MIN, minute, outages);
    /// assert_eq!(within(0), Some(100 + 30_000 + 1));
    /// // A burst, the one process's part of the overshoot, and a second more.
    /// assert_eq!(within(1), Some(100 + 30_000 + 1 + 100 + 10 + 500));
    /// # Ok(())
    /// # }
    /// ```
    pub fn most_admitted(
        &self,
        processes: NonZeroU32,
        within: Duration,
        outages: u32,
    ) -> Option<u64> {
        let (count, burst) = (self.quota.count().get(), self.quota.at_once().get());
        let processes = u128::from(processes.get());
        let leased = self.lease.map_or(0, |lease| lease.batch.get());
        // Redis counts whole microseconds, so a stretch may seem to be one
        // longer than it is.
        let mut nanos = within.as_nanos().saturating_add(1_000);
        let (mut rate, mut each) = ((1, 1), u128::from(burst));
        if outages > 0 {
            match self.on_failure {
                OnFailure::FailOpen => return None,
                OnFailure::FailClosed => {}
                OnFailure::LocalShare { peers, overshoot } => {
                    let peers = u128::from(peers.get());
                    rate = (processes.max(peers), peers);
                    each += (u128::from(overshoot.get()) / peers) * processes;
                    let unnoticed = self.left_alone.1 + 2 * self.timeout;
                    nanos += u128::from(outages) * unnoticed.as_nanos();
                }
            }
        }
        let come = nanos
            .saturating_mul(u128::from(count))
            .saturating_mul(rate.0)
            .div_ceil(self.quota.period().as_nanos().max(1).saturating_mul(rate.1));
        let most = come
            .saturating_add(u128::from(burst))
            .saturating_add(u128::from(leased) * processes)
            .saturating_add(u128::from(outages) * each);
        Some(u64::try_from(most).unwrap_or(u64::MAX))
    }

    /// A limiter that connects with the first call that needs it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn build(self, client: redis::Client) -> Result<RedisRateLimiter, ConfigError> {
        let parts = self.parts()?;
        Ok(RedisRateLimiter::assemble(client, self, parts))
    }

    fn parts(&self) -> Result<Parts, ConfigError> {
        let prefix = Prefix::new(&self.prefix).ok_or(ConfigError::Prefix)?;
        let limit = Limit::new(self.quota).map_err(ConfigError::Quota)?;
        let share = self.on_failure.share(self.quota)?;
        if let Some(lease) = self.lease {
            lease.check(self.quota)?;
        }
        for timeout in [self.timeout, self.connect_timeout] {
            if timeout.is_zero() || timeout > Self::LONGEST_TIMEOUT {
                return Err(ConfigError::Timeout(timeout));
            }
        }
        let (first, longest) = self.left_alone;
        let breaker = circuit_breaker::Config::new(Window::last(Duration::from_secs(10)))
            .named(self.name)
            .clock(self.clock.clone())
            .trip_when(
                TripWhen::consecutive_failures(5)
                    .or(TripWhen::failure_rate(Ratio::percent(50), 20)),
            )
            .open_for(OpenFor::backoff(first, longest).jittered(Ratio::percent(50)))
            .half_open(HalfOpen::successes(2).concurrent(1));
        Ok(Parts {
            prefix,
            limit,
            share,
            breaker: breaker.build().map_err(ConfigError::Breaker)?,
        })
    }
}

/// What was made of a configuration that can work.
pub(super) struct Parts {
    pub(super) prefix: Prefix,
    pub(super) limit: Limit,
    pub(super) share: Option<Limit>,
    pub(super) breaker: CircuitBreaker,
}
