//! What a retry tells the outside, after the step it reports and under no
//! lock. The names stand in TELEMETRY.md.

use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::budget::Class;

use super::GaveUp;

pub(super) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

impl Telemetry {
    pub(super) fn new(name: Name) -> Self {
        let _ = name;
        Telemetry {
            #[cfg(feature = "tracing")]
            name,
            #[cfg(feature = "metrics")]
            metrics: Metrics::new(name),
        }
    }

    /// An attempt failed, and there will be another.
    pub(super) fn again(&self, class: Class, attempt: u32, after: Duration) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "axiomatic::retry",
            name = self.name.as_str(),
            class = word(class),
            attempt,
            after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "again"
        );
        #[cfg(feature = "metrics")]
        self.metrics.granted.increment(1);
        let _ = (class, attempt, after);
    }

    /// An attempt failed, and there is no other.
    pub(super) fn gave_up(&self, why: GaveUp, attempts: u32) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "axiomatic::retry",
            name = self.name.as_str(),
            why = why.as_str(),
            attempts,
            "gave up"
        );
        #[cfg(feature = "metrics")]
        self.metrics.gave_up[why as usize].increment(1);
        let _ = (why, attempts);
    }

    /// An attempt that was not the first succeeded.
    pub(super) fn recovered(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.recovered.increment(1);
    }

    /// There would have been another attempt.
    pub(super) fn would_retry(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_retry.increment(1);
    }
}

#[cfg(feature = "tracing")]
fn word(class: Class) -> &'static str {
    match class {
        Class::Throttled => "throttled",
        Class::Timeout => "timeout",
        Class::Unsent => "unsent",
        _ => "transient",
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    granted: metrics::Counter,
    recovered: metrics::Counter,
    would_retry: metrics::Counter,
    gave_up: [metrics::Counter; GaveUp::ALL.len()],
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        Metrics {
            granted: metrics::counter!("axiomatic_retry_granted_total", "name" => name),
            recovered: metrics::counter!("axiomatic_retry_recovered_total", "name" => name),
            would_retry: metrics::counter!("axiomatic_retry_would_retry_total", "name" => name),
            gave_up: GaveUp::ALL.map(|why| {
                metrics::counter!(
                    "axiomatic_retry_gave_up_total",
                    "name" => name,
                    "why" => why.as_str()
                )
            }),
        }
    }
}
