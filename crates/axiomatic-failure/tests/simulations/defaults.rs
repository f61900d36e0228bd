//! What other defaults would do, over all stories: by default a few, with
//!
//! ```text
//! AXIOMATIC_SWEEP=1 cargo test --release -p axiomatic-failure --test simulations \
//!     defaults -- --nocapture
//! ```
//!
//! all of them, with more seeds.

use std::time::Duration;

use axiomatic_failure::circuit_breaker::OpenFor;
use axiomatic_sim::Table;

use crate::judge::Verdict;
use crate::policies::{Guarded, breaker};
use crate::stories::{self, ALL, Story};

const WINDOWS: [u64; 4] = [2_000, 3_000, 5_000, 10_000];
/// The first opening, and the longest.
const OPENINGS: [(u64, u64); 14] = [
    (500, 5_000),
    (1_000, 1_000),
    (1_000, 4_000),
    (1_000, 5_000),
    (1_000, 8_000),
    (1_000, 10_000),
    (1_000, 15_000),
    (1_000, 30_000),
    (1_000, 60_000),
    (2_000, 5_000),
    (2_000, 10_000),
    (3_000, 10_000),
    (5_000, 5_000),
    (5_000, 10_000),
];

/// Of one configuration, over all stories and seeds.
#[derive(Default)]
struct Sum {
    /// In hundredths of a percent; that of the cold start apart, which a
    /// breaker survives or does not.
    goodput: u64,
    runs: u64,
    cold_start: u64,
    cold_starts: u64,
    /// The same, where it was worst against no breaker at all.
    most_lost: i64,
    lost_in: &'static str,
    wasted: u64,
    wasted_without: u64,
    recovery: Duration,
    never: u64,
    recovered: u32,
}

impl Sum {
    fn add(&mut self, story: &Story, with: &Verdict, without: &Verdict) {
        let [now, before] = [with, without].map(|one| one.goodput.as_parts_per_million() / 100);
        if story.name == stories::cold_start().name {
            self.cold_start += u64::from(now);
            self.cold_starts += 1;
        } else {
            self.goodput += u64::from(now);
            self.runs += 1;
        }
        let lost = i64::from(before) - i64::from(now);
        if lost > self.most_lost {
            (self.most_lost, self.lost_in) = (lost, story.name);
        }
        self.wasted += with.wasted;
        self.wasted_without += without.wasted;
        match with.recovery {
            Some(recovery) => {
                self.recovery += recovery;
                self.recovered += 1;
            }
            None => self.never += u64::from(story.fault.end < story.end),
        }
    }

    fn row(&self, window: u64, first: u64, longest: u64) -> [String; 10] {
        let hundredths = |value: u64| format!("{}.{:02} %", value / 100, value % 100);
        [
            window.to_string(),
            first.to_string(),
            longest.to_string(),
            hundredths(self.goodput / self.runs),
            hundredths(self.cold_start / self.cold_starts),
            hundredths(self.most_lost.unsigned_abs()),
            self.lost_in.to_owned(),
            hundredths(self.wasted * 10_000 / self.wasted_without),
            format!("{} ms", (self.recovery / self.recovered.max(1)).as_millis()),
            self.never.to_string(),
        ]
    }
}

/// A window, the first opening and the longest, in milliseconds.
pub(crate) type Choice = (u64, u64, u64);

pub(crate) const DEFAULTS: Choice = (10_000, 1_000, 5_000);

pub(crate) fn all() -> Vec<Choice> {
    let with = |window| OPENINGS.map(move |(first, longest)| (window, first, longest));
    WINDOWS.into_iter().flat_map(with).collect()
}

/// The goodput of each choice, in hundredths of a percent, and everything as
/// a table.
pub(crate) fn compare(seeds: u64, choices: &[Choice]) -> (Vec<u64>, Table) {
    let mut table = Table::new([
        "window, ms",
        "first, ms",
        "longest, ms",
        "goodput",
        "cold start",
        "most lost",
        "in",
        "wasted, of without",
        "recovery",
        "never",
    ]);
    let stories: Vec<Story> = ALL.iter().map(|tell| tell()).collect();
    let runs: Vec<(&Story, u64, Verdict)> = stories
        .iter()
        .flat_map(|story| (1..=seeds).map(move |seed| (story, seed)))
        .map(|(story, seed)| {
            let run = story.run_with(seed, |_| Guarded::Nothing);
            (story, seed, story.judge(&run))
        })
        .collect();
    let mut goodputs = Vec::new();
    for &(window, first, longest) in choices {
        let mut sum = Sum::default();
        for (story, seed, without) in &runs {
            let [window, first, longest] = [window, first, longest].map(Duration::from_millis);
            let run = story.run_with(*seed, |clock| {
                let config = |clock| breaker(window, OpenFor::backoff(first, longest), clock);
                Guarded::per_service(config, &story.services, *seed, clock)
            });
            sum.add(story, &story.judge(&run), without);
        }
        goodputs.push(sum.goodput / sum.runs);
        table.row(sum.row(window, first, longest));
    }
    (goodputs, table)
}
