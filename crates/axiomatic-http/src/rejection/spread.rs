use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axiomatic_core::backoff::Session;
use http::HeaderValue;

use crate::retry_after;

/// Whether the waits that are written are spread, and by whose dice.
#[derive(Clone, Debug)]
pub(super) enum Spread {
    /// By dice of each refusal's own, which share nothing.
    Own,
    /// The same every time, for tests and simulations: one after the other,
    /// so under a lock.
    Seeded(Arc<Mutex<Session>>),
    Off,
}

impl Spread {
    pub(super) fn seeded(seed: u64) -> Self {
        Spread::Seeded(Arc::new(Mutex::new(Session::seeded(seed))))
    }

    pub(super) fn value(&self, wait: Duration) -> HeaderValue {
        match self {
            Spread::Own => retry_after::jittered(wait, &mut Session::new()),
            Spread::Seeded(dice) => {
                let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
                retry_after::jittered(wait, &mut dice)
            }
            Spread::Off => retry_after::value(wait),
        }
    }
}
