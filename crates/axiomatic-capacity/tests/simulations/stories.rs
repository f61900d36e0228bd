//! The stories, and what is asked of an algorithm in each. What a run is and
//! what can be measured in it stands in `run.rs`.
//!
//! It is one file because a gate is read next to the story that it belongs to,
//! and to the gates of the others.

use std::time::Duration;

use axiomatic_sim::{Arrivals, Client, Dependency, Rate, Scenario, ServiceTime, Timeline};

use crate::policies::Named;
use crate::run::{Run, goodput, least_of_greatest, settled, slowness};

pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const USUAL: ServiceTime = ServiceTime::LogNormal {
    median: ms(40),
    p99: ms(160),
};

/// A story, and what is asked of an algorithm in it.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    /// What happens, for the page.
    pub(crate) about: &'static str,
    pub(crate) scenario: Scenario,
    pub(crate) end: Duration,
    pub(crate) gates: Vec<Gate>,
}

/// What is promised of a story, and measured in a run of it.
pub(crate) struct Gate {
    pub(crate) promise: &'static str,
    pub(crate) bound: Bound,
    pub(crate) unit: Unit,
    pub(crate) measure: fn(&Run, &Named, u64) -> u64,
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Bound {
    AtLeast(u64),
    AtMost(u64),
}

impl Bound {
    pub(crate) fn holds(self, figure: u64) -> bool {
        match self {
            Bound::AtLeast(least) => figure >= least,
            Bound::AtMost(most) => figure <= most,
        }
    }

