use axiomatic_core::hash::mix;
use axiomatic_core::time::Instant;

use super::{Seeker, Seen, duration, is_before, nanos};
use crate::adaptive::{Sample, Why};

/// A probe under way.
#[derive(Copy, Clone, Debug)]
pub(super) struct Probe {
    began: Instant,
    /// The limit to return to.
    pub(super) before: f64,
    /// How long a call took when it began.
    latency: f64,
    /// If the baseline is not believed any more, what calls took of late.
    doubt: Option<f64>,
    windows: u32,
    seen: Seen,
}

/// Of what could be in flight with nobody in line, a probe leaves this much.
/// The deeper it goes, the less it sees of the lines that others make.
const PROBE_SHARE: f64 = 0.4;

/// A latency that is at least so much of another one is no shorter: the
/// medians of a hundred answers scatter by some hundredths.
const SAME: f64 = 0.9;

/// A latency that is no more than so much of another one is shorter by a line
/// and not by chance, nor by what others do.
const QUEUED: f64 = 0.6;

/// A probe ends when it has seen so many answers, or twice the limit.
pub(super) const ENOUGH: f64 = 60.0;

/// And at the latest after so many windows, and as many round trips as let it
/// see anything at all.
const PROBE_WINDOWS: u32 = 8;
const PROBE_ROUND_TRIPS: f64 = 4.0;

/// A probe takes less than two thirds of what is in flight, so one in forty of
/// the time costs at most three calls in two hundred.
const REST: f64 = 40.0;

/// The least rest between two probes that come early.
const EARLY_REST: f64 = 5.0;

const SECOND: f64 = 1e9;

/// Probing: a moment with so few in flight that nobody queues, for the only
/// way to tell a long line from slow work is to have no line.
impl Seeker {
    /// The baseline is not believed any more, by what was seen of late.
    pub(super) fn doubt(&mut self, sample: &Sample, latency: f64, seen: Seen) -> bool {
        let is_rested = self.rested_at.is_none_or(|at| sample.ended >= at);
        is_rested && self.begin_probe(sample, latency, seen.mean())
    }

    pub(super) fn probe_if_due(&mut self, sample: &Sample, latency: f64) -> bool {
        let is_due = self.probe_at.is_some_and(|at| sample.ended >= at);
        is_due && self.begin_probe(sample, latency, None)
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

    pub(super) fn go_on_probing(&mut self, sample: &Sample, mut probe: Probe) -> Why {
        probe.windows += 1;
        let is_from_before = is_before(sample.began, Some(probe.began), probe.latency);
        if let (Some(median), false) = (sample.median, is_from_before) {
            probe.seen.add(median, sample.answered);
        }
        let trips = probe.latency * PROBE_ROUND_TRIPS;
        let is_late =
            probe.windows >= PROBE_WINDOWS && !is_before(sample.ended, Some(probe.began), trips);
        let enough = ENOUGH.max(probe.before * 2.0);
        let enough = if probe.doubt.is_some() {
            enough * 2.0
        } else {
            enough
        };
        if probe.seen.answers < enough && !is_late {
            self.probe = Some(probe);
            return Why::Probing;
        }
        self.end_probe(sample, probe);
        Why::Steady
    }

    fn end_probe(&mut self, sample: &Sample, probe: Probe) {
        self.probe = None;
        self.set(probe.before, sample);
        let lasted = nanos(sample.ended.saturating_duration_since(probe.began));
        self.rested_at = Some(sample.ended + duration((lasted * EARLY_REST).max(SECOND)));
        self.probe_later(sample.ended, lasted);
        let Some(measured) = probe.seen.mean() else {
            return;
        };
        let before = self.baseline.value();
        if probe.doubt.is_some_and(|doubt| measured < doubt * QUEUED) {
            // It is a line after all, and ours: the fall goes on from here.
            self.falling = None;
        }
        if probe.doubt.is_some_and(|doubt| measured > doubt * SAME) {
            self.baseline.replace(measured);
            self.falling = None;
        } else {
            self.baseline.probed(measured, probe.seen.answers);
        }
        self.latency = Some(probe.latency);
        if before.is_none_or(|before| measured < before * SAME) {
            // It was too long, so the probe was not as low as it meant to be.
            self.probe_early(sample.ended);
        }
    }

    /// The next probe comes when it is due: one to two intervals from now,
    /// and the longer a probe lasts the later.
    pub(super) fn probe_later(&mut self, now: Instant, lasted: f64) {
        self.random = mix(self.random);
        let share = (self.random >> 12) as f64 / (1u64 << 52) as f64;
        let interval = nanos(self.config.probe_every) * (1.0 + share);
        self.probe_at = Some(now + duration(interval.max(lasted * REST)));
        self.calm_answers = 0.0;
    }

    /// What the first windows saw may be anything, so the first probe comes
    /// soon.
    pub(super) fn probe_first(&mut self, sample: &Sample, latency: f64) {
        let soon = sample.ended + duration((latency * EARLY_REST).max(SECOND));
        self.probe_at.get_or_insert(soon);
    }

    /// As soon as it has rested.
    pub(super) fn probe_early(&mut self, now: Instant) {
        let at = self.rested_at.unwrap_or(now).max(now);
        self.probe_at = Some(self.probe_at.unwrap_or(at).min(at));
    }
}
