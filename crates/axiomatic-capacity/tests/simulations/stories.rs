//! The stories.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axiomatic_capacity::adaptive::{Bounds, Step};
use axiomatic_core::Ratio;
use axiomatic_sim::{Arrivals, Client, Dependency, Rate, Scenario, Series, ServiceTime, Timeline};

use crate::limiter::{Limiter, Log};
use crate::policies::{Fixed, Make, Named};

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

/// How a story is told.
pub(crate) type Tell = fn() -> Story;

/// How a run went: of each client the series of its requests, and the limit
/// over time.
pub(crate) struct Run {
    pub(crate) series: Vec<Series>,
    pub(crate) limits: Vec<Vec<(Duration, Step)>>,
}

impl Story {
    /// Each client has an algorithm of its own, from a seed of its own.
    pub(crate) fn run(&self, make: &Make, seed: u64) -> Run {
        let logs: RefCell<Vec<Log>> = RefCell::default();
        let mut start = None;
        let series = self.scenario.run_each(seed, self.end, |client, clock| {
            start.get_or_insert(clock.now());
            let log = Rc::default();
            logs.borrow_mut().push(Rc::clone(&log));
            let seed = seed * 100 + client as u64;
            Limiter::new(make(Bounds::between(1, 1_000), seed), log)
        });
        let start = start.expect("there is a client");
        let logs = logs.into_inner();
        let limits = logs.iter().map(|log| {
            let log = log.borrow();
            log.iter().map(|(at, step)| (*at - start, *step)).collect()
        });
        Run {
            series,
            limits: limits.collect(),
        }
    }
}

impl Run {
    pub(crate) fn served(&self, client: usize, stretch: Range<Duration>) -> u64 {
        self.series[client].within(stretch).served
    }

    /// The limits of the first client, and from when to when in a stretch.
    fn limits(&self, client: usize, stretch: Range<Duration>) -> Vec<(Range<Duration>, u32)> {
        let steps = self.limits[client]
            .iter()
            .map(|(at, step)| (*at, step.limit));
        let steps: Vec<_> = std::iter::once((Duration::ZERO, 20)).chain(steps).collect();
        let ends = steps.iter().skip(1).map(|(at, _)| *at);
        let ends = ends.chain([Duration::MAX]);
        let held = steps.iter().zip(ends).map(|((from, limit), until)| {
            (*from.max(&stretch.start)..until.min(stretch.end), *limit)
        });
        held.filter(|(held, _)| held.start < held.end).collect()
    }

    fn highest(&self, stretch: Range<Duration>) -> u32 {
        let limits = self.limits(0, stretch);
        limits.iter().map(|(_, limit)| *limit).max().unwrap_or(0)
    }

    /// In hundredths.
    pub(crate) fn mean_limit(&self, stretch: Range<Duration>) -> u64 {
        self.mean_limit_of(0, stretch)
    }

    pub(crate) fn mean_limit_of(&self, client: usize, stretch: Range<Duration>) -> u64 {
        let lasted = stretch.end - stretch.start;
        let limits = self.limits(client, stretch);
        let held = limits
            .iter()
            .map(|(held, limit)| (held.end - held.start).as_micros() as u64 * u64::from(*limit));
        held.sum::<u64>() * 100 / lasted.as_micros() as u64
    }

