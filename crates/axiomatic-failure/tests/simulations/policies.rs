//! What is judged: the columns. To add one, add it to [`POLICIES`] and, if
//! it promises something, to the thresholds in `simulations.rs`; then bless
//! the page.

use std::time::Duration;

use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Ratio, Rejected};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, Config, HalfOpen, OpenFor, OwnedPermit, TripWhen, Window,
};
use axiomatic_sim::{Call, End, Policy};

const SECOND: Duration = Duration::from_secs(1);

/// A policy, by its name on the page.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// What it is, for the legend.
    pub(crate) about: &'static str,
    pub(crate) guard: Guard,
}

/// What stands before a call. A breaker that is not made of a [`Config`] is
/// one more variant here and one more in [`Guarded`].
#[derive(Copy, Clone)]
pub(crate) enum Guard {
    Nothing,
    /// A breaker for each service, over all of its endpoints.
    PerService(fn(ManualClock) -> Config),
    /// A breaker for each endpoint. It differs where a service has several,
    /// and is shown only there.
    PerEndpoint(fn(ManualClock) -> Config),
}

pub(crate) const POLICIES: &[Named] = &[
    Named {
        name: WITHOUT,
        about: "timeouts only",
        guard: Guard::Nothing,
    },
    Named {
        name: CLASSIC,
        about: "half of at least 20 calls in 10 s failed or were slow; \
                open for 1 s, doubling to 60 s; 3 probes: the defaults, and a \
                threshold for slowness",
        guard: Guard::PerService(classic),
    },
    Named {
        name: SHORT,
        about: "the same over 2 s, doubling to 4 s",
        guard: Guard::PerService(short),
    },
    Named {
        name: PER_ENDPOINT,
        about: "a classic one for each endpoint",
        guard: Guard::PerEndpoint(classic),
    },
];

pub(crate) const WITHOUT: &str = "without";
pub(crate) const CLASSIC: &str = "classic";
pub(crate) const SHORT: &str = "short window";
pub(crate) const PER_ENDPOINT: &str = "classic, per endpoint";

/// From where on a call is slow: some ten times the usual.
const SLOW: Duration = Duration::from_millis(400);

fn classic(clock: ManualClock) -> Config {
    Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::failure_or_slow_rate(Ratio::percent(50), 20))
        .slow_after(SLOW)
        .open_for(OpenFor::backoff(SECOND, 60 * SECOND))
        .half_open(HalfOpen::successes(3))
        .clock(Clock::Manual(clock))
}

fn short(clock: ManualClock) -> Config {
    Config::new(Window::last(2 * SECOND))
        .trip_when(TripWhen::failure_or_slow_rate(Ratio::percent(50), 20))
        .slow_after(SLOW)
        .open_for(OpenFor::backoff(SECOND, 4 * SECOND))
        .half_open(HalfOpen::successes(3))
        .clock(Clock::Manual(clock))
}

/// A guard at work in one run.
pub(crate) enum Guarded {
    Nothing,
    /// The breakers, and which of them guards which dependency.
    Breakers(Vec<CircuitBreaker>, Vec<usize>),
}

impl Guarded {
    /// `services` says of each dependency of the story which service it
    /// belongs to.
    pub(crate) fn new(guard: Guard, services: &[usize], seed: u64, clock: &ManualClock) -> Self {
        let (config, places): (_, Vec<usize>) = match guard {
            Guard::Nothing => return Guarded::Nothing,
            Guard::PerService(config) => (config, services.to_vec()),
            Guard::PerEndpoint(config) => (config, (0..services.len()).collect()),
        };
        let breaker = |number| {
            let config = config(clock.clone()).seed(seed + number as u64);
            config.build().expect("a policy that can work")
        };
        let breakers = places.iter().max().map_or(0, |last| last + 1);
        Guarded::Breakers((0..breakers).map(breaker).collect(), places)
    }
}

impl Policy for Guarded {
    type Permit = Option<OwnedPermit>;

    fn admit(&mut self, call: Call, now: Instant) -> Result<Self::Permit, Rejected> {
        match self {
            Guarded::Nothing => Ok(None),
            Guarded::Breakers(breakers, places) => {
                breakers[places[call.dependency]].admit_owned(now).map(Some)
            }
        }
    }

    fn record(&mut self, permit: Self::Permit, now: Instant, end: End) {
        if let Some(permit) = permit {
            permit.record(now, end.outcome());
        }
    }
}