    pub(crate) fn worst(self, figures: &[u64]) -> u64 {
        let worst = match self {
            Bound::AtLeast(_) => figures.iter().min(),
            Bound::AtMost(_) => figures.iter().max(),
        };
        worst.copied().unwrap_or(0)
    }
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Unit {
    /// In thousandths.
    Share,
    Calls,
    Millis,
}

/// How a story is told.
pub(crate) type Tell = fn() -> Story;

pub(crate) const ALL: &[Tell] = &[
    capacity_steps,
    half_lost,
    most_lost,
    fast_outlier,
    one_in_flight,
    two_clients,
    eight_clients,
    pinned,
    long_overload,
    slower,
    steady_load,
];

fn client() -> Client {
    Client::new(10_000, s(1))
}

fn load(rate: impl Into<Timeline<Rate>>) -> Arrivals {
    Arrivals::poisson(rate)
}

/// A story of one client and the usual server, which has so many workers.
fn one(rate: impl Into<Timeline<Rate>>, workers: impl Into<Timeline<usize>>) -> Scenario {
    let server = Dependency::new(USUAL).with_workers(workers);
    Scenario::new(load(rate), client(), server)
}

const OVERLOAD: Rate = Rate::per_second(1_200);

/// What the optimum is found in.
pub(crate) fn overloaded(workers: usize, end: Duration) -> Story {
    Story {
        name: "overload",
        about: "too much to do",
        scenario: one(OVERLOAD, workers),
        end,
        gates: Vec::new(),
    }
}

pub(crate) fn capacity_steps() -> Story {
    Story {
        name: "capacity steps",
        about: "a server of 20 workers has 40 for a minute, and then 20 again",
        scenario: one(OVERLOAD, Timeline::always(20).during(s(60)..s(120), 40)),
        end: s(180),
        gates: vec![
            Gate {
                promise: "from the step up to goodput of nine tenths",
                bound: Bound::AtMost(5_000),
                unit: Unit::Millis,
                measure: |run, _, _| settled(run, s(60)..s(120), 40),
            },
            Gate {
                promise: "from 5 s after the step up on, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(65)..s(120), 40),
            },
            Gate {
                promise: "from 5 s after the step down on, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(125)..s(180), 20),
            },
            Gate {
                promise: "after both, latency of the unloaded",
                bound: Bound::AtMost(2_000),
                unit: Unit::Share,
                measure: |run, _, _| {
                    slowness(run, s(65)..s(120)).max(slowness(run, s(125)..s(180)))
                },
            },
        ],
    }
}

pub(crate) fn half_lost() -> Story {
    let workers = Timeline::always(40).during(s(60)..s(120), 20);
    let server = Dependency::new(USUAL).with_workers(workers);
    Story {
        name: "half of the capacity lost",
        about: "of 40 workers 20 are gone for a minute, and callers wait 300 ms at most",
        scenario: Scenario::new(load(OVERLOAD), Client::new(10_000, ms(300)), server),
        end: s(180),
        gates: vec![
            Gate {
                promise: "from 5 s after the loss on, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(65)..s(120), 20),
            },
            Gate {
                promise: "from its return to goodput of nine tenths",
                bound: Bound::AtMost(5_000),
                unit: Unit::Millis,
                measure: |run, _, _| settled(run, s(120)..s(180), 40),
            },
            Gate {
                promise: "from 5 s after its return on, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(125)..s(180), 40),
            },
        ],
    }
}

/// A limit that doubts its baseline whenever a decrease shortens nothing must
/// not go on doubting when what shortens nothing is a line that still grows.
pub(crate) fn most_lost() -> Story {
    let workers = Timeline::always(40).then(s(60), 10);
    let server = Dependency::new(USUAL).with_workers(workers);
    Story {
        name: "most of the capacity lost",
        about: "of 40 workers 30 are gone from the second minute on",
        scenario: Scenario::new(load(OVERLOAD), client(), server),
        end: s(120),
        gates: vec![
            Gate {
                promise: "from 10 s after the loss on, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(70)..s(120), 10),
            },
            Gate {
                promise: "from 10 s after the loss on, latency of the unloaded",
                bound: Bound::AtMost(2_000),
                unit: Unit::Share,
                measure: |run, _, _| slowness(run, s(70)..s(120)),
            },
        ],
    }
}

pub(crate) fn fast_outlier() -> Story {
    // A call at each full second and at each half; the one at 60 s is fast.
    let takes = Timeline::always(USUAL).during(s(60)..s(60) + ms(1), ServiceTime::Constant(ms(4)));
    let rate = Timeline::always(Rate::per_second(2)).then(s(90), OVERLOAD);
    let server = Dependency::new(takes).with_workers(20);
    Story {
        name: "a fast outlier",
        about: "at two calls a second one answer comes ten times too fast; half a minute \
                later there is load",
        scenario: Scenario::new(Arrivals::evenly(rate), client(), server),
        end: s(120),
        gates: vec![Gate {
            promise: "from 5 s after the load came on, goodput of the optimum",
            bound: Bound::AtLeast(900),
            unit: Unit::Share,
            measure: |run, _, _| goodput(run, s(95)..s(120), 20),
        }],
    }
}

pub(crate) fn one_in_flight() -> Story {
    Story {
        name: "one in flight",
        about: "ten calls a second for ten minutes, rarely more than one at a time",
        scenario: one(Rate::per_second(10), 20),
        end: s(600),
        gates: vec![Gate {
            promise: "the limit grows from 20 by at most",
            bound: Bound::AtMost(0),
            unit: Unit::Calls,
            measure: |run, _, _| u64::from(run.highest(s(0)..s(600)).saturating_sub(20)),
        }],
    }
}

pub(crate) fn two_clients() -> Story {
    let rate = Rate::per_second(600);
    let late = Timeline::always(Rate::NOTHING).then(s(60), rate);
    Story {
        name: "two clients",
        about: "two that know nothing of each other call one server of 20 workers, one of them \
                from the second minute on",
        scenario: one(rate, 20).beside(load(late), client()),
        end: s(480),
        gates: vec![
            Gate {
                promise: "in the last five minutes, the lesser share of the greater",
                bound: Bound::AtLeast(800),
                unit: Unit::Share,
                measure: |run, _, _| least_of_greatest(run, s(180)..s(480)),
            },
            Gate {
                promise: "goodput of both of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(180)..s(480), 20),
            },
            Gate {
                promise: "latency of the unloaded",
                bound: Bound::AtMost(2_000),
                unit: Unit::Share,
                measure: |run, _, _| slowness(run, s(180)..s(480)),
            },
        ],
    }
}

/// What no client can tell alone: whether the dependency is slow, or the line
/// is made by others.
pub(crate) fn eight_clients() -> Story {
    const CLIENTS: usize = 8;
    let rate = Rate::per_second(250);
    let others = 1..CLIENTS;
    let scenario = others.fold(one(rate, 40), |scenario, _| {
        scenario.beside(load(rate), client())
    });
    Story {
        name: "eight clients",
        about: "eight that know nothing of each other call one server of 40 workers for ten \
                minutes",
        scenario,
        end: s(600),
        gates: vec![
            Gate {
                promise: "in the last five minutes, goodput of all of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(300)..s(600), 40),
            },
            Gate {
                promise: "in the last five minutes, latency of the unloaded",
                bound: Bound::AtMost(6_000),
                unit: Unit::Share,
                measure: |run, _, _| slowness(run, s(300)..s(600)),
            },
            Gate {
                promise: "in the last five minutes, the least share of the greatest",
                bound: Bound::AtLeast(800),
                unit: Unit::Share,
                measure: |run, _, _| least_of_greatest(run, s(300)..s(600)),
            },
        ],
    }
}

pub(crate) fn pinned() -> Story {
    let takes = Timeline::always(USUAL).during(s(30)..s(60), ServiceTime::Constant(s(2)));
    let server = Dependency::new(takes).with_workers(20);
    Story {
        name: "pinned at the timeout",
        about: "for 30 s each call takes two seconds, and its caller waits one",
        scenario: Scenario::new(load(Rate::per_second(600)), client(), server),
        end: s(120),
        gates: vec![
            Gate {
                promise: "after 15 s the limit is at most",
                bound: Bound::AtMost(2),
                unit: Unit::Calls,
                measure: |run, _, _| u64::from(run.highest(s(45)..s(60))),
            },
            Gate {
                promise: "from its end to goodput of nine tenths",
                bound: Bound::AtMost(8_000),
                unit: Unit::Millis,
                measure: |run, _, _| settled(run, s(60)..s(120), 20),
            },
            Gate {
                promise: "from 8 s after its end on, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(68)..s(120), 20),
            },
        ],
    }
}

pub(crate) fn long_overload() -> Story {
    Story {
        name: "overload for 15 minutes",
        about: "three times as much as a server of 10 workers can do",
        scenario: one(Rate::per_second(600), 10),
        end: s(900),
        gates: vec![
            Gate {
                promise: "the last five minutes' mean limit of the first five's",
                bound: Bound::AtMost(1_100),
                unit: Unit::Share,
                measure: |run, _, _| {
                    let [early, late] =
                        [s(10)..s(310), s(600)..s(900)].map(|stretch| run.mean_limit(stretch));
                    late * 1_000 / early.max(1)
                },
            },
            Gate {
                promise: "in the last five minutes, latency of the unloaded",
                bound: Bound::AtMost(2_000),
                unit: Unit::Share,
                measure: |run, _, _| slowness(run, s(600)..s(900)),
            },
        ],
    }
}

pub(crate) fn slower() -> Story {
    let slow = ServiceTime::LogNormal {
        median: ms(80),
        p99: ms(320),
    };
    let takes = Timeline::always(USUAL).then(s(60), slow);
    let server = Dependency::new(takes).with_workers(20);
    Story {
        name: "slower for good",
        about: "under load, each call takes twice as long from the second minute on",
        scenario: Scenario::new(load(OVERLOAD), client(), server),
        end: s(300),
        // Half as much as before is the optimum.
        gates: vec![
            Gate {
                promise: "from 10 s to two minutes later, goodput of the optimum",
                bound: Bound::AtLeast(400),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(70)..s(180), 20) * 2,
            },
            Gate {
                promise: "from two minutes later on, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(180)..s(300), 20) * 2,
            },
        ],
    }
}

pub(crate) fn steady_load() -> Story {
    Story {
        name: "steady load",
        about: "a server of 20 workers has half as much again to do as it can, for ten minutes",
        scenario: one(Rate::per_second(600), 20),
        end: s(600),
        gates: vec![
            Gate {
                promise: "goodput that probing costs",
                bound: Bound::AtMost(20),
                unit: Unit::Share,
                measure: |run, policy, seed| {
                    let without = steady_load().run(&policy.unprobed, seed);
                    let [with, without] = [run, &without].map(|run| run.served(0, s(30)..s(600)));
                    (without.saturating_sub(with)) * 1_000 / without.max(1)
                },
            },
            Gate {
                promise: "the longest time below half of the usual limit",
                bound: Bound::AtMost(1_500),
                unit: Unit::Millis,
                measure: |run, _, _| run.longest_below_half(s(30)..s(600)),
            },
            Gate {
                promise: "goodput of the optimum",
                bound: Bound::AtLeast(950),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(30)..s(600), 20),
            },
        ],
    }
}
