use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::hash::mix;
use axiomatic_core::time::{Instant, saturating_nanos};

use super::baseline::Baseline;
use super::seeker_config::SeekerConfig;
use super::trend::Trend;
use super::{LimitAlgorithm, Sample, Step, Why};

/// A limit that does not drift: the default.
///
/// ```
/// use axiomatic_capacity::adaptive::{Bounds, Seeker};
///
/// # fn main() -> Result<(), axiomatic_capacity::adaptive::AlgorithmError> {
/// let algorithm = Seeker::config(7).within(Bounds::between(1, 500)).build()?;
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

/// A probe under way.
#[derive(Copy, Clone, Debug)]
struct Probe {
    began: Instant,
    /// The limit to return to.
    before: f64,
    /// How long a call took when it began.
    latency: f64,
    /// If the baseline is not believed any more, what calls took of late.
    doubt: Option<f64>,
    windows: u32,
    seen: Seen,
}

/// A window of so many calls goes half of the way.
const SMOOTHING: f64 = 10.0;

/// How far it falls before it is asked what for.
const FALLEN: f64 = 0.7;

/// Of what could be in flight with nobody in line, a probe leaves this much.
/// The deeper it goes, the less it sees of the lines that others make.
const PROBE_SHARE: f64 = 0.4;

/// A latency that is at least so much of another one is no shorter: the
/// medians of a hundred answers scatter by some hundredths.
const SAME: f64 = 0.9;

/// A probe ends when it has seen so many answers, or twice the limit.
const ENOUGH: f64 = 60.0;

/// And at the latest after so many windows, and as many round trips as let it
/// see anything at all.
const PROBE_WINDOWS: u32 = 8;
const PROBE_ROUND_TRIPS: f64 = 4.0;

/// A probe halves what is in flight, so one in forty of the time costs little
/// more than one call in a hundred.
const REST: f64 = 40.0;

/// The least rest between two probes that come early.
const EARLY_REST: f64 = 5.0;

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
            limit: (self.limit + 0.5) as u32,
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
        let answers = sample.answered as f64;
        let is_calm = self.is_calm(sample);
        if is_calm {
            self.baseline.see_calm(nanos(median), answers);
            self.calm_answers += answers;
            if self.calm_answers >= ENOUGH {
                self.probe_later(sample.ended, 0.0);
            }
        } else {
            self.baseline.see(nanos(median), answers);
        }
        let baseline = self.baseline.value().unwrap_or(latency);
        if self.probe_at.is_none() {
            // What the first window saw may be anything.
            self.probe_soon(sample.ended, latency);
        }
        let is_used = is_used(sample);
        let ratio = baseline / latency;
        self.knee = is_used.then_some(self.limit * ratio.min(1.0)).or(self.knee);
        let tolerated = 1.0 + share(self.config.tolerance);
        let headroom = self.limit.sqrt();
        let aim = self.limit * (ratio * tolerated).min(1.0) + headroom;
        if let Some(falling) = &mut self.falling {
            let is_from_before = is_before(sample.began, self.decreased_at, latency);
            if self.limit <= falling.limit * FALLEN && !is_from_before {
                falling.seen.add(median, sample.answered);
            }
        }
        if !is_calm {
            self.note(sample, latency);
            let is_due = self.probe_at.is_some_and(|at| sample.ended >= at);
            // Where it still grows there is no line to tell from slow work.
            let has_grown = aim < self.limit + headroom / 2.0;
            let is_wanted = has_grown || !self.baseline.is_known();
            if is_due && is_wanted && self.begin_probe(sample, latency, None) {
                return Why::Probing;
            }
        }
        if aim >= self.limit {
            return self.grow(sample, aim, is_used, latency);
        }
        if is_calm {
            return Why::Idle;
        }
        self.shrink(sample, aim, latency)
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

    fn note(&mut self, sample: &Sample, latency: f64) {
        let lasted = nanos(sample.ended.saturating_duration_since(sample.began));
        if lasted > 0.0 {
            let rate = sample.answered as f64 / lasted;
            self.trend
                .add(f64::from(sample.most_in_flight), rate, latency);
        }
    }

    /// Calls are dropped: less at once, but only once for a round trip. What
    /// was dropped took longer than twice the median, or it would not count
    /// as dropped.
    fn back_off(&mut self, sample: &Sample) -> Why {
        if let Some(probe) = self.probe.take() {
            self.limit = probe.before;
            self.probe_later(sample.ended, 0.0);
        }
        let round_trip = self.latency.unwrap_or(0.0) * 2.0;
        if is_before(sample.began, self.decreased_at, round_trip) {
            return Why::Waiting;
        }
        self.limit = self
            .config
            .bounds
            .clamp(self.limit * (1.0 - self.drops / 2.0));
        self.changed(sample, true);
        self.falling = None;
        Why::Overloaded
    }

    fn grow(&mut self, sample: &Sample, aim: f64, is_used: bool, latency: f64) -> Why {
        if !is_used {
            return Why::Idle;
        }
        if is_before(sample.ended, self.changed_at, latency * 2.0) {
            return Why::Waiting;
        }
        if self.trend.shows_no_gain() {
            self.trend.forget();
            self.limit = self.config.bounds.clamp(self.limit * 15.0 / 16.0);
            self.changed(sample, true);
            self.probe_early(sample.ended);
            return Why::NoGain;
        }
        let before = self.limit;
        self.limit = self.config.bounds.clamp(before + (aim - before) / 2.0);
        self.falling = None;
        if self.limit - before < 0.5 {
            return Why::Steady;
        }
        self.changed(sample, false);
        Why::Growing
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
        let before = self.limit;
        self.limit = self.config.bounds.clamp(before + (aim - before) / 2.0);
        if before - self.limit < 0.5 {
            return Why::Steady;
        }
        self.changed(sample, true);
        Why::Queueing
    }

    fn changed(&mut self, sample: &Sample, is_decrease: bool) {
        self.changed_at = Some(sample.ended);
        if is_decrease {
            self.decreased_at = Some(sample.ended);
        }
    }
}

