//! The parts of a configuration that say what a breaker does when.

use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::hash::mix;

use super::config::Shape;
use super::counter_cell::LONGEST_STREAK;
use super::generation::Generation;
use super::{ConfigError, Window};

/// What trips a breaker: one condition or several, any of which suffices.
///
/// Conditions are looked at when a call failed or was slow. A success never
/// trips a breaker, not even the one that makes a sample large enough.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TripWhen {
    conditions: [Option<Condition>; TripWhen::MOST],
    too_many: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Consecutive(u32),
    Rate {
        of: Share,
        at_least: Ratio,
        sample: u32,
    },
}

/// Which calls a rate is the rate of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Failed,
    Slow,
    FailedOrSlow,
}

impl TripWhen {
    /// How many conditions can be combined.
    pub const MOST: usize = 4;

    /// So many failures in a row, with no success between them.
    pub const fn consecutive_failures(failures: u32) -> Self {
        Self::one(Condition::Consecutive(failures))
    }

    /// This share of the window's calls failed, if it holds at least
    /// `sample` of them.
    pub const fn failure_rate(at_least: Ratio, sample: u32) -> Self {
        Self::rate(Share::Failed, at_least, sample)
    }

    /// This share of the window's calls was slow, failed or not.
    pub const fn slow_rate(at_least: Ratio, sample: u32) -> Self {
        Self::rate(Share::Slow, at_least, sample)
    }

    /// This share of the window's calls failed or was slow, each counted
    /// once.
    pub const fn failure_or_slow_rate(at_least: Ratio, sample: u32) -> Self {
        Self::rate(Share::FailedOrSlow, at_least, sample)
    }

