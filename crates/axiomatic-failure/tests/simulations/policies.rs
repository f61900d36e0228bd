//! What is judged: the columns. To add one, add it to [`POLICIES`] and, if
//! it promises something, to the thresholds in `simulations.rs`; then bless
//! the page.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Ratio, Rejected};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, Config, HalfOpen, KeyedCircuitBreaker, OpenFor, OwnedPermit, Ramp,
    TripWhen, Window,
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
        about: "half of at least 20 calls in 10 s failed or took 400 ms; \
                open for 1 s, doubling to 60 s; 3 probes",
        guard: Guard::PerService(classic),
    },
    Named {
        name: PROMPT,
        about: "the classic one, its openings doubling to 5 s only: the defaults, and a \
                threshold for slowness",
        guard: Guard::PerService(prompt),
    },
    Named {
        name: SHORT,
        about: "the classic one over 2 s, its openings doubling to 4 s",
        guard: Guard::PerService(short),
    },
    Named {
        name: IN_FLIGHT,
        about: "the short window, and a call counts as slow as soon as it is",
        guard: Guard::PerService(in_flight),
    },
    Named {
        name: RAMP,
        about: "the short window, and once the probes were good 5, 10, 25 and 50 % of the \
                calls pass, for 2 s each",
        guard: Guard::PerService(ramp),
    },
    Named {
        name: ACCEPTING,
        about: "never opens; lets twice as much through as worked in the last 5 s, \
                set anew every 500 ms",
        guard: Guard::PerService(accepting),
    },
    Named {
        name: STEERING,
        about: "never opens; refuses more until no more than 2 % fail of what passes in 5 s, \
                a step every 500 ms",
        guard: Guard::PerService(steering),
    },
    Named {
        name: DUAL,
        about: "the short window, and below its threshold the controller",
        guard: Guard::PerService(dual),
    },
    Named {
        name: KEYED,
        about: "a classic one for each endpoint",
        guard: Guard::PerEndpoint(classic),
    },
];

pub(crate) const WITHOUT: &str = "without";
pub(crate) const CLASSIC: &str = "classic";
pub(crate) const PROMPT: &str = "prompt";
pub(crate) const SHORT: &str = "short window";
pub(crate) const IN_FLIGHT: &str = "slow in flight";
pub(crate) const RAMP: &str = "ramp";
pub(crate) const ACCEPTING: &str = "accepting";
pub(crate) const STEERING: &str = "steering";
pub(crate) const DUAL: &str = "dual";
pub(crate) const KEYED: &str = "keyed";

/// From where on a call is slow: some ten times the usual.
const SLOW: Duration = Duration::from_millis(400);

fn classic(clock: ManualClock) -> Config {
    breaker(10 * SECOND, OpenFor::backoff(SECOND, 60 * SECOND), clock)
}

fn prompt(clock: ManualClock) -> Config {
    breaker(10 * SECOND, OpenFor::backoff(SECOND, 5 * SECOND), clock)
}

fn short(clock: ManualClock) -> Config {
    breaker(2 * SECOND, OpenFor::backoff(SECOND, 4 * SECOND), clock)
}

/// Half of at least 20 calls in so long; 3 probes.
pub(crate) fn breaker(window: Duration, open_for: OpenFor, clock: ManualClock) -> Config {
    Config::new(Window::last(window))
        .trip_when(TripWhen::failure_or_slow_rate(Ratio::percent(50), 20))
        .slow_after(SLOW)
        .open_for(open_for)
        .half_open(HalfOpen::successes(3))
        .clock(Clock::Manual(clock))
}

fn in_flight(clock: ManualClock) -> Config {
    short(clock).slow_in_flight()
}

fn ramp(clock: ManualClock) -> Config {
    short(clock).ramp(Ramp::over(8 * SECOND))
}

fn accepting(clock: ManualClock) -> Config {
    adaptive(clock).adaptive(Adaptive::accepting(Ratio::percent(200)).every(SECOND / 2))
}

fn steering(clock: ManualClock) -> Config {
    adaptive(clock).adaptive(controller())
}

fn dual(clock: ManualClock) -> Config {
    short(clock).dual(controller())
}

/// What the two have in common that never open.
fn adaptive(clock: ManualClock) -> Config {
    Config::new(Window::last(5 * SECOND))
        .slow_after(SLOW)
        .clock(Clock::Manual(clock))
}

fn controller() -> Adaptive {
    Adaptive::steering(Ratio::percent(2)).every(SECOND / 2)
}

/// A guard at work in one run.
pub(crate) enum Guarded {
    Nothing,
    /// The breakers, and which of them guards which dependency.
    Breakers(Vec<CircuitBreaker>, Vec<usize>),
    Keyed(KeyedCircuitBreaker<usize>),
}

/// More endpoints than any story has.
const ENDPOINTS: NonZeroU32 = NonZeroU32::new(100).unwrap();

impl Guarded {
    /// `services` says of each dependency of the story which service it
    /// belongs to.
    pub(crate) fn new(guard: Guard, services: &[usize], seed: u64, clock: &ManualClock) -> Self {
        match guard {
            Guard::Nothing => Guarded::Nothing,
            Guard::PerService(config) => Self::per_service(config, services, seed, clock),
            Guard::PerEndpoint(config) => {
                let config = config(clock.clone()).seed(seed);
                let keyed = KeyedCircuitBreaker::new(config, ENDPOINTS, WhenFull::Shared);
                Guarded::Keyed(keyed.expect("a policy that can work"))
            }
        }
    }

    /// A breaker for each service.
    pub(crate) fn per_service(
        config: impl Fn(ManualClock) -> Config,
        services: &[usize],
        seed: u64,
        clock: &ManualClock,
    ) -> Self {
        let breaker = |number| {
            let config = config(clock.clone()).seed(seed + number as u64);
            config.build().expect("a policy that can work")
        };
        let breakers = services.iter().max().map_or(0, |last| last + 1);
        Guarded::Breakers((0..breakers).map(breaker).collect(), services.to_vec())
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
            Guarded::Keyed(breakers) => breakers.admit_owned(&call.dependency, now).map(Some),
        }
    }

    fn record(&mut self, permit: Self::Permit, now: Instant, end: End) {
        if let Some(permit) = permit {
            permit.record(now, end.outcome());
        }
    }
}
