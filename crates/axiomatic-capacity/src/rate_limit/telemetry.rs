use std::fmt;

use axiomatic_core::{Name, Reason};

use super::Quota;

/// Who is told of refusals. Names and units stand in TELEMETRY.md.
pub(crate) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

impl Telemetry {
    pub(crate) fn new(name: Name, quota: &Quota) -> Self {
        let _ = (name, quota);
        Telemetry {
            #[cfg(feature = "tracing")]
            name,
            #[cfg(feature = "metrics")]
            metrics: Metrics::new(name, quota),
        }
    }

    /// A call was refused.
    #[inline]
    pub(crate) fn refused(&self, reason: Reason) {
        #[cfg(feature = "tracing")]
        if tracing::level_filters::LevelFilter::current() >= tracing::Level::DEBUG {
            self.tell_refused(reason);
        }
        #[cfg(feature = "metrics")]
        self.metrics.refused(reason).increment(1);
        let _ = reason;
    }

    #[cfg(feature = "tracing")]
    #[cold]
    fn tell_refused(&self, reason: Reason) {
        tracing::debug!(
            target: "axiomatic::rate_limit",
            name = self.name.as_str(),
            reason = cause(reason),
            "refused"
        );
    }

    /// A call was let in, in shadow, that would have been refused.
    pub(crate) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }

    /// Somebody changed the quota.
    pub(crate) fn updated(&self, quota: &Quota) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::rate_limit",
            name = self.name.as_str(),
            quota = %quota,
            "updated"
        );
        #[cfg(feature = "metrics")]
        self.metrics.rate.set(rate(quota));
        let _ = quota;
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    rate: metrics::Gauge,
    would_refuse: metrics::Counter,
    refused: [metrics::Counter; CAUSES.len()],
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name, quota: &Quota) -> Self {
        let name = name.as_str();
        let limit = metrics::gauge!("axiomatic_rate_limit_rate", "name" => name);
        limit.set(rate(quota));
        Metrics {
            rate: limit,
            would_refuse: metrics::counter!(
                "axiomatic_rate_limit_would_refuse_total", "name" => name
            ),
            refused: CAUSES.map(|reason| {
                metrics::counter!(
                    "axiomatic_rate_limit_refused_total",
                    "name" => name, "reason" => cause(reason)
                )
            }),
        }
    }

    fn refused(&self, reason: Reason) -> &metrics::Counter {
        let at = CAUSES.iter().position(|one| *one == reason);
        &self.refused[at.unwrap_or(0)]
    }
}

/// For a gauge, which is a float anyway.
#[cfg(feature = "metrics")]
fn rate(quota: &Quota) -> f64 {
    f64::from(quota.count().get()) / quota.period().as_secs_f64()
}

#[cfg(feature = "metrics")]
const CAUSES: [Reason; 3] = [Reason::Limited, Reason::Shed, Reason::Expired];

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn cause(reason: Reason) -> &'static str {
    match reason {
        Reason::Shed => "shed",
        Reason::Expired => "expired",
        _ => "limited",
    }
}
