use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use axiomatic_core::number_cell::Setting;
use axiomatic_core::time::saturating_nanos;

use super::config::Settings;
use super::{LeastAttempt, Refusals};

/// The settings while calls are under way. They change one by one: a call
/// that races with an update may be judged by some of the old and some of the
/// new.
#[derive(Debug)]
pub(super) struct LiveSettings {
    attempts: Setting,
    /// The duration, or [`TYPICAL`].
    least_attempt: Setting,
    repeats_refusals: Setting,
    /// More than a word. Read when there is going to be a wait, compared with
    /// which a lock is short.
    backoff: RwLock<Backoff>,
}

/// A duration of 584 years.
const TYPICAL: u64 = u64::MAX;

impl LiveSettings {
    pub(super) fn new(settings: Settings) -> Self {
        let [attempts, least_attempt, repeats_refusals] = numbers(&settings).map(Setting::new);
        LiveSettings {
            attempts,
            least_attempt,
            repeats_refusals,
            backoff: RwLock::new(settings.backoff),
        }
    }

    pub(super) fn change(&self, settings: Settings) {
        // Two changes do not mix.
        let mut backoff = self.backoff.write().unwrap_or_else(PoisonError::into_inner);
        *backoff = settings.backoff;
        let [attempts, least_attempt, repeats_refusals] = numbers(&settings);
        self.attempts.store(attempts);
        self.least_attempt.store(least_attempt);
        self.repeats_refusals.store(repeats_refusals);
    }

    #[inline(always)]
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.load() as u32
    }

    pub(super) fn least_attempt(&self) -> LeastAttempt {
        match self.least_attempt.load() {
            TYPICAL => LeastAttempt::Typical,
            nanos => LeastAttempt::Fixed(Duration::from_nanos(nanos)),
        }
    }

    pub(super) fn refusals(&self) -> Refusals {
        match self.repeats_refusals.load() {
            0 => Refusals::Return,
            _ => Refusals::Repeat,
        }
    }

    pub(super) fn backoff(&self) -> Backoff {
        *self.backoff.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn numbers(settings: &Settings) -> [u64; 3] {
    [
        u64::from(settings.attempts),
        match settings.least_attempt {
            LeastAttempt::Typical => TYPICAL,
            LeastAttempt::Fixed(least) => saturating_nanos(least).min(TYPICAL - 1),
        },
        u64::from(settings.refusals == Refusals::Repeat),
    ]
}
