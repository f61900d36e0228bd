use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::time::{Instant, saturating_nanos};

use self::baseline::Baseline;
use self::probing::{ENOUGH, Probe};
use self::trend::Trend;
use super::{LimitAlgorithm, Sample, Step, Why};

mod baseline;
mod config;
mod probing;
#[cfg(test)]
mod tests;
mod trend;

pub use config::SeekerConfig;

/// As many as the dependency works on at once, and a short line: the default.
///
/// Of a limit L, with a median latency m and a baseline b, which is what calls
/// take that meet nobody, it makes
///
/// ```text
/// L × min(1, 1.1 × b / m) + √L
/// ```
///
/// and goes half of the way there: less by the share of L that stands in line,
/// and more by a line that is short where there are many and can still be seen
/// where there are few. Everything else keeps that from drifting:
///
/// - It grows only if it is used: nearly all of it is in flight, or calls were
///   turned away ([`Why::Idle`]).
/// - It grows or shrinks only by what it sees of its last change: a decrease
///   waits for a round trip, growth for a window most of which is newer
///   ([`Why::Waiting`]).
/// - The baseline falls by whatever is shorter and lasts. It rises only by low
///   load, be it natural or made by a probe: for less than a second, the limit
///   is two fifths of where nobody would queue, and then what it was
///   ([`Why::Probing`]). Probes come every 30 to 60 s, are spared where load
///   was low meanwhile, and take at most a fortieth of the time.
/// - If the limit has shrunk by a third and latency has not, nobody queues and
///   the baseline is from another time: it probes at once, and believes what
///   it sees.
/// - If more in flight has brought no more answers, only longer ones, it takes
///   a step back instead of growing, and probes ([`Why::NoGain`]).
/// - If a tenth of the calls is dropped, it loses half of that share, and half
///   of itself if all are: a dependency that hangs, or whose latency sits at
///   the timeout, gets one call at a time in the end ([`Why::Overloaded`]).
///
/// A window has the weight of its calls throughout, so that one answer, be it
/// ten times too fast, moves nothing by more than a tenth.
///
/// What it cannot do: tell a dependency that has become slow from one whose
/// line is made by many others. The more clients share one, the more of the
/// others' line becomes their baseline, and the less equal are their shares.
/// `docs/simulations.md` says how much.
///
/// ```
/// use axiomatic_capacity::adaptive::{Bounds, Seeker};
///
/// # fn main() -> Result<(), axiomatic_capacity::adaptive::AlgorithmError> {
/// let seed = 7; // another one for each instance
/// let algorithm = Seeker::config(seed).within(Bounds::between(1, 500)).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Seeker {
    config: SeekerConfig,
    limit: f64,
    baseline: Baseline,
    trend: Trend,
    /// The median latency, with windows of few answers smoothed; in
    /// nanoseconds, and none before the first.
    latency: Option<f64>,
    /// The share of calls that are dropped, smoothed likewise.
    drops: f64,
    changed_at: Option<Instant>,
    decreased_at: Option<Instant>,
    falling: Option<Falling>,
    probe: Option<Probe>,
    probe_at: Option<Instant>,
    /// Not before, whatever speaks for a probe.
    rested_at: Option<Instant>,
    /// Answers of windows of low load, since the last probe or as good as one.
    calm_answers: f64,
    /// The limit at which nobody would queue, as of late.
    knee: Option<f64>,
    random: u64,
}

/// A limit that shrinks, and has not grown in between.
#[derive(Copy, Clone, Debug)]
struct Falling {
    /// Where the limit and the latency were when it began.
    limit: f64,
    latency: f64,
    /// What was seen at the end of it.
    seen: Seen,
}

/// Medians, each with the weight of its answers.
#[derive(Copy, Clone, Debug, Default)]
struct Seen {
    answers: f64,
    sum: f64,
}

impl Seen {
    fn add(&mut self, median: Duration, answers: u64) {
        self.answers += answers as f64;
        self.sum += nanos(median) * answers as f64;
    }

    fn mean(self) -> Option<f64> {
        (self.answers > 0.0).then(|| self.sum / self.answers)
    }
}

