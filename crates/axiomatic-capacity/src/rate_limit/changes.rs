//! The quota, and how it changes: by an operator, by what a server said, and by
//! beginning its terms anew.

use std::sync::PoisonError;

use axiomatic_core::hash::mix;
use axiomatic_core::sync::MutexGuard;
use axiomatic_core::time::Instant;

use super::core::Core;
use super::terms::Terms;
use super::{ConfigError, Inheritance, Quota};

/// The quota that is kept, and what nobody else may raise it above.
#[derive(Debug)]
pub(super) struct Quotas {
    kept: Quota,
    most: Quota,
}

impl Quotas {
    pub(super) fn new(quota: Quota) -> Self {
        Quotas {
            kept: quota,
            most: quota,
        }
    }
}

impl Core {
    /// Changes the quota.
    pub(crate) fn update(
        &self,
        now: Instant,
        quota: Quota,
        inheritance: Inheritance,
    ) -> Result<(), ConfigError> {
        self.rule.check(&quota)?;
        {
            let mut quotas = self.lock_quotas();
            quotas.most = quota;
            self.keep(&mut quotas, now, quota, inheritance);
            self.heard.store(0);
        }
        self.telemetry.updated(&quota);
        Ok(())
    }

    /// Changes it to what somebody else says, as far as that is no more than
    /// it was configured to be and can be kept.
    pub(crate) fn lower(&self, now: Instant, told: Quota) {
        // Two that are told apart are nearly never equal here, and one that is
        // missed is told again.
        let period = u64::try_from(told.period().as_nanos()).unwrap_or(u64::MAX);
        let heard = mix(mix(period) ^ u64::from(told.count().get()));
        if self.heard.load() == heard || told.check().is_err() {
            return;
        }
        let lowered = {
            let mut quotas = self.lock_quotas();
            let mut quota = told.within(&quotas.most);
            if self.rule.is_window() {
                quota = quota.as_window();
            }
            self.heard.store(heard);
            if quota == quotas.kept || self.rule.check(&quota).is_err() {
                return;
            }
            self.keep(&mut quotas, now, quota, Inheritance::AsIs);
            quota
        };
        self.telemetry.updated(&lowered);
    }

    fn keep(&self, quotas: &mut Quotas, now: Instant, quota: Quota, inheritance: Inheritance) {
        let (terms, state) = self.word.look();
        let changed = if self.rule.is_cold_at(&terms, state, now) {
            // Nobody has asked, and so it stays cold.
            Terms::asleep(&quota)
        } else {
            self.renew_by(&quotas.kept, now);
            let (terms, _) = self.word.look();
            self.rule.changed(&terms, &quota, now)
        };
        self.word.switch(&changed, |old, state| {
            self.rule
                .inherited((old, state), &changed, inheritance, now)
        });
        quotas.kept = quota;
    }

    fn lock_quotas(&self) -> MutexGuard<'_, Quotas> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn quota(&self) -> Quota {
        self.lock_quotas().kept
    }

    /// Leaves nothing until then. The terms stay, and are of another
    /// generation: what was granted before is not given back, so that it does
    /// not end the pause.
    pub(crate) fn pause(&self, now: Instant, until: Instant) {
        let quotas = self.lock_quotas();
        self.renew_by(&quotas.kept, now);
        let (terms, _) = self.word.look();
        self.word.switch(&terms, |terms, state| {
            self.rule.pause(terms, state, now, until)
        });
    }

    /// Begins the terms anew, unless another just has.
    #[cold]
    pub(super) fn renew(&self, now: Instant) {
        self.renew_by(&self.lock_quotas().kept, now);
    }

    fn renew_by(&self, quota: &Quota, now: Instant) {
        let (terms, state) = self.word.look();
        let renewed = |terms: &Terms, state| self.rule.renewed(quota, terms, state, now);
        let Some((anew, _)) = renewed(&terms, state) else {
            return;
        };
        self.word.switch(&anew, |old, state| {
            // Somebody whose clock is behind may have been granted something
            // meanwhile that makes it look less idle. Nothing is left then.
            renewed(old, state)
                .map_or_else(|| self.rule.leave(&anew, 0, now, 0), |(_, state)| state)
        });
    }
}
