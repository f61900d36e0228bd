/// What calls take when nobody queues, as far as it is known.
///
/// It falls whenever something shorter lasts. It rises only by windows of low
/// load: under load, longer latencies say that there is a queue, or that the
/// baseline is too low, and not which of the two.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    /// In nanoseconds; none before the first.
    value: Option<f64>,
    /// The latency of late, whatever the load.
    recent: f64,
    /// Whether a probe or low load has told it. What the first windows saw is
    /// less than it should be, since who takes long has not ended yet, or more,
    /// if there was a line.
    is_known: bool,
}

/// How many answers of low load move it half of the way. One answer, be it ten
/// times too fast, moves it by a hundredth.
const CALM_WEIGHT: f64 = 100.0;

/// The same under load, where it follows the least of many: the fewer of them
/// scatter, the nearer that is to their middle.
const WEIGHT: f64 = 400.0;

/// The same for the first windows.
const FIRST_WEIGHT: f64 = 50.0;

/// The same for a probe, which looks at nothing else.
const PROBE_WEIGHT: f64 = 20.0;

/// A probe that saw nearly what is seen under load saw no line, its own or
/// that of others; nearly, since medians scatter.
const SAME: f64 = 0.95;

/// How much of that way it goes up if there was no line.
const RISE: f64 = 0.5;

/// How much if there was one. What was seen may then be the line of others, by
/// which the baseline must not rise; and yet all who see that line should come
/// to agree on it. At nothing at all, two clients shared as unequally as four
/// to ten; at a quarter, ten clients waited half as long again after ten
/// minutes.
const SLOW_RISE: f64 = 0.1;

impl Baseline {
    pub(super) fn value(&self) -> Option<f64> {
        self.value
    }

    /// Whether a probe or low load has told it.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// A window under load: the baseline can only fall.
    pub(super) fn see(&mut self, latency: f64, answers: f64) -> f64 {
        let Some(value) = self.value else {
            self.recent = latency;
            self.value = Some(latency);
            return latency;
        };
        let weight = if self.is_known { WEIGHT } else { FIRST_WEIGHT };
        self.recent += (latency - self.recent) * answers / (answers + weight);
        let value = if self.is_known {
            value.min(self.recent)
        } else {
            self.recent
        };
        self.value = Some(value);
        value
    }

    /// A window in which nobody queued.
    pub(super) fn see_calm(&mut self, latency: f64, answers: f64) -> f64 {
        self.blend(latency, answers / (answers + CALM_WEIGHT))
    }

    /// What a probe saw in all.
    pub(super) fn probed(&mut self, latency: f64, answers: f64) {
        if !self.is_known {
            self.replace(latency);
            return;
        }
        let weight = answers / (answers + PROBE_WEIGHT);
        let rises = self.value.is_some_and(|value| latency > value);
        let rise = if latency > self.recent * SAME {
            RISE
        } else {
            SLOW_RISE
        };
        self.blend(latency, if rises { weight * rise } else { weight });
    }

    /// What a probe saw that was made because it is not believed any more.
    pub(super) fn replace(&mut self, latency: f64) {
        self.blend(latency, 1.0);
    }

    fn blend(&mut self, latency: f64, weight: f64) -> f64 {
        let value = self.value.unwrap_or(latency);
        let value = value + (latency - value) * weight;
        self.value = Some(value);
        // What was shorter of late is from before.
        self.recent = self.recent.max(value);
        self.is_known = true;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: f64) -> Baseline {
        let mut baseline = Baseline::default();
        baseline.see_calm(value, 50.0);
        baseline
    }

    #[track_caller]
    fn assert_near(baseline: &Baseline, value: f64) {
        let found = baseline.value().expect("something was seen");
        assert!((found - value).abs() < value / 100.0, "{found}");
    }

    #[test]
    fn load_does_not_raise_it() {
        let mut baseline = at(10.0);
        for _ in 0..1_000 {
            baseline.see(20.0, 1e3);
        }
        assert_near(&baseline, 10.0);
    }

    #[test]
    fn low_load_raises_it() {
        let mut baseline = at(10.0);
        for _ in 0..40 {
            baseline.see_calm(20.0, 20.0);
        }
        assert_near(&baseline, 20.0);
    }

    /// A line that is there with and without us may be that of others.
    #[test]
    fn a_probe_raises_it_half_of_the_way_and_a_tenth_if_there_was_a_line() {
        let mut baseline = at(10.0);
        baseline.see(20.0, 1e6);
        baseline.probed(20.0, 1e6);
        assert_near(&baseline, 15.0);
        let mut baseline = at(10.0);
        baseline.see(40.0, 1e6);
        baseline.probed(20.0, 1e6);
        assert_near(&baseline, 11.0);
    }

    #[test]
    fn a_probe_lowers_it_and_doubt_replaces_it() {
        let mut baseline = at(10.0);
        baseline.probed(5.0, 1e6);
        assert_near(&baseline, 5.0);
        baseline.replace(40.0);
        assert_near(&baseline, 40.0);
    }

    #[test]
    fn what_is_shorter_and_lasts_lowers_it() {
        let mut baseline = at(10.0);
        for _ in 0..60 {
            baseline.see(5.0, 50.0);
        }
        assert_near(&baseline, 5.0);
    }

    #[test]
    fn before_a_probe_it_is_what_was_seen_and_the_first_probe_is_believed() {
        let mut baseline = Baseline::default();
        baseline.see(5.0, 10.0);
        for _ in 0..20 {
            baseline.see(20.0, 50.0);
        }
        assert_near(&baseline, 20.0);
        assert!(!baseline.is_known());
        baseline.probed(12.0, 60.0);
        assert_near(&baseline, 12.0);
    }

    #[test]
    fn one_answer_ten_times_too_fast_hardly_moves_it() {
        let mut baseline = at(10.0);
        baseline.see(1.0, 1.0);
        baseline.see_calm(1.0, 1.0);
        assert!(baseline.value() > Some(9.8), "{baseline:?}");
    }
}
