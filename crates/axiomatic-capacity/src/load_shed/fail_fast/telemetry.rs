//! What is told to the outside, after the step it reports and under no lock. The
//! names stand in TELEMETRY.md.

use std::time::Duration;

use axiomatic_core::Name;

pub(super) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

#[cfg(feature = "metrics")]
struct Metrics {
    episodes: metrics::Counter,
    refused: metrics::Counter,
    would_refuse: metrics::Counter,
}

impl Telemetry {
    pub(super) fn new(name: Name) -> Self {
        #[cfg(feature = "metrics")]
        let metrics = {
            let name = name.as_str();
            Metrics {
                episodes: metrics::counter!("axiomatic_fail_fast_episodes_total", "name" => name),
                refused: metrics::counter!("axiomatic_fail_fast_refused_total", "name" => name),
                would_refuse: metrics::counter!(
                    "axiomatic_fail_fast_would_refuse_total", "name" => name
                ),
            }
        };
        let _ = name;
        Telemetry {
            #[cfg(feature = "tracing")]
            name,
            #[cfg(feature = "metrics")]
            metrics,
        }
    }

    /// Nobody found the service ready for this long.
    pub(super) fn failing_fast(&self, after: Duration) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::fail_fast",
            name = self.name.as_str(),
            after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "failing fast"
        );
        #[cfg(feature = "metrics")]
        self.metrics.episodes.increment(1);
        let _ = after;
    }

    /// Somebody found it ready again.
    #[cold]
    pub(super) fn recovered(&self) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::fail_fast",
            name = self.name.as_str(),
            "recovered"
        );
    }

    /// A call was refused. There is no event for it: it is one of many, of
    /// which the first was told.
    #[inline(always)]
    pub(super) fn refused(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.refused.increment(1);
    }

    /// A call waits, in shadow, that would have been refused.
    pub(super) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }
}
