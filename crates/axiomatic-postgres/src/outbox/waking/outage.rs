//! How long a session that broke is not made again, and who is told.

use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_core::backoff::{Backoff, Delays};

use crate::options::Schema;

/// Between two attempts: a thousand processes that lost one server come back
/// at 200 a second at most.
const RECONNECT: Backoff =
    Backoff::exponential(Duration::from_millis(100), Duration::from_secs(10));

/// Whether a session is there, and how often in a row it was not.
#[derive(Debug)]
pub(super) struct Outage {
    #[cfg(feature = "tracing")]
    schema: Box<str>,
    #[cfg(feature = "tracing")]
    session: &'static str,
    waits: Delays,
    is_lost: bool,
}

impl Outage {
    pub(super) fn new(schema: &Schema, session: &'static str) -> Self {
        let _ = (schema, session);
        Outage {
            #[cfg(feature = "tracing")]
            schema: schema.name().into(),
            #[cfg(feature = "tracing")]
            session,
            waits: RECONNECT.start(),
            is_lost: false,
        }
    }

    /// The session broke, or was not made. Returns for how long to wait.
    pub(super) fn begins(&mut self, error: &StoreError) -> Duration {
        #[cfg(feature = "tracing")]
        if !self.is_lost {
            tracing::warn!(
                target: "axiomatic::outbox",
                schema = &*self.schema,
                session = self.session,
                error = %error,
                "session lost"
            );
        }
        let _ = error;
        self.is_lost = true;
        self.waits.next().unwrap_or(Duration::from_secs(10))
    }

    /// It is there again.
    pub(super) fn ends(&mut self) {
        #[cfg(feature = "tracing")]
        if self.is_lost {
            tracing::info!(
                target: "axiomatic::outbox",
                schema = &*self.schema,
                session = self.session,
                "session restored"
            );
        }
        self.is_lost = false;
    }

    /// It has lasted: the next attempt is a first one. Not to be said before,
    /// since a server may break each session as soon as it is there.
    pub(super) fn forget(&mut self) {
        self.waits = RECONNECT.start();
    }
}