/// Probing: a moment with so few in flight that nobody queues, for the only
/// way to tell a long line from slow work is to have no line.
impl Seeker {
    fn doubt(&mut self, sample: &Sample, latency: f64, seen: Seen) -> bool {
        let is_rested = self.rested_at.is_none_or(|at| sample.ended >= at);
        is_rested && self.begin_probe(sample, latency, seen.mean())
    }

    /// Whether one began: a limit that is as low as can be cannot be lower.
    fn begin_probe(&mut self, sample: &Sample, latency: f64, doubt: Option<f64>) -> bool {
        let baseline = self.baseline.value().unwrap_or(latency);
        let in_flight = self.limit.min(f64::from(sample.most_in_flight));
        // If the baseline is not believed any more, nobody is taken to queue.
        let unqueued = if doubt.is_some() {
            1.0
        } else {
            (baseline / latency).min(1.0)
        };
        let low = in_flight * unqueued * PROBE_SHARE;
        let low = self.config.bounds.clamp(low.floor());
        if low >= in_flight {
            self.probe_later(sample.ended, 0.0);
            return false;
        }
        self.probe = Some(Probe {
            began: sample.ended,
            before: self.limit,
            latency,
            doubt,
            windows: 0,
            seen: Seen::default(),
        });
        self.limit = low;
        true
    }

    fn go_on_probing(&mut self, sample: &Sample, mut probe: Probe) -> Why {
        probe.windows += 1;
        let is_from_before = is_before(sample.began, Some(probe.began), probe.latency);
        if let (Some(median), false) = (sample.median, is_from_before) {
            probe.seen.add(median, sample.answered);
        }
        let trips = probe.latency * PROBE_ROUND_TRIPS;
        let is_late =
            probe.windows >= PROBE_WINDOWS && !is_before(sample.ended, Some(probe.began), trips);
        let enough = ENOUGH.max(probe.before * 2.0) * if probe.doubt.is_some() { 2.0 } else { 1.0 };
        if probe.seen.answers < enough && !is_late {
            self.probe = Some(probe);
            return Why::Probing;
        }
        self.end_probe(sample, probe);
        Why::Steady
    }

    fn end_probe(&mut self, sample: &Sample, probe: Probe) {
        self.probe = None;
        self.limit = probe.before;
        self.changed(sample, false);
        let lasted = nanos(sample.ended.saturating_duration_since(probe.began));
        self.rested_at = Some(sample.ended + duration((lasted * EARLY_REST).max(1e9)));
        self.probe_later(sample.ended, lasted);
        let Some(measured) = probe.seen.mean() else {
            return;
        };
        let before = self.baseline.value();
        if probe.doubt.is_some_and(|doubt| measured > doubt * SAME) {
            self.baseline.replace(measured);
            self.falling = None;
        } else {
            self.baseline.probed(measured, probe.seen.answers);
        }
        self.latency = Some(probe.latency);
        if before.is_none_or(|before| measured < before * 0.9) {
            // It was too long, so the probe was not as low as it meant to be.
            self.probe_early(sample.ended);
        }
    }

    /// The next probe comes when it is due: one to two intervals from now,
    /// and the longer a probe lasts the later.
    fn probe_later(&mut self, now: Instant, lasted: f64) {
        self.random = mix(self.random);
        let share = (self.random >> 12) as f64 / (1u64 << 52) as f64;
        let interval = nanos(self.config.probe_every) * (1.0 + share);
        self.probe_at = Some(now + duration(interval.max(lasted * REST)));
        self.calm_answers = 0.0;
    }

    fn probe_soon(&mut self, now: Instant, latency: f64) {
        self.probe_at = Some(now + duration((latency * EARLY_REST).max(1e9)));
    }

    fn probe_early(&mut self, now: Instant) {
        let at = self.rested_at.unwrap_or(now).max(now);
        self.probe_at = Some(self.probe_at.unwrap_or(at).min(at));
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
