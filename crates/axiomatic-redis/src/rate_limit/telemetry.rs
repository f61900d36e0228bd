//! What a limiter over Redis tells the outside, after the step it reports and
//! under no lock. The names stand in TELEMETRY.md.

use axiomatic_core::{Name, Reason};

use super::Source;
use super::store::Away;

#[derive(Debug)]
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

    /// Redis was asked.
    pub(super) fn asked(&self, failure: Option<(Away, Option<&redis::RedisError>)>) {
        #[cfg(feature = "tracing")]
        if let Some((away, error)) = &failure {
            tracing::debug!(
                target: "axiomatic::redis_rate_limit",
                name = self.name.as_str(),
                why = away.as_str(),
                error = error.map(tracing::field::display),
                "unanswered"
            );
        }
        #[cfg(feature = "metrics")]
        self.metrics.asked(failure.as_ref().map(|(away, _)| *away));
        let _ = failure;
    }

    /// A call was admitted, there.
    #[inline]
    pub(super) fn admitted(&self, source: Source) {
        #[cfg(feature = "metrics")]
        self.metrics.admitted[source as usize].increment(1);
        let _ = source;
    }

    /// A call was refused.
    pub(super) fn refused(&self, reason: Reason) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "axiomatic::redis_rate_limit",
            name = self.name.as_str(),
            reason = word(reason),
            "refused"
        );
        #[cfg(feature = "metrics")]
        self.metrics.refused(reason);
        let _ = reason;
    }

    /// A call passed in shadow that would have been refused.
    pub(super) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Unreachable => "unreachable",
        Reason::Expired => "expired",
        _ => "limited",
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    answered: metrics::Counter,
    failed: [metrics::Counter; 3],
    admitted: [metrics::Counter; Source::ALL.len()],
    limited: metrics::Counter,
    unreachable: metrics::Counter,
    expired: metrics::Counter,
    would_refuse: metrics::Counter,
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        let asked = |outcome: &'static str| {
            metrics::counter!(
                "axiomatic_redis_rate_limit_round_trips_total",
                "name" => name,
                "outcome" => outcome
            )
        };
        let refused = |reason| {
            metrics::counter!(
                "axiomatic_redis_rate_limit_refused_total",
                "name" => name,
                "reason" => word(reason)
            )
        };
        Metrics {
            answered: asked("answered"),
            failed: [Away::TimedOut, Away::Broken, Away::Unable].map(|away| asked(away.as_str())),
            admitted: Source::ALL.map(|source| {
                metrics::counter!(
                    "axiomatic_redis_rate_limit_admitted_total",
                    "name" => name,
                    "source" => source.as_str()
                )
            }),
            limited: refused(Reason::Limited),
            unreachable: refused(Reason::Unreachable),
            expired: refused(Reason::Expired),
            would_refuse: metrics::counter!(
                "axiomatic_redis_rate_limit_would_refuse_total",
                "name" => name
            ),
        }
    }

    fn asked(&self, failure: Option<Away>) {
        match failure {
            None => self.answered.increment(1),
            Some(Away::TimedOut) => self.failed[0].increment(1),
            Some(Away::Broken) => self.failed[1].increment(1),
            Some(Away::Unable) => self.failed[2].increment(1),
            // It was not asked.
            Some(Away::LeftAlone(_)) => {}
        }
    }

    fn refused(&self, reason: Reason) {
        match reason {
            Reason::Unreachable => self.unreachable.increment(1),
            Reason::Expired => self.expired.increment(1),
            _ => self.limited.increment(1),
        }
    }
}

#[cfg(feature = "metrics")]
impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
