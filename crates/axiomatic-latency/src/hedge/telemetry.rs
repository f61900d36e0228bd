//! What a hedge tells the outside, after the step it reports and under no
//! lock. The names stand in TELEMETRY.md.

use std::time::Duration;

use axiomatic_core::Name;
use axiomatic_core::budget::Class;

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

    /// A second attempt was sent.
    pub(super) fn hedged(&self, class: Class, after: Duration) {
        self.event("enforce", class, after);
        #[cfg(feature = "metrics")]
        self.metrics.hedged.increment(1);
    }

    /// There would have been a second attempt.
    pub(super) fn would_hedge(&self, class: Class, after: Duration) {
        self.event("shadow", class, after);
        #[cfg(feature = "metrics")]
        self.metrics.would_hedge.increment(1);
    }

    #[cfg_attr(
        not(feature = "tracing"),
        expect(clippy::unused_self, reason = "it has the name")
    )]
    fn event(&self, mode: &'static str, class: Class, after: Duration) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "axiomatic::hedge",
            name = self.name.as_str(),
            class = word(class),
            after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            mode,
            "hedged"
        );
        let _ = (mode, class, after);
    }

    /// A second attempt answered.
    pub(super) fn won(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.won.increment(1);
    }

    /// The budget refused a second attempt.
    pub(super) fn refused(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.refused.increment(1);
    }
}

#[cfg(feature = "tracing")]
fn word(class: Class) -> &'static str {
    match class {
        Class::Hedge => "slow",
        Class::Timeout => "timeout",
        Class::Unsent => "unsent",
        _ => "transient",
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    hedged: metrics::Counter,
    won: metrics::Counter,
    refused: metrics::Counter,
    would_hedge: metrics::Counter,
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        Metrics {
            hedged: metrics::counter!("axiomatic_hedge_hedged_total", "name" => name),
            won: metrics::counter!("axiomatic_hedge_won_total", "name" => name),
            refused: metrics::counter!("axiomatic_hedge_refused_total", "name" => name),
            would_hedge: metrics::counter!("axiomatic_hedge_would_hedge_total", "name" => name),
        }
    }
}
