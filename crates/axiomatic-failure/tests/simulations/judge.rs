//! Runs a story under a policy, says how it went, and holds it to bounds.

use std::ops::{Range, RangeInclusive};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::time::ManualClock;
use axiomatic_sim::{NaiveRetry, Series};

use crate::policies::{Guard, Guarded, Named, POLICIES, WITHOUT};
use crate::stories::{ALL, Story, Tell};

/// Every bound holds for each of these.
pub(crate) const SEEDS: RangeInclusive<u64> = 1..=5;

/// From which share of requests served on all is well again.
const WELL: Ratio = Ratio::percent(95);

/// How a run went.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) goodput: Ratio,
    /// From the onset of the fault to the first refusal; none, if nothing was
    /// refused before its end.
    pub(crate) detection: Option<Duration>,
    /// From the end of the fault to the first second in which 95 % are served.
    pub(crate) recovery: Option<Duration>,
    pub(crate) wasted: u64,
    pub(crate) refused: u64,
}

impl Story {
    /// Whether a policy can differ from the others in this story.
    pub(crate) fn tells_apart(&self, policy: &Named) -> bool {
        let mut places = self.services.iter().zip(0..);
        let one_each = places.all(|(service, endpoint)| *service == endpoint);
        !(one_each && matches!(policy.guard, Guard::PerEndpoint(_)))
    }

    pub(crate) fn run(&self, policy: &Named, seed: u64) -> Series {
        self.run_with(seed, |clock| {
            Guarded::new(policy.guard, &self.services, seed, clock)
        })
    }

    pub(crate) fn run_with(
        &self,
        seed: u64,
        guarded: impl FnOnce(&ManualClock) -> Guarded,
    ) -> Series {
        self.scenario.run(seed, self.end, |clock| {
            let attempts = self.attempts;
            (NaiveRetry { attempts }, guarded(clock))
        })
    }

    pub(crate) fn judge(&self, run: &Series) -> Verdict {
        let total = run.total();
        Verdict {
            goodput: total.goodput(),
            detection: run.detection(self.fault.clone()),
            recovery: run.recovery(self.fault.end, WELL),
            wasted: total.wasted,
            refused: total.refused,
        }
    }
}

/// The verdicts of a story under a policy, one for each seed. They are made
/// once, for the tests and for the page.
pub(crate) fn verdicts(story: Tell, policy: &str) -> &'static [Verdict] {
    static MADE: LazyLock<Vec<OnceLock<Vec<Verdict>>>> =
        LazyLock::new(|| vec![OnceLock::new(); ALL.len() * POLICIES.len()]);
    let story = story();
    let named = |one: &Tell| one().name == story.name;
    let row = ALL.iter().position(named);
    let row = row.expect("the story stands in the list of all");
    let column = POLICIES.iter().position(|named| named.name == policy);
    let column = column.expect("the policy stands in the list of all");
    MADE[row * POLICIES.len() + column].get_or_init(|| {
        let judge = |seed| story.judge(&story.run(&POLICIES[column], seed));
        SEEDS.map(judge).collect()
    })
}

/// What a policy must keep in a story, seed by seed.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// When the first call is refused; none, if none may be.
    pub(crate) detection: Option<Range<Duration>>,
    /// By when all is well again, where that is asked.
    pub(crate) recovery: Option<Duration>,
    /// How many calls may be wasted, as a share of those without a policy.
    pub(crate) wasted: Ratio,
    pub(crate) goodput: Goodput,
}

/// Against the run without a policy, in points.
#[derive(Clone, Debug)]
pub(crate) enum Goodput {
    LosesAtMost(Ratio),
    GainsAtLeast(Ratio),
}

impl Bounds {
    #[track_caller]
    pub(crate) fn hold(&self, story: Tell, policy: &str) {
        let runs = verdicts(story, policy).iter().zip(verdicts(story, WITHOUT));
        for ((with, without), seed) in runs.zip(SEEDS) {
            let broken = self.broken(with, without);
            assert!(
                broken.is_empty(),
                "{}, {policy}, seed {seed}: out of bounds in {}\n   with: {with:?}\nwithout: {without:?}\n bounds: {self:?}",
                story().name,
                broken.join(", "),
            );
        }
    }

    fn broken(&self, with: &Verdict, without: &Verdict) -> Vec<&'static str> {
        let detected = match (&self.detection, with.detection) {
            (None, None) => with.refused == 0,
            (Some(bound), Some(detection)) => bound.contains(&detection),
            _ => false,
        };
        let recovered = self
            .recovery
            .is_none_or(|bound| with.recovery.is_some_and(|recovery| recovery <= bound));
        let spared = with.wasted <= self.wasted.ceil_of(without.wasted);
        let [now, before] = [with, without].map(|verdict| verdict.goodput.as_parts_per_million());
        let served = match self.goodput {
            Goodput::LosesAtMost(points) => now + points.as_parts_per_million() >= before,
            Goodput::GainsAtLeast(points) => now >= before + points.as_parts_per_million(),
        };
        let judged = [
            ("detection", detected),
            ("recovery", recovered),
            ("wasted calls", spared),
            ("goodput", served),
        ];
        let broken = judged.into_iter().filter(|(_, kept)| !kept);
        broken.map(|(what, _)| what).collect()
    }
}

/// The middle of an odd number of values; what did not happen is the most.
pub(crate) fn median<T: Ord + Copy>(
    verdicts: &[Verdict],
    of: impl Fn(&Verdict) -> Option<T>,
) -> Option<T> {
    let mut values: Vec<Option<T>> = verdicts.iter().map(of).collect();
    values.sort_by_key(|value| (value.is_none(), *value));
    values[values.len() / 2]
}
