use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axiomatic_core::keyed::{self, Found, Idle, Keyed, WhenFull};
use axiomatic_core::time::Instant;

use super::gcra::{Limit, Span, Verdict};

/// What a process lets pass by itself while Redis is away: its share of the
/// quota, for each key, in bounded memory. Keys without a place share one
/// share.
///
/// A share is never filled up when Redis goes away, but only by time: if it
/// comes and goes, each process still admits no more by its share than that
/// allows.
pub(super) struct Shares(Keyed<Box<[u8]>, Share>);

/// When the share of a key will be full again, on the process's clock, and the
/// size of its parts. The lock is held for a few additions.
#[derive(Debug, Default)]
struct Share(Mutex<Arrival>);

#[derive(Copy, Clone, Debug, Default)]
struct Arrival {
    span: Span,
    of: u64,
}

fn micros(now: Instant) -> u64 {
    now.as_nanos() / 1_000
}

impl Arrival {
    /// How far it is ahead of now.
    fn ahead(&self, now: Instant, limit: &Limit) -> Span {
        let Span {
            mut micros,
            mut parts,
        } = self.span;
        if self.of != limit.of() && parts > 0 {
            (micros, parts) = (micros + 1, 0);
        }
        match micros.checked_sub(self::micros(now)) {
            Some(micros) => Span { micros, parts },
            None => Span::default(),
        }
    }

    fn set(&mut self, now: Instant, limit: &Limit, ahead: Span) {
        self.of = limit.of();
        self.span = Span {
            micros: micros(now) + ahead.micros,
            parts: ahead.parts,
        };
    }
}

impl Share {
    fn lock(&self) -> MutexGuard<'_, Arrival> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle for Share {
    fn is_idle(&self, now: Instant) -> bool {
        let Span { micros, parts } = self.lock().span;
        micros + u64::from(parts > 0) <= self::micros(now)
    }
}

impl Shares {
    pub(super) fn new(keys: NonZeroU32) -> Self {
        Shares(Keyed::new(keys, WhenFull::Shared, |_| Share::default()))
    }

    /// Takes so many, and says how far ahead the share is then; or how long it
    /// takes until there are so many.
    pub(super) fn take(
        &self,
        key: &[u8],
        now: Instant,
        limit: &Limit,
        cost: NonZeroU32,
    ) -> Result<Span, Option<Duration>> {
        if !limit.is_satisfiable(cost) {
            return Err(None);
        }
        self.with(key, now, |arrival| {
            match limit.judge(arrival.ahead(now, limit), cost) {
                Verdict::Fits(then) => {
                    arrival.set(now, limit, then);
                    Ok(then)
                }
                Verdict::After(wait) => Err(Some(wait)),
            }
        })
    }

    /// Gives so many back.
    pub(super) fn give(&self, key: &[u8], now: Instant, limit: &Limit, count: NonZeroU32) {
        self.with(key, now, |arrival| {
            let ahead = limit.less(arrival.ahead(now, limit), limit.sum(count));
            arrival.set(now, limit, ahead.unwrap_or_default());
        });
    }

    pub(super) fn snapshot(&self) -> keyed::Snapshot {
        self.0.snapshot()
    }

    fn with<R>(&self, key: &[u8], now: Instant, then: impl FnOnce(&mut Arrival) -> R) -> R {
        self.0.with(key, now, |found| match found {
            Found::Own(share) | Found::Shared(share) => then(&mut share.lock()),
            // It was made with a share for whoever has no place. A share that
            // nobody else has is as good as none.
            Found::Full(_) => then(&mut Arrival::default()),
        })
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shares").field(&self.0).finish()
    }
}
