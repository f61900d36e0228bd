use std::fmt;

use axiomatic_core::Name;

use super::Share;

/// Who is told of refusals. Names and units stand in TELEMETRY.md.
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

    /// A call was refused.
    #[inline]
    pub(super) fn refused(&self) {
        #[cfg(feature = "tracing")]
        if tracing::level_filters::LevelFilter::current() >= tracing::Level::DEBUG {
            self.tell_refused();
        }
        #[cfg(feature = "metrics")]
        self.metrics.refused.increment(1);
    }

    #[cfg(feature = "tracing")]
    #[cold]
    fn tell_refused(&self) {
        tracing::debug!(
            target: "axiomatic::throttle",
            name = self.name.as_str(),
            reason = "shed",
            "refused"
        );
    }

    /// A call was let in, in shadow, that would have been refused.
    pub(super) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }

    /// The share was computed anew. That calls begin to be refused is told, and
    /// that they cease to be; how many are is what the gauge shows.
    pub(super) fn refreshed(&self, before: Share, share: Share) {
        #[cfg(feature = "tracing")]
        if before == Share::NONE && share != Share::NONE {
            tracing::info!(
                target: "axiomatic::throttle",
                name = self.name.as_str(),
                share = %share,
                "throttling"
            );
        } else if before != Share::NONE && share == Share::NONE {
            tracing::info!(
                target: "axiomatic::throttle",
                name = self.name.as_str(),
                "passing"
            );
        }
        #[cfg(feature = "metrics")]
        self.metrics.share.set(part(share));
        let _ = (before, share);
    }

    /// Somebody changed its configuration.
    pub(super) fn updated(&self) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::throttle",
            name = self.name.as_str(),
            "updated"
        );
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    share: metrics::Gauge,
    refused: metrics::Counter,
    would_refuse: metrics::Counter,
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        let share = metrics::gauge!("axiomatic_throttle_refused_share", "name" => name);
        share.set(0.0);
        Metrics {
            share,
            refused: metrics::counter!("axiomatic_throttle_refused_total", "name" => name),
            would_refuse: metrics::counter!(
                "axiomatic_throttle_would_refuse_total", "name" => name
            ),
        }
    }
}

/// For a gauge, which is a float anyway.
#[cfg(feature = "metrics")]
fn part(share: Share) -> f64 {
    f64::from(share.as_u32()) / 4_294_967_296.0
}