    /// In milliseconds.
    fn longest_below_half(&self, stretch: Range<Duration>) -> u64 {
        let usual = self.mean_limit(stretch.clone());
        let (mut longest, mut lasted) = (Duration::ZERO, Duration::ZERO);
        for (held, limit) in self.limits(0, stretch) {
            if u64::from(limit) * 200 < usual {
                lasted += held.end - held.start;
                longest = longest.max(lasted);
            } else {
                lasted = Duration::ZERO;
            }
        }
        longest.as_millis() as u64
    }
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

pub(crate) const ALL: &[Tell] = &[
    capacity_steps,
    half_lost,
    fast_outlier,
    one_in_flight,
    two_clients,
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

pub(crate) fn capacity_steps() -> Story {
    Story {
        name: "capacity steps",
        about: "a server of 20 workers has 40 for a minute, and then 20 again",
        scenario: one(OVERLOAD, Timeline::always(20).during(s(60)..s(120), 40)),
        end: s(180),
        gates: vec![
            Gate {
                promise: "after the step up, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(65)..s(120), 40),
            },
            Gate {
                promise: "after the step down, goodput of the optimum",
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
                promise: "while it is lost, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(65)..s(120), 20),
            },
            Gate {
                promise: "once it is back, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(125)..s(180), 40),
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
            promise: "5 s after the load came, goodput of the optimum",
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
                measure: |run, _, _| {
                    let served = [0, 1].map(|client| run.served(client, s(180)..s(480)));
                    let [less, more] = [served[0].min(served[1]), served[0].max(served[1])];
                    less * 1_000 / more.max(1)
                },
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
                promise: "5 s after its end, goodput of the optimum",
                bound: Bound::AtLeast(900),
                unit: Unit::Share,
                measure: |run, _, _| goodput(run, s(65)..s(120), 20),
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
        end: s(180),
        gates: vec![Gate {
            promise: "10 s after that, goodput of the optimum",
            bound: Bound::AtLeast(900),
            unit: Unit::Share,
            // Half as much as before is the optimum.
            measure: |run, _, _| goodput(run, s(70)..s(180), 20) * 2,
        }],
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

/// The goodput of all clients, in thousandths of what the best fixed limit
/// gets from so many workers.
fn goodput(run: &Run, stretch: Range<Duration>, workers: usize) -> u64 {
    let clients = 0..run.series.len();
    let served: u64 = clients
        .map(|client| run.served(client, stretch.clone()))
        .sum();
    let lasted = (stretch.end - stretch.start).as_millis() as u64;
    served * 1_000_000 / (optimum(workers) * lasted)
}

/// How long it takes, in milliseconds, until a second begins in which goodput
/// is nine tenths of the optimum.
fn settled(run: &Run, stretch: Range<Duration>, workers: usize) -> u64 {
    let mut from = stretch.start;
    while from + s(1) <= stretch.end && goodput(run, from..from + s(1), workers) < 900 {
        from += Series::BIN;
    }
    (from - stretch.start).as_millis() as u64
}

/// The median latency, in thousandths of that without load.
pub(crate) fn slowness(run: &Run, stretch: Range<Duration>) -> u64 {
    let bin = run.series[0].within(stretch);
    let median = bin.latency(Ratio::percent(50)).unwrap_or(s(1));
    median.as_micros() as u64 * 1_000 / 40_000
}

/// What the best fixed limit gets served in a second, by so many workers under
/// too much load; the mean of two seeds.
pub(crate) fn optimum(workers: usize) -> u64 {
    static FOUND: Mutex<BTreeMap<usize, u64>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    *found.entry(workers).or_insert_with(|| {
        let story = Story {
            name: "optimum",
            about: "",
            scenario: one(OVERLOAD, workers),
            end: s(25),
            gates: Vec::new(),
        };
        let served = |limit: usize| -> u64 {
            let runs = (1..=2).map(|seed| {
                let run = story.run(&move |_, _| Box::new(Fixed(limit as u32)), seed);
                run.served(0, s(5)..s(25))
            });
            runs.sum::<u64>() / 40
        };
        let limits = [2, 3, 4, 5, 6, 8, 12].map(|quarters| workers * quarters / 4);
        limits.map(served).into_iter().max().unwrap_or(0)
    })
}

pub(crate) fn crowd_of(n: usize) -> Story {
    let mut scenario = one(Rate::per_second(600), 10 * n);
    for _ in 1..n {
        scenario = scenario.beside(load(Rate::per_second(600)), client());
    }
    Story {
        name: "crowd",
        about: "",
        scenario,
        end: s(600),
        gates: Vec::new(),
    }
}
