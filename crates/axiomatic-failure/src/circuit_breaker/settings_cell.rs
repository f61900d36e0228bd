use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::sync::{AtomicU8, AtomicU64, Ordering};
use axiomatic_core::time::{Clock, saturating_nanos};

use super::adaptive::Law;
use super::policy::{Condition, Share};
use super::{Adaptive, Config, HalfOpen, OpenFor, Ramp, ThrottledCounts, TripWhen};

/// The settings that every call looks at, small enough to stand beside the
/// phase.
///
/// They change live, one word at a time: a call that races with an update
/// may be judged by some of the old values and some of the new.
pub(super) struct CallSettings {
    slow_after: Word,
    flags: AtomicU8,
    /// Not part of a configuration's update: operators switch it.
    pub(super) mode: ModeCell,
}

/// What a completing call needs to know about the configuration.
#[derive(Copy, Clone)]
pub(super) struct Flags(u8);

const SLOWNESS: u8 = 1;
const THROTTLED_FAILS: u8 = 2;
const PRECISE: u8 = 4;
const RATES: u8 = 8;
const IN_FLIGHT: u8 = 16;

impl CallSettings {
    pub(super) fn new(config: &Config) -> Self {
        CallSettings {
            slow_after: Word::new(slow_nanos(config)),
            flags: AtomicU8::new(flags(config)),
            mode: ModeCell::new(config.mode),
        }
    }

    pub(super) fn store(&self, config: &Config) {
        self.slow_after.store(slow_nanos(config));
        // ORDERING: Relaxed: a setting.
        self.flags.store(flags(config), Ordering::Relaxed);
    }

    /// The slow threshold in nanoseconds; no duration reaches the one that is
    /// absent.
    #[inline]
    pub(super) fn slow_after(&self) -> u64 {
        self.slow_after.load()
    }

    #[inline]
    pub(super) fn measures_slowness(&self) -> bool {
        self.slow_after() != u64::MAX
    }

    #[inline]
    pub(super) fn flags(&self) -> Flags {
        // ORDERING: Relaxed: a setting; no other memory is read on its
        // strength.
        Flags(self.flags.load(Ordering::Relaxed))
    }
}

impl Flags {
    pub(super) fn judges_rates(self) -> bool {
        self.0 & RATES != 0
    }

    /// Whether a slow call is evidence, and not only counted.
    pub(super) fn judges_slowness(self) -> bool {
        self.0 & SLOWNESS != 0
    }

    pub(super) fn throttled_fails(self) -> bool {
        self.0 & THROTTLED_FAILS != 0
    }

    /// Whether calls are watched while they are under way.
    #[inline]
    pub(super) fn sees_in_flight(self) -> bool {
        self.0 & IN_FLIGHT != 0
    }

    #[inline]
    pub(super) fn needs_precise_clock(self) -> bool {
        self.0 & PRECISE != 0
    }
}

fn slow_nanos(config: &Config) -> u64 {
    config.slow_after.map_or(u64::MAX, saturating_nanos)
}

fn flags(config: &Config) -> u8 {
    // Under 50 ticks, the tick would misjudge a call by more than 2 %.
    let precise = config
        .slow_after
        .is_some_and(|threshold| threshold < 50 * Clock::coarse_tick());
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    flag(config.judges_slowness(), SLOWNESS)
        | flag(
            config.throttled == ThrottledCounts::AsFailure,
            THROTTLED_FAILS,
        )
        | flag(precise, PRECISE)
        | flag(config.trips && config.trip_when.judges_rates(), RATES)
        | flag(config.sees_in_flight, IN_FLIGHT)
}

/// The settings that only failures and transitions look at.
pub(super) struct Settings {
    version: AtomicU8,
    conditions: [Word; TripWhen::MOST],
    probes: Word,
    lease: Word,
    first: Word,
    longest: Word,
    jitter: Word,
    stable_after: Word,
    longest_hint: Word,
    stage: Word,
    guard: Word,
    law: [Word; 2],
    every: Word,
    at_most: Word,
}

impl Settings {
    pub(super) fn new(config: &Config) -> Self {
        let settings = Settings {
            version: AtomicU8::new(0),
            conditions: std::array::from_fn(|_| Word::new(0)),
            probes: Word::new(0),
            lease: Word::new(0),
            first: Word::new(0),
            longest: Word::new(0),
            jitter: Word::new(0),
            stable_after: Word::new(0),
            longest_hint: Word::new(0),
            stage: Word::new(0),
            guard: Word::new(0),
            law: [Word::new(0), Word::new(0)],
            every: Word::new(0),
            at_most: Word::new(0),
        };
        settings.store(config);
        settings
    }

