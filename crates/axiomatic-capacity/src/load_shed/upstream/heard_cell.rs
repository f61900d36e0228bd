use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::Instant;

/// The level that was heard last, and until when it is believed.
///
/// Layout    | 63..24 until when, in units of 2^20 ns | 23..0 level |
/// Invariant the level and its time belong together.
/// Writers   `hear`. Readers `level`.
/// Orderings all Relaxed: one word, and no other memory is read on its
///           strength. Of two that are heard at a time either stays.
#[derive(Debug)]
pub(super) struct Heard(AtomicU64);

/// A millisecond, more or less: 36 years of them fit.
const UNIT: u32 = 20;
const LEVEL_BITS: u32 = 24;

impl Heard {
    pub(super) fn nothing() -> Self {
        Heard(AtomicU64::new(0))
    }

    /// This was heard, and is believed until then, rounded up.
    #[inline]
    pub(super) fn hear(&self, level: AdmissionLevel, until: Instant) {
        let until = (until.as_nanos() >> UNIT).saturating_add(1);
        let until = until.min(u64::MAX >> LEVEL_BITS);
        let heard = until << LEVEL_BITS | u64::from(level.as_u32());
        // Mostly the same is heard again, and need not be written.
        // ORDERING: Relaxed: one word.
        if self.0.load(Ordering::Relaxed) != heard {
            // ORDERING: Relaxed: one word.
            self.0.store(heard, Ordering::Relaxed);
        }
    }

    /// What is believed at `now`: everything is admitted, if nothing was heard
    /// of late.
    #[inline(always)]
    pub(super) fn level(&self, now: Instant) -> AdmissionLevel {
        // ORDERING: Relaxed: one word.
        let heard = self.0.load(Ordering::Relaxed);
        if now.as_nanos() >> UNIT < heard >> LEVEL_BITS {
            AdmissionLevel::from_u32(heard as u32 & ((1 << LEVEL_BITS) - 1))
        } else {
            AdmissionLevel::ALL
        }
    }
}
