use axiomatic_core::Name;

/// Who is told of refusals. Names and units stand in TELEMETRY.md.
pub(super) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

/// Why a call is refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It matters too little, or would be too late.
    Shed,
    /// It is too late.
    Expired,
    /// The other side would refuse it.
    KeptBack,
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
    pub(super) fn refused(&self, cause: Cause) {
        #[cfg(feature = "tracing")]
        if tracing::level_filters::LevelFilter::current() >= tracing::Level::DEBUG {
            self.tell_refused(cause);
        }
        #[cfg(feature = "metrics")]
        self.metrics.refused[cause as usize].increment(1);
        let _ = cause;
    }

    #[cfg(feature = "tracing")]
    #[cold]
    fn tell_refused(&self, cause: Cause) {
        tracing::debug!(
            target: "axiomatic::load_shed",
            name = self.name.as_str(),
            reason = cause.text(),
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
    /// By cause.
    refused: [metrics::Counter; Cause::ALL.len()],
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        Metrics {
            would_refuse: metrics::counter!(
                "axiomatic_load_shed_would_refuse_total", "name" => name
            ),
            refused: Cause::ALL.map(|cause| {
                metrics::counter!(
                    "axiomatic_load_shed_refused_total",
                    "name" => name, "reason" => cause.text()
                )
            }),
        }
    }
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
impl Cause {
    /// In their order.
    #[cfg(feature = "metrics")]
    const ALL: [Cause; 3] = [Cause::Shed, Cause::Expired, Cause::KeptBack];

    const fn text(self) -> &'static str {
        match self {
            Cause::Shed => "shed",
            Cause::Expired => "expired",
            Cause::KeptBack => "kept back",
        }
    }
}