/// A window of so many calls moves an average half of the way.
const SMOOTHING: f64 = 10.0;

/// How far it falls before it is asked what for.
const FALLEN: f64 = 0.7;

impl Seeker {
    /// Its parameters, which fit most. The seed says when it probes: it
    /// should differ from instance to instance, or all probe at once.
    pub const fn config(seed: u64) -> SeekerConfig {
        SeekerConfig::new(seed)
    }

    pub(super) fn new(config: SeekerConfig) -> Self {
        Seeker {
            config,
            limit: f64::from(config.bounds.first()),
            baseline: Baseline::default(),
            trend: Trend::default(),
            latency: None,
            drops: 0.0,
            changed_at: None,
            decreased_at: None,
            falling: None,
            probe: None,
            probe_at: None,
            rested_at: None,
            calm_answers: 0.0,
            knee: None,
            random: config.seed,
        }
    }
}

impl LimitAlgorithm for Seeker {
    fn initial(&self) -> u32 {
        self.config.bounds.first()
    }

    fn step(&mut self, sample: &Sample) -> Step {
        let why = self.decide(sample);
        Step {
            limit: self.whole(),
            why,
        }
    }

    fn baseline(&self) -> Option<Duration> {
        self.baseline.value().map(duration)
    }
}

impl Seeker {
    fn decide(&mut self, sample: &Sample) -> Why {
        self.smooth(sample);
        if sample.dropped > 0 && self.drops >= share(self.config.drops) {
            return self.back_off(sample);
        }
        if let Some(probe) = self.probe {
            return self.go_on_probing(sample, probe);
        }
        let (Some(median), Some(latency)) = (sample.median, self.latency) else {
            return Why::TooFew;
        };
        let is_calm = self.is_calm(sample);
        let ratio = self.learn(sample, nanos(median), is_calm) / latency;
        let tolerated = 1.0 + share(self.config.tolerance);
        let headroom = self.limit.sqrt();
        let aim = self.limit * (ratio * tolerated).min(1.0) + headroom;
        if is_used(sample) {
            self.knee = Some(self.limit * ratio.min(1.0));
        }
        if !is_calm {
            self.note(sample, median, latency);
            // Where it still grows there is no line to tell from slow work.
            let is_wanted = aim < self.limit + headroom / 2.0 || !self.baseline.is_known();
            if is_wanted && self.probe_if_due(sample, latency) {
                return Why::Probing;
            }
        }
        if aim >= self.limit {
            self.grow(sample, aim, latency)
        } else if is_calm {
            Why::Idle
        } else {
            self.shrink(sample, aim, latency)
        }
    }

    /// What a window says of the baseline, which is the answer.
    fn learn(&mut self, sample: &Sample, median: f64, is_calm: bool) -> f64 {
        let answers = sample.answered as f64;
        if !is_calm {
            self.probe_first(sample, median);
            return self.baseline.see(median, answers);
        }
        self.calm_answers += answers;
        if self.calm_answers >= ENOUGH {
            self.probe_later(sample.ended, 0.0);
        }
        self.baseline.see_calm(median, answers)
    }

    /// Takes in what a window saw, with the more weight the more it saw.
    fn smooth(&mut self, sample: &Sample) {
        if let Some(median) = sample.median {
            let answers = sample.answered as f64;
            let latency = self.latency.unwrap_or(nanos(median));
            let weight = answers / (answers + SMOOTHING);
            self.latency = Some(latency + (nanos(median) - latency) * weight);
        }
        let dropped = sample.dropped as f64;
        let ended = dropped + sample.answered as f64;
        if ended > 0.0 {
            self.drops += (dropped / ended - self.drops) * ended / (ended + SMOOTHING);
        }
    }

    /// So few are in flight that they do not queue because of each other.
    fn is_calm(&self, sample: &Sample) -> bool {
        let knee = self.knee.unwrap_or(self.limit).min(self.limit);
        sample.most_in_flight <= 1 || f64::from(sample.most_in_flight) * 2.0 <= knee
    }

