//! What is told to the outside, after the step it reports and under no lock.
//! The names stand in TELEMETRY.md.

use axiomatic_core::{Name, Pattern, Reason};

pub(crate) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "tracing")]
    pattern: Pattern,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

impl Telemetry {
    pub(crate) fn new(pattern: Pattern, name: Name, limit: u32, is_alone: bool) -> Self {
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
        tracing::debug!(
            target: "axiomatic::capacity",
            name = self.name.as_str(),
            pattern = word(self.pattern),
            reason = cause(reason),
            "refused"
        );
    }

    /// A call was let in, in shadow, that would have been refused or would
    /// have waited.
    pub(crate) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }

    /// The limit was changed.
    pub(crate) fn resized(&self, limit: u32) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "axiomatic::capacity",
            name = self.name.as_str(),
            pattern = word(self.pattern),
            limit,
            "resized"
        );
        #[cfg(feature = "metrics")]
        if let Some(gauge) = &self.metrics.limit {
            gauge.set(f64::from(limit));
        }
        let _ = limit;
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
    fn new(pattern: Pattern, name: Name, limit: u32, is_alone: bool) -> Self {
        let (name, pattern) = (name.as_str(), word(pattern));
        let limits = is_alone.then(|| {
            let gauge =
                metrics::gauge!("axiomatic_capacity_limit", "name" => name, "pattern" => pattern);
            gauge.set(f64::from(limit));
            gauge
        });
        Metrics {
            limit: limits,
            would_refuse: metrics::counter!(
                "axiomatic_capacity_would_refuse_total",
                "name" => name,
                "pattern" => pattern
            ),
            refused: CAUSES.map(|reason| {
                metrics::counter!(
                    "axiomatic_capacity_refused_total",
                    "name" => name,
                    "pattern" => pattern,
                    "reason" => cause(reason)
                )
            }),
        }
    }

    fn refused(&self, reason: Reason) -> &metrics::Counter {
        let at = CAUSES.iter().position(|one| *one == reason);
        &self.refused[at.unwrap_or(0)]
    }
}

#[cfg(feature = "metrics")]
const CAUSES: [Reason; 4] = [
    Reason::Full,
    Reason::QueueFull,
    Reason::WaitedTooLong,
    Reason::Expired,
];

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn cause(reason: Reason) -> &'static str {
    match reason {
        Reason::QueueFull => "queue full",
        Reason::WaitedTooLong => "waited too long",
        Reason::Expired => "expired",
        _ => "full",
    }
}

/// A pattern in a word.
pub(super) fn word(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::AdaptiveLimit => "adaptive limit",
        _ => "bulkhead",
    }
}
