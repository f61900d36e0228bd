use std::fmt;

use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;

/// A signal made of a function: whatever else there is to watch.
///
/// ```
/// use axiomatic_capacity::load_shed::signal::Watched;
/// use axiomatic_core::pressure::{Pressure, Signal};
/// use axiomatic_core::time::Instant;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let lent = Arc::new(AtomicU64::new(8));
/// let count = Arc::clone(&lent);
/// let connections = Watched::new("connections", move |_| {
///     Pressure::of(count.load(Ordering::Relaxed), 10)
/// });
/// assert_eq!(connections.pressure(Instant::from_nanos(1)), Pressure::percent(80));
/// ```
#[derive(Clone)]
pub struct Watched<F> {
    name: &'static str,
    watch: F,
}

impl<F: Fn(Instant) -> Pressure + Send + Sync + 'static> Watched<F> {
    /// A signal of this name, whose pressure `watch` says. It is called by
    /// calls that come by, so it should answer within microseconds and must
    /// not block.
    pub fn new(name: &'static str, watch: F) -> Self {
        Watched { name, watch }
    }
}

impl<F: Fn(Instant) -> Pressure + Send + Sync + 'static> Signal for Watched<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pressure(&self, now: Instant) -> Pressure {
        (self.watch)(now)
    }
}

impl<F> fmt::Debug for Watched<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
