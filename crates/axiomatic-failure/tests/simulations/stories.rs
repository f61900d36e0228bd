//! The stories: 200 requests a second of many users, a client with 30
//! workers that wait a second at most, and a dependency that takes some 40
//! ms until something happens to it.

use std::ops::Range;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_sim::{Arrivals, Client, Dependency, Rate, Restart, Scenario, ServiceTime, Timeline};

/// A story, and what has to be known to judge it.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    /// What happens, for the page.
    pub(crate) about: &'static str,
    pub(crate) scenario: Scenario,
    /// Of each dependency, the service that it belongs to.
    pub(crate) services: Vec<usize>,
    /// How often a request is tried.
    pub(crate) attempts: u32,
    /// From the first sign of trouble to the last.
    pub(crate) fault: Range<Duration>,
    pub(crate) end: Duration,
}

/// How a story is told.
pub(crate) type Tell = fn() -> Story;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const USUAL: ServiceTime = ServiceTime::LogNormal {
    median: ms(30),
    p99: ms(150),
};

fn healthy() -> Dependency {
    Dependency::new(USUAL)
}

/// Of a healthy service too, one call in a thousand fails.
fn background() -> Timeline<Ratio> {
    Timeline::always(Ratio::per_mille(1))
}

fn client() -> Client {
    Client::new(30, s(1)).with_queue(30, ms(500))
}

fn load() -> Arrivals {
    Arrivals::poisson(Rate::per_second(200))
}

/// One service, of which so many calls fail.
fn failing(
    name: &'static str,
    about: &'static str,
    errors: Timeline<Ratio>,
    fault: Range<Duration>,
    end: Duration,
) -> Story {
    Story {
        name,
        about,
        scenario: Scenario::new(load(), client(), healthy().failing(errors)),
        services: vec![0],
        attempts: 1,
        fault,
        end,
    }
}

pub(crate) fn error_spike() -> Story {
    failing(
        "error spike, 100 %",
        "every call fails for 20 s",
        background().during(s(20)..s(40), Ratio::ONE),
        s(20)..s(40),
        s(70),
    )
}

pub(crate) fn small_error_spike() -> Story {
    failing(
        "error spike, 20 %",
        "one call in five fails for 20 s",
        background().during(s(20)..s(40), Ratio::percent(20)),
        s(20)..s(40),
        s(60),
    )
}

pub(crate) fn repeated_spikes() -> Story {
    let spikes = [20, 32, 44, 56].map(|begin| s(begin)..s(begin + 6));
    let errors = spikes.iter().cloned().fold(background(), |errors, spike| {
        errors.during(spike, Ratio::ONE)
    });
    failing(
        "repeated spikes",
        "every call fails for 6 s, four times, with 6 s between them",
        errors,
        s(20)..s(62),
        s(90),
    )
}

pub(crate) fn gradual_increase() -> Story {
    failing(
        "gradual increase",
        "errors rise to 100 % over 30 s, and are gone after another 10 s",
        background()
            .ramp(s(20)..s(50), Ratio::ONE)
            .then(s(60), Ratio::per_mille(1)),
        s(20)..s(60),
        s(90),
    )
}

pub(crate) fn near_threshold() -> Story {
    failing(
        "near the threshold",
        "45 % of the calls fail for 30 s, where 50 % would open",
        background().during(s(20)..s(50), Ratio::percent(45)),
        s(20)..s(50),
        s(80),
    )
}

pub(crate) fn oscillating() -> Story {
    let errors = (20..50).step_by(2).fold(background(), |errors, second| {
        errors.during(s(second)..s(second + 1), Ratio::ONE)
    });
    failing(
        "oscillating errors",
        "a second of errors and a second without, for 30 s",
        errors,
        s(20)..s(50),
        s(80),
    )
}

pub(crate) fn one_of_many() -> Story {
    let hung = Timeline::always(USUAL).during(s(20)..s(40), ServiceTime::Never);
    let mut scenario = Scenario::new(load(), client(), Dependency::new(hung));
    for _ in 1..10 {
        scenario = scenario.and(healthy().failing(background()));
    }
    Story {
        name: "one of ten endpoints hung",
        about: "a service has ten endpoints, and one of them hangs for 20 s",
        services: vec![0; scenario.dependencies()],
        scenario,
        attempts: 1,
        fault: s(20)..s(40),
        end: s(70),
    }
}