    pub(super) fn store(&self, config: &Config) {
        let mut conditions = config.trip_when.conditions().filter(|_| config.trips);
        for place in &self.conditions {
            place.store(conditions.next().map_or(0, pack));
        }
        let half_open = config.half_open;
        self.probes.store(
            u64::from(half_open.concurrent) << 16
                | u64::from(half_open.required) << 8
                | u64::from(half_open.allowed),
        );
        self.lease.store(saturating_nanos(half_open.lease));
        let open_for = config.open_for;
        self.first.store(saturating_nanos(open_for.first));
        self.longest.store(saturating_nanos(open_for.longest));
        self.jitter
            .store(u64::from(open_for.jitter.as_parts_per_million()));
        self.stable_after
            .store(saturating_nanos(open_for.stable_after));
        self.longest_hint
            .store(saturating_nanos(open_for.longest_hint));
        if let Some(ramp) = config.ramp {
            self.guard.store(two(ramp.forgiven, ramp.sample));
        }
        let stage = config.ramp.map_or(0, |ramp| saturating_nanos(ramp.stage));
        self.stage.store(stage);
        if let Some(adaptive) = config.adaptive {
            let [law, gain] = match adaptive.law {
                Law::Accepting { multiple } => [two(multiple, 0), 0],
                Law::Steering {
                    ideal,
                    dead_zone,
                    gain,
                } => [
                    two(ideal, dead_zone.as_parts_per_million()),
                    u64::from(gain.as_parts_per_million()),
                ],
            };
            self.law[0].store(law);
            self.law[1].store(gain);
            self.every.store(saturating_nanos(adaptive.every));
            self.at_most.store(two(adaptive.at_most, adaptive.sample));
        }
        // ORDERING: Release: who sees the version sees the conditions that
        // it counts; pairs with the Acquire in `version`.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// How often the settings were changed, modulo 256: what was computed
    /// from the conditions is void under another version.
    pub(super) fn version(&self) -> u8 {
        // ORDERING: Acquire: observes the conditions stored before; pairs
        // with the Release in `store`.
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> + '_ {
        self.conditions
            .iter()
            .filter_map(|word| unpack(word.load()))
    }

    pub(super) fn half_open(&self) -> HalfOpen {
        let probes = self.probes.load();
        HalfOpen {
            concurrent: (probes >> 16) as u8,
            required: (probes >> 8) as u8,
            allowed: probes as u8,
            lease: Duration::from_nanos(self.lease.load()),
        }
    }

    pub(super) fn ramp(&self) -> Option<Ramp> {
        let stage = Duration::from_nanos(self.stage.load());
        let (forgiven, sample) = one_and_other(self.guard.load());
        (!stage.is_zero()).then_some(Ramp {
            stage,
            forgiven,
            sample,
        })
    }

    /// What an adaptive breaker steers by; of another, nonsense.
    pub(super) fn adaptive(&self) -> Adaptive {
        let (first, second) = one_and_other(self.law[0].load());
        // Only a controller has a gain.
        let law = match self.law[1].load() {
            0 => Law::Accepting { multiple: first },
            gain => Law::Steering {
                ideal: first,
                dead_zone: Ratio::parts_per_million(second),
                gain: Ratio::parts_per_million(gain as u32),
            },
        };
        let (at_most, sample) = one_and_other(self.at_most.load());
        Adaptive {
            law,
            every: Duration::from_nanos(self.every.load()),
            at_most,
            sample,
        }
    }

    pub(super) fn open_for(&self) -> OpenFor {
        OpenFor {
            first: Duration::from_nanos(self.first.load()),
            longest: Duration::from_nanos(self.longest.load()),
            jitter: Ratio::parts_per_million(self.jitter.load() as u32),
            stable_after: Duration::from_nanos(self.stable_after.load()),
            longest_hint: Duration::from_nanos(self.longest_hint.load()),
        }
    }
}

/// A word of a setting.
///
/// Orderings all Relaxed: a setting is a number, and no other memory is read
///           on its strength.
struct Word(AtomicU64);

impl Word {
    fn new(value: u64) -> Self {
        Word(AtomicU64::new(value))
    }

    #[inline]
    fn load(&self) -> u64 {
        // ORDERING: Relaxed: a setting.
        self.0.load(Ordering::Relaxed)
    }

    fn store(&self, value: u64) {
        // ORDERING: Relaxed: a setting.
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Layout | 63..32 a share in parts per million | 31..0 a number |
fn two(share: Ratio, number: u32) -> u64 {
    u64::from(share.as_parts_per_million()) << 32 | u64::from(number)
}

fn one_and_other(word: u64) -> (Ratio, u32) {
    (Ratio::parts_per_million((word >> 32) as u32), word as u32)
}

/// Layout | 63..60 kind | 59..32 share in parts per million | 31..0 sample |
/// where kind 0 is none, and a streak keeps its length as the sample.
fn pack(condition: Condition) -> u64 {
    let (kind, share, number) = match condition {
        Condition::Consecutive(failures) => (1, Ratio::ZERO, failures),
        Condition::Rate {
            of,
            at_least,
            sample,
        } => {
            let kind = match of {
                Share::Failed => 2,
                Share::Slow => 3,
                Share::FailedOrSlow => 4,
            };
            (kind, at_least, sample)
        }
    };
    kind << 60 | u64::from(share.as_parts_per_million()) << 32 | u64::from(number)
}

fn unpack(word: u64) -> Option<Condition> {
    let number = word as u32;
    let of = match word >> 60 {
        0 => return None,
        1 => return Some(Condition::Consecutive(number)),
        2 => Share::Failed,
        3 => Share::Slow,
        _ => Share::FailedOrSlow,
    };
    Some(Condition::Rate {
        of,
        at_least: Ratio::parts_per_million((word >> 32) as u32 & 0x0fff_ffff),
        sample: number,
    })
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn conditions_survive_packing() {
        let all = TripWhen::consecutive_failures(u32::MAX)
            .or(TripWhen::failure_rate(Ratio::ONE, u32::MAX))
            .or(TripWhen::slow_rate(Ratio::parts_per_million(1), 1))
            .or(TripWhen::failure_or_slow_rate(Ratio::percent(37), 12));
        for condition in all.conditions() {
            assert_eq!(unpack(pack(condition)), Some(condition));
        }
        assert_eq!(unpack(0), None);
    }
}
