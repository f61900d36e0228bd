use std::fmt;
use std::sync::{Arc, PoisonError, TryLockError};

use axiomatic_core::context::Priority;
use axiomatic_core::hash::mix;
use axiomatic_core::number_cell::Setting;
use axiomatic_core::sync::Mutex;
use axiomatic_core::time::{Instant, saturating_nanos};

use super::Config;
use super::usage_cell::Usage;
use crate::rate_limit::keyed::KeyHasher;

/// Ranks users inside of a class of priorities: who asks for more than others
/// do has a lower level, and those that ask for the same are in an order that
/// is another one after some time.
///
/// It ranks where requests come into a system; the level is part of the
/// priority, and goes with the request wherever it leads to, so that a user
/// who is refused somewhere is refused everywhere, and nothing is done in vain.
///
/// It is a handle, cheap to clone, of 32 KiB.
#[derive(Clone)]
pub struct Fairness(Arc<Inner>);

struct Inner {
    usage: Usage,
    hasher: KeyHasher,
    /// How many times users are shuffled in 2^64 ns: to multiply by that is
    /// five times as fast as to divide by the time between.
    shuffles: u64,
    /// In nanoseconds.
    half_life: u64,
    due: Setting,
    /// What was asked for of late, and by how many.
    used: Setting,
    users: Setting,
    /// Who forgets has it, and nobody waits for it.
    forgetting: Mutex<()>,
}

/// Of the 64 levels of a class, eight for each degree of heaviness.
const LEVELS_OF_A_DEGREE: u8 = 8;
const DEGREES: u8 = 8;
/// Below so many requests nobody is heavy, whatever the others did.
const FEW: u64 = 16;

impl Fairness {
    pub(super) fn new(config: &Config) -> Self {
        Fairness(Arc::new(Inner {
            usage: Usage::new(),
            hasher: KeyHasher::new(config.seed),
            // It is no less than a tenth of a second.
            shuffles: u64::MAX / saturating_nanos(config.shuffle) + 1,
            half_life: saturating_nanos(config.half_life),
            due: Setting::new(0),
            used: Setting::new(0),
            users: Setting::new(0),
            forgetting: Mutex::new(()),
        }))
    }

    /// What hashes users.
    #[inline]
    pub fn hasher(&self) -> &KeyHasher {
        &self.0.hasher
    }

    /// A user, by its hash, asks for something at `now` that matters so much:
    /// the same class, at the level of the user.
    #[inline]
    pub fn rank(&self, now: Instant, user: u64, priority: Priority) -> Priority {
        let inner = &*self.0;
        if inner.is_due(now) {
            self.forget(now);
        }
        let used = u64::from(inner.usage.add(user));
        let degree = heaviness(used, inner.fair_beside(used));
        let epoch = (u128::from(now.as_nanos()) * u128::from(inner.shuffles)) >> 64;
        let luck = mix(user ^ mix(epoch as u64)) as u8 % LEVELS_OF_A_DEGREE;
        priority.with_level((DEGREES - 1 - degree) * LEVELS_OF_A_DEGREE + luck)
    }

    #[cold]
    fn forget(&self, now: Instant) {
        let inner = &*self.0;
        let _alone = match inner.forgetting.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return,
        };
        if !inner.is_due(now) {
            return;
        }
        // Once for each half-life that has passed; after 32 nothing is left.
        let passed = match inner.due.load() {
            0 => 1,
            due => now.as_nanos().saturating_sub(due) / inner.half_life + 1,
        };
        let (mut all, mut users) = (0, 0);
        for _ in 0..passed.min(32) {
            (all, users) = inner.usage.forget();
            if all == 0 {
                break;
            }
        }
        // Half was forgotten, and is asked for once more in this half-life.
        inner.used.store(all * 2);
        inner.users.store(users.into());
        inner
            .due
            .store(now.as_nanos().saturating_add(inner.half_life));
    }
}

impl Inner {
    /// Also if it would not be for two half-lives, because some instant was one
    /// of another clock.
    #[inline(always)]
    fn is_due(&self, now: Instant) -> bool {
        let left = self.due.load().wrapping_sub(now.as_nanos());
        left.wrapping_sub(1) >= self.half_life.saturating_mul(2)
    }

    /// What the others asked for of late, on the average: with what one asked
    /// for itself it would never be much more than the mean where users are
    /// few. Alone, nobody is heavy.
    #[inline]
    fn fair_beside(&self, used: u64) -> u64 {
        match self.users.load().saturating_sub(1) {
            0 => used.max(FEW),
            others => (self.used.load().saturating_sub(used) / others).max(FEW),
        }
    }
}

/// How often what somebody uses can be halved until it is less than twice what
/// is fair: the logarithm of the quotient, without a division.
fn heaviness(used: u64, fair: u64) -> u8 {
    let (used, fair) = (used.max(1), fair.max(1));
    let doubled = used.ilog2().saturating_sub(fair.ilog2());
    // Of as many bits as `used` has.
    let is_less = used >> doubled < fair;
    (doubled as u8)
        .saturating_sub(u8::from(is_less))
        .min(DEGREES - 1)
}

impl fmt::Debug for Fairness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fairness")
            .field("used", &self.0.used.load())
            .field("users", &self.0.users.load())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Beside the division.
        #[test]
        fn heaviness_is_how_many_times_it_is_twice_what_is_fair(
            used in 0..=u64::from(u32::MAX), fair in 0..5_000u64, near in 0..2u64, times in 0..10u32,
        ) {
            for used in [used, ((fair << times) + near).saturating_sub(1)] {
                let quotient = (used / fair.max(1)).max(1);
                let expected = (quotient.ilog2() as u8).min(DEGREES - 1);
                prop_assert_eq!(heaviness(used, fair), expected, "{} of {}", used, fair);
            }
        }
    }
}
