//! Runs a story under an algorithm, and measures how it went.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axiomatic_capacity::adaptive::Bounds;
use axiomatic_core::Ratio;
use axiomatic_sim::Series;

use crate::limiter::{Limiter, Log};
use crate::policies::{Fixed, Make};
use crate::stories::{self, Story, s};

/// How a run went.
pub(crate) struct Run {
    /// Of the requests of each client.
    series: Vec<Series>,
    /// The limits of the first client, and from when on.
    limits: Vec<(Duration, u32)>,
}

impl Story {
    /// Each client has an algorithm of its own, from a seed of its own.
    pub(crate) fn run(&self, make: &Make, seed: u64) -> Run {
        let log = Log::default();
        let series = self.scenario.run_each(seed, self.end, |client, clock| {
            let algorithm = make(Bounds::between(1, 1_000), seed * 100 + client as u64);
            if client == 0 {
                log.borrow_mut().push((clock.now(), algorithm.initial()));
            }
            let log = (client == 0).then(|| Rc::clone(&log));
            Limiter::new(algorithm, clock, log)
        });
        let log = log.borrow();
        let limits = log.iter().map(|(at, limit)| (*at - log[0].0, *limit));
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

    /// The limits of a stretch, and from when to when each held.
    fn limits(&self, stretch: Range<Duration>) -> Vec<(Range<Duration>, u32)> {
        let ends = self.limits.iter().skip(1).map(|(at, _)| *at);
        let ends = ends.chain([Duration::MAX]);
        let held = self.limits.iter().zip(ends).map(|((from, limit), until)| {
            (*from.max(&stretch.start)..until.min(stretch.end), *limit)
        });
        held.filter(|(held, _)| held.start < held.end).collect()
    }

    pub(crate) fn highest(&self, stretch: Range<Duration>) -> u32 {
        let limits = self.limits(stretch);
        limits.iter().map(|(_, limit)| *limit).max().unwrap_or(0)
    }

    /// In hundredths.
    pub(crate) fn mean_limit(&self, stretch: Range<Duration>) -> u64 {
        let lasted = stretch.end - stretch.start;
        let limits = self.limits(stretch);
        let held = limits
            .iter()
            .map(|(held, limit)| (held.end - held.start).as_micros() as u64 * u64::from(*limit));
        held.sum::<u64>() * 100 / lasted.as_micros() as u64
    }

    /// In milliseconds.
    pub(crate) fn longest_below_half(&self, stretch: Range<Duration>) -> u64 {
        let usual = self.mean_limit(stretch.clone());
        let (mut longest, mut lasted) = (Duration::ZERO, Duration::ZERO);
        for (held, limit) in self.limits(stretch) {
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

/// The goodput of all clients, in thousandths of what the best fixed limit
/// gets from so many workers.
pub(crate) fn goodput(run: &Run, stretch: Range<Duration>, workers: usize) -> u64 {
    let clients = 0..run.series.len();
    let served: u64 = clients
        .map(|client| run.served(client, stretch.clone()))
        .sum();
    let lasted = (stretch.end - stretch.start).as_millis() as u64;
    served * 1_000_000 / (optimum(workers) * lasted)
}

/// How long it takes, in milliseconds, until a second begins in which goodput
/// is nine tenths of the optimum.
pub(crate) fn settled(run: &Run, stretch: Range<Duration>, workers: usize) -> u64 {
    let mut from = stretch.start;
    while from + s(1) <= stretch.end && goodput(run, from..from + s(1), workers) < 900 {
        from += Series::BIN;
    }
    (from - stretch.start).as_millis() as u64
}

/// What the least of the clients is served, in thousandths of what the greatest
/// is.
pub(crate) fn least_of_greatest(run: &Run, stretch: Range<Duration>) -> u64 {
    let clients = 0..run.series.len();
    let served = clients.map(|client| run.served(client, stretch.clone()));
    let served: Vec<u64> = served.collect();
    let greatest = served.iter().max().copied().unwrap_or(0);
    served.iter().min().copied().unwrap_or(0) * 1_000 / greatest.max(1)
}

/// The median latency of the first client, in thousandths of that without load.
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
        let story = stories::overloaded(workers, s(25));
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
