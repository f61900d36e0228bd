//! What is told to the outside, after the step it reports and under no lock that
//! a call waits for. The names stand in TELEMETRY.md.

#[cfg(feature = "tracing")]
use axiomatic_core::Name;
use axiomatic_core::{Pattern, Reason};

pub(crate) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "tracing")]
    pattern: Pattern,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

impl Telemetry {
    pub(crate) fn new(
        pattern: Pattern,
        name: axiomatic_core::Name,
        limit: u32,
        is_alone: bool,
    ) -> Self {
        let _ = (pattern, name, limit, is_alone);
        Telemetry {
            #[cfg(feature = "tracing")]
            name,
            #[cfg(feature = "tracing")]
            pattern,
            #[cfg(feature = "metrics")]
            metrics: Metrics::new(pattern, name, limit, is_alone),
        }
    }

    /// A call was refused.
    #[inline(always)]
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
        match self.pattern {
            Pattern::AdaptiveLimit => tracing::debug!(
                target: "axiomatic::adaptive",
                name = self.name.as_str(),
                reason = cause(reason),
                "refused"
            ),
            _ => tracing::debug!(
                target: "axiomatic::bulkhead",
                name = self.name.as_str(),
                reason = cause(reason),
                "refused"
            ),
        }
    }

    /// A call was let in, in shadow, that would have been refused or would
    /// have waited.
    pub(crate) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }

    /// The limit was changed, by somebody or for a reason.
    pub(crate) fn resized(&self, limit: u32, why: &'static str) {
        #[cfg(feature = "tracing")]
        match self.pattern {
            Pattern::AdaptiveLimit => tracing::debug!(
                target: "axiomatic::adaptive",
                name = self.name.as_str(),
                limit,
                why,
                "resized"
            ),
            _ => tracing::info!(
                target: "axiomatic::bulkhead",
                name = self.name.as_str(),
                limit,
                "resized"
            ),
        }
        #[cfg(feature = "metrics")]
        if let Some(gauge) = &self.metrics.limit {
            gauge.set(f64::from(limit));
        }
        let _ = (limit, why);
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    /// None for one of many of a name, which would overwrite it.
    limit: Option<metrics::Gauge>,
    would_refuse: metrics::Counter,
    refused: [metrics::Counter; CAUSES.len()],
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(pattern: Pattern, name: axiomatic_core::Name, limit: u32, is_alone: bool) -> Self {
        let name = name.as_str();
        let [gauge, would_refuse, refused] = match pattern {
            Pattern::AdaptiveLimit => [
                "axiomatic_adaptive_limit",
                "axiomatic_adaptive_would_refuse_total",
                "axiomatic_adaptive_refused_total",
            ],
            _ => [
                "axiomatic_bulkhead_limit",
                "axiomatic_bulkhead_would_refuse_total",
                "axiomatic_bulkhead_refused_total",
            ],
        };
        Metrics {
            limit: is_alone.then(|| {
                let gauge = metrics::gauge!(gauge, "name" => name);
                gauge.set(f64::from(limit));
                gauge
            }),
            would_refuse: metrics::counter!(would_refuse, "name" => name),
            refused: CAUSES.map(
                |reason| metrics::counter!(refused, "name" => name, "reason" => cause(reason)),
            ),
        }
    }

    fn refused(&self, reason: Reason) -> &metrics::Counter {
        let at = CAUSES.iter().position(|one| *one == reason);
        &self.refused[at.unwrap_or(0)]
    }
}

#[cfg(feature = "metrics")]
const CAUSES: [Reason; 5] = [
    Reason::Full,
    Reason::QueueFull,
    Reason::WaitedTooLong,
    Reason::Shed,
    Reason::Expired,
];

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn cause(reason: Reason) -> &'static str {
    match reason {
        Reason::QueueFull => "queue full",
        Reason::WaitedTooLong => "waited too long",
        Reason::Shed => "shed",
        Reason::Expired => "expired",
        _ => "full",
    }
}