    /// Remembers a window under load, for the questions that are asked of
    /// several.
    fn note(&mut self, sample: &Sample, median: Duration, latency: f64) {
        let is_from_before = is_before(sample.began, self.decreased_at, latency);
        if let Some(falling) = &mut self.falling {
            if self.limit <= falling.limit * FALLEN && !is_from_before {
                falling.seen.add(median, sample.answered);
            }
        }
        let lasted = nanos(sample.ended.saturating_duration_since(sample.began));
        if lasted > 0.0 {
            let rate = sample.answered as f64 / lasted;
            self.trend
                .add(f64::from(sample.most_in_flight), rate, latency);
        }
    }

    /// Calls are dropped: less at once, but only once for a round trip, which
    /// is taken to be two: what times out takes longer than what is answered.
    /// While nothing was ever answered, nobody knows what that is, and each
    /// window counts.
    fn back_off(&mut self, sample: &Sample) -> Why {
        if let Some(probe) = self.probe.take() {
            self.limit = probe.before;
            self.probe_later(sample.ended, 0.0);
        }
        let round_trip = self.latency.unwrap_or(0.0) * 2.0;
        if is_before(sample.began, self.decreased_at, round_trip) {
            return Why::Waiting;
        }
        self.set(self.limit * (1.0 - self.drops / 2.0), sample);
        self.falling = None;
        Why::Overloaded
    }

    fn grow(&mut self, sample: &Sample, aim: f64, latency: f64) -> Why {
        if !is_used(sample) {
            return Why::Idle;
        }
        if is_before(sample.ended, self.changed_at, latency * 2.0) {
            return Why::Waiting;
        }
        if self.trend.shows_no_gain() {
            self.trend.forget();
            self.probe_early(sample.ended);
            self.set(self.limit * 15.0 / 16.0, sample);
            return Why::NoGain;
        }
        self.falling = None;
        let has_changed = self.set((self.limit + aim) / 2.0, sample);
        if has_changed {
            Why::Growing
        } else {
            Why::Steady
        }
    }

    fn shrink(&mut self, sample: &Sample, aim: f64, latency: f64) -> Why {
        if is_before(sample.began, self.decreased_at, latency) {
            return Why::Waiting;
        }
        match self.falling {
            Some(falling) if latency > falling.latency * 0.85 => {
                // A third fewer in flight, and no shorter latency: they do not
                // queue, or it is others who do.
                if self.limit <= falling.limit * FALLEN {
                    let is_probing =
                        falling.seen.answers >= ENOUGH && self.doubt(sample, latency, falling.seen);
                    return if is_probing {
                        Why::Probing
                    } else {
                        Why::Waiting
                    };
                }
            }
            _ => {
                self.falling = Some(Falling {
                    limit: self.limit,
                    latency,
                    seen: Seen::default(),
                });
            }
        }
        let has_changed = self.set((self.limit + aim) / 2.0, sample);
        if has_changed {
            Why::Queueing
        } else {
            Why::Steady
        }
    }

    /// Sets the limit, and says whether anybody will notice.
    fn set(&mut self, limit: f64, sample: &Sample) -> bool {
        let before = self.whole();
        self.limit = self.config.bounds.clamp(limit);
        let now = self.whole();
        if now != before {
            self.changed_at = Some(sample.ended);
        }
        if now < before {
            self.decreased_at = Some(sample.ended);
        }
        now != before
    }

    /// The limit, rounded.
    fn whole(&self) -> u32 {
        (self.limit + 0.5) as u32
    }
}

/// Whether the limit is what holds the calls back, or nearly.
fn is_used(sample: &Sample) -> bool {
    sample.turned_away > 0 || u64::from(sample.most_in_flight) * 8 >= u64::from(sample.limit) * 7
}

fn is_before(at: Instant, since: Option<Instant>, wait: f64) -> bool {
    since.is_some_and(|since| at < since + duration(wait))
}

fn share(ratio: Ratio) -> f64 {
    f64::from(ratio.as_parts_per_million()) / 1e6
}

fn nanos(duration: Duration) -> f64 {
    saturating_nanos(duration).max(1) as f64
}

/// The cast saturates.
fn duration(nanos: f64) -> Duration {
    Duration::from_nanos(nanos as u64)
}