    /// Either of the two.
    #[must_use]
    pub fn or(mut self, other: TripWhen) -> Self {
        self.too_many |= other.too_many;
        for condition in other.conditions() {
            match self.conditions.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(condition),
                None => self.too_many = true,
            }
        }
        self
    }

    const fn rate(of: Share, at_least: Ratio, sample: u32) -> Self {
        Self::one(Condition::Rate {
            of,
            at_least,
            sample,
        })
    }

    const fn one(condition: Condition) -> Self {
        let mut conditions = [None; TripWhen::MOST];
        conditions[0] = Some(condition);
        TripWhen {
            conditions,
            too_many: false,
        }
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.conditions.into_iter().flatten()
    }

    pub(super) fn judges_rates(&self) -> bool {
        self.conditions()
            .any(|condition| matches!(condition, Condition::Rate { .. }))
    }

    pub(super) fn judges_slowness(&self) -> bool {
        self.conditions().any(|condition| {
            matches!(
                condition,
                Condition::Rate {
                    of: Share::Slow | Share::FailedOrSlow,
                    ..
                }
            )
        })
    }

    pub(super) fn check(&self, window: Window) -> Result<(), ConfigError> {
        if self.too_many {
            return Err(ConfigError::TooManyConditions);
        }
        for condition in self.conditions() {
            match condition {
                Condition::Consecutive(0) => return Err(ConfigError::NoFailures),
                Condition::Consecutive(failures) if u64::from(failures) > LONGEST_STREAK => {
                    return Err(ConfigError::Sample(failures));
                }
                Condition::Consecutive(_) => {}
                Condition::Rate {
                    at_least, sample, ..
                } => {
                    if at_least == Ratio::ZERO || at_least > Ratio::ONE {
                        return Err(ConfigError::Rate(at_least));
                    }
                    let unreachable = matches!(window.0, Shape::Calls(calls) if sample > calls);
                    if sample == 0 || unreachable {
                        return Err(ConfigError::Sample(sample));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a [`Throttled`](axiomatic_core::Outcome::Throttled) call counts as.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledCounts {
    /// A failure: the dependency does not do what it was asked.
    #[default]
    AsFailure,
    /// Nothing: the limit is ours to keep, by another pattern.
    AsNothing,
}

/// How long a breaker stays open.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct OpenFor {
    pub(super) first: Duration,
    pub(super) longest: Duration,
    pub(super) jitter: Ratio,
    pub(super) stable_after: Duration,
    pub(super) longest_hint: Duration,
}

impl OpenFor {
    /// The longest that a breaker can stay open by itself: 3 hours.
    pub const LONGEST: Duration = Duration::from_secs(3 * 3600);

    /// Always as long, to the next millisecond.
    pub const fn fixed(duration: Duration) -> Self {
        OpenFor {
            first: duration,
            longest: duration,
            jitter: Ratio::ZERO,
            stable_after: Duration::ZERO,
            longest_hint: Duration::from_secs(60),
        }
    }

    /// `first`, then twice as long each time that it opens again, up to
    /// `longest`; back to `first` once it was closed for `longest`. Each is
    /// shortened at random by up to a tenth, so that a fleet does not probe
    /// in step.
    pub const fn backoff(first: Duration, longest: Duration) -> Self {
        OpenFor {
            first,
            longest,
            jitter: Ratio::percent(10),
            stable_after: longest,
            longest_hint: Duration::from_secs(60),
        }
    }

    /// Shortened at random by up to this share.
    #[must_use]
    pub const fn jittered(mut self, share: Ratio) -> Self {
        self.jitter = share;
        self
    }

    /// How long it has to be closed before the next opening counts as the
    /// first.
    #[must_use]
    pub const fn stable_after(mut self, duration: Duration) -> Self {
        self.stable_after = duration;
        self
    }

    /// How far a server's `Retry-After`, on the call that opens the breaker,
    /// can prolong the opening; zero ignores it, 60 s is the default.
    #[must_use]
    pub const fn retry_after_up_to(mut self, longest: Duration) -> Self {
        self.longest_hint = longest;
        self
    }

    /// How long the opening that follows `generation` lasts, after so many
    /// reopenings and with this hint from the server. Seed and generation are
    /// its dice, so that it is a pure function.
    pub(super) fn duration(
        &self,
        reopenings: u32,
        hint: Option<Duration>,
        seed: u64,
        generation: Generation,
    ) -> Duration {
        let doubled = 1u32.checked_shl(reopenings).unwrap_or(u32::MAX);
        let clamped = self.first.saturating_mul(doubled).min(self.longest);
        // After the clamp, so that a fleet does not pile up at the longest.
        let most = u128::from(self.jitter.as_parts_per_million());
        let dice = u128::from(mix(seed ^ generation.number()));
        let shortened = clamped.as_nanos() * ((dice * most) >> 64) / 1_000_000;
        let jittered = clamped - Duration::from_nanos(shortened as u64);
        let asked = hint.unwrap_or_default().min(self.longest_hint);
        jittered.max(asked)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let longest = self.longest.max(self.longest_hint);
        if self.first.is_zero() || self.first > self.longest || longest > Self::LONGEST {
            return Err(ConfigError::OpenFor);
        }
        if self.jitter > Ratio::ONE {
            return Err(ConfigError::Rate(self.jitter));
        }
        Ok(())
    }
}

/// How a breaker finds out that the dependency is back: it lets probes
/// through, a few at a time, and counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct HalfOpen {
    pub(super) required: u8,
    pub(super) allowed: u8,
    pub(super) concurrent: u8,
    pub(super) lease: Duration,
}

impl HalfOpen {
    /// The longest lease of a probe: 12 hours.
    pub const LONGEST_LEASE: Duration = Duration::from_secs(12 * 3600);

    /// Closes after so many good probes; opens again at the first bad one.
    pub const fn successes(required: u8) -> Self {
        HalfOpen {
            required,
            allowed: 0,
            concurrent: required,
            lease: Duration::from_secs(30),
        }
    }

    /// Closes when this share of `probes` probes was good, and opens again as
    /// soon as it can no longer be. How many bad ones that forgives follows
    /// from the share; [`allowing_failures`](HalfOpen::allowing_failures)
    /// would replace it.
    pub const fn success_rate(at_least: Ratio, probes: u8) -> Self {
        let required = at_least.ceil_of(probes as u64);
        // A share above one asks for more than all; `check` refuses it as
        // zero required probes.
        let required = if required > probes as u64 {
            0
        } else {
            required
        };
        HalfOpen {
            required: required as u8,
            allowed: probes - required as u8,
            concurrent: probes,
            lease: Duration::from_secs(30),
        }
    }

    /// How many probes may be under way at a time; by default as many as are
    /// needed.
    #[must_use]
    pub const fn concurrent(mut self, probes: u8) -> Self {
        self.concurrent = probes;
        self
    }

    /// How many bad probes are forgiven.
    #[must_use]
    pub const fn allowing_failures(mut self, probes: u8) -> Self {
        self.allowed = probes;
        self
    }

    /// How long a probe may take before it counts as failed, 30 s by
    /// default: whatever becomes of a probe, the breaker moves on.
    #[must_use]
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let lease = Duration::from_nanos(1)..=Self::LONGEST_LEASE;
        if self.required == 0 || self.concurrent == 0 || !lease.contains(&self.lease) {
            return Err(ConfigError::HalfOpen);
        }
        Ok(())
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use axiomatic_core::time::Instant;

    fn generation(seconds: u64) -> Generation {
        Generation::beginning(Instant::from_nanos(seconds * 1_000_000_000))
    }

    #[test]
    fn openings_double_up_to_the_longest_and_never_overflow() {
        let open_for = OpenFor::backoff(Duration::from_secs(2), Duration::from_secs(9));
        let open_for = open_for.jittered(Ratio::ZERO);
        let after = |n| open_for.duration(n, None, 0, generation(9)).as_secs();
        assert_eq!([after(0), after(1), after(2), after(3)], [2, 4, 8, 9]);
        assert_eq!([after(31), after(32), after(u32::MAX)], [9, 9, 9]);
    }

    #[test]
    fn jitter_shortens_by_at_most_its_share_also_at_the_longest() {
        let open_for = OpenFor::backoff(Duration::from_secs(1), Duration::from_secs(8));
        let mut shortest = Duration::MAX;
        let mut longest = Duration::ZERO;
        for second in 0..1_000 {
            let duration = open_for.duration(10, None, 7, generation(second));
            shortest = shortest.min(duration);
            longest = longest.max(duration);
        }
        assert!(shortest >= Duration::from_millis(7_200), "{shortest:?}");
        assert!(shortest < Duration::from_millis(7_210), "{shortest:?}");
        assert!(longest <= Duration::from_secs(8));
        assert!(longest > Duration::from_millis(7_990), "{longest:?}");
    }

    #[test]
    fn a_hint_prolongs_up_to_its_limit_and_never_shortens() {
        let open_for = OpenFor::fixed(Duration::from_secs(2));
        let with = |hint| {
            let hint = Some(Duration::from_secs(hint));
            open_for.duration(0, hint, 0, generation(9)).as_secs()
        };
        assert_eq!([with(1), with(30), with(3_600)], [2, 30, 60]);
    }
}
