use axiomatic_core::{Name, Reason};

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
    #[inline(always)]
    pub(super) fn refused(&self, reason: Reason) {
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
            target: "axiomatic::load_shed",
            name = self.name.as_str(),
            reason = cause(reason),
            "refused"
        );
    }

    /// A call was let in, in shadow, that would have been refused.
    pub(super) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    would_refuse: metrics::Counter,
    refused: [metrics::Counter; CAUSES.len()],
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        Metrics {
            would_refuse: metrics::counter!(
                "axiomatic_load_shed_would_refuse_total", "name" => name
            ),
            refused: CAUSES.map(|reason| {
                metrics::counter!(
                    "axiomatic_load_shed_refused_total",
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

#[cfg(feature = "metrics")]
const CAUSES: [Reason; 2] = [Reason::Shed, Reason::Expired];

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn cause(reason: Reason) -> &'static str {
    match reason {
        Reason::Expired => "expired",
        _ => "shed",
    }
}