/// Four services that share a client's workers, of which the first changes.
fn beside_healthy_ones(
    name: &'static str,
    about: &'static str,
    client: Client,
    during_fault: ServiceTime,
) -> Story {
    let takes = Timeline::always(USUAL).during(s(20)..s(40), during_fault);
    let troubled = Dependency::new(takes).failing(background());
    let mut scenario = Scenario::new(load(), client, troubled);
    for _ in 1..4 {
        scenario = scenario.and(healthy().failing(background()));
    }
    Story {
        name,
        about,
        services: (0..scenario.dependencies()).collect(),
        scenario,
        attempts: 1,
        fault: s(20)..s(40),
        end: s(70),
    }
}

pub(crate) fn slow() -> Story {
    beside_healthy_ones(
        "slow dependency",
        "one of four services takes 900 ms for 20 s, and the client's workers with it",
        client(),
        ServiceTime::LogNormal {
            median: ms(900),
            p99: ms(1_800),
        },
    )
}

pub(crate) fn hung() -> Story {
    beside_healthy_ones(
        "hung dependency",
        "one of four services does not answer for 20 s, and takes the client's workers",
        client(),
        ServiceTime::Never,
    )
}

pub(crate) fn hung_and_patient() -> Story {
    beside_healthy_ones(
        "hung, long timeout",
        "the same, where the client waits 5 s for an answer and has 150 workers",
        Client::new(150, s(5)).with_queue(30, ms(500)),
        ServiceTime::Never,
    )
}

pub(crate) fn overload() -> Story {
    // A worker more or less is a call more or less that takes no time at
    // all, so the capacity is said by the service time.
    let takes = Timeline::always(ServiceTime::Exponential { mean: ms(80) })
        .during(s(20)..s(50), ServiceTime::Exponential { mean: ms(400) });
    Story {
        name: "overload",
        about: "a server of 20 workers serves a quarter of the load for 30 s, and says no at \
                once to who would be more than the tenth in line",
        scenario: Scenario::new(
            load(),
            Client::new(100, s(1)).with_queue(30, ms(500)),
            Dependency::new(takes).with_workers(20).with_places(10),
        ),
        services: vec![0],
        attempts: 1,
        fault: s(20)..s(50),
        end: s(80),
    }
}

pub(crate) fn sustained_load() -> Story {
    let server = Dependency::new(ServiceTime::Exponential { mean: ms(80) }).with_workers(20);
    Story {
        name: "sustained load",
        about: "a server of 20 workers is busy to 80 % for two minutes, and that is all; \
                the client has 100 workers",
        scenario: Scenario::new(
            load(),
            Client::new(100, s(1)).with_queue(30, ms(500)),
            server.failing(Ratio::percent(1)),
        ),
        services: vec![0],
        attempts: 1,
        fault: s(0)..s(120),
        end: s(120),
    }
}

pub(crate) fn recovery_under_load() -> Story {
    let takes = Timeline::always(ServiceTime::Exponential { mean: ms(80) })
        .during(s(20)..s(30), ServiceTime::Exponential { mean: ms(400) });
    Story {
        name: "recovery under load",
        about: "the same server is five times as slow for 10 s; the client has 500 workers, \
                and what timed out is tried again, up to three times in all",
        scenario: Scenario::new(
            load(),
            Client::new(500, s(1)).with_queue(100, ms(500)),
            Dependency::new(takes).with_workers(20),
        ),
        services: vec![0],
        attempts: 3,
        fault: s(20)..s(30),
        end: s(120),
    }
}

pub(crate) fn cold_start() -> Story {
    let restart = Restart {
        down_for: s(5),
        slower: 5,
        warm_after: s(6),
    };
    let server = Dependency::new(ServiceTime::Exponential { mean: ms(40) });
    Story {
        name: "cold start",
        about: "a server restarts, is down for 5 s, and five times as slow at first; after \
                another 6 s it is warm. It has 10 workers, and restarts again when 50 requests wait",
        scenario: Scenario::new(
            load(),
            Client::new(500, s(1)).with_queue(100, ms(500)),
            server
                .with_workers(10)
                .with_places(50)
                .restarting(s(20), restart),
        ),
        services: vec![0],
        attempts: 1,
        fault: s(20)..s(25),
        end: s(100),
    }
}

/// All of them, in the order of the page.
pub(crate) const ALL: &[Tell] = &[
    error_spike,
    small_error_spike,
    repeated_spikes,
    gradual_increase,
    near_threshold,
    oscillating,
    one_of_many,
    slow,
    hung,
    hung_and_patient,
    overload,
    sustained_load,
    recovery_under_load,
    cold_start,
];
