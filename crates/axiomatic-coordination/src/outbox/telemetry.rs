//! What a relay tells the outside, after the step that it reports. The names
//! stand in TELEMETRY.md.

use std::time::Duration;

use axiomatic_core::Name;

use super::publisher::Verdict;
use super::record::Envelope;
use super::store::{Failure, Settled};
use crate::StoreError;

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

    /// A publisher answered.
    pub(super) fn answered(&self, wave: &[Envelope], verdicts: &[Verdict]) {
        #[cfg(feature = "metrics")]
        self.metrics.answered(verdicts);
        #[cfg(feature = "tracing")]
        for (envelope, verdict) in wave.iter().zip(verdicts) {
            if let Verdict::Rejected { class, error } = verdict {
                tracing::debug!(
                    target: "axiomatic::outbox",
                    name = self.name.as_str(),
                    message = %envelope.id(),
                    topic = envelope.topic(),
                    class = class.as_str(),
                    error = &**error,
                    "refused"
                );
            }
        }
        let _ = (wave, verdicts);
    }

    /// Nothing of a wave came through.
    pub(super) fn outage(&self, pause: Duration) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::outbox",
            name = self.name.as_str(),
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "outage"
        );
        #[cfg(feature = "metrics")]
        self.metrics.outages.increment(1);
        let _ = pause;
    }

    /// A message or its key was given up.
    pub(super) fn given_up(&self, settled: &Settled, failure: &Failure) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::outbox",
            name = self.name.as_str(),
            row = settled.row.0,
            key = %settled.lane,
            cause = failure.cause.as_str(),
            error = &*failure.error,
            fate = word(settled),
            "given up"
        );
        #[cfg(feature = "metrics")]
        self.metrics.given_up(word(settled));
        let _ = (settled, failure);
    }

    /// Leases were lost.
    pub(super) fn leases_lost(&self, leases: u64) {
        if leases == 0 {
            return;
        }
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::outbox",
            name = self.name.as_str(),
            leases,
            "leases lost"
        );
        #[cfg(feature = "metrics")]
        self.metrics.leases_lost.increment(leases);
    }

    /// The store refused late writes.
    pub(super) fn fenced(&self, rows: u64) {
        #[cfg(feature = "metrics")]
        if rows > 0 {
            self.metrics.fenced.increment(rows);
        }
        let _ = rows;
    }

    /// The store could not do what it was asked.
    pub(super) fn store_error(&self, error: &StoreError) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::outbox",
            name = self.name.as_str(),
            why = error.why().as_str(),
            error = %error,
            "store error"
        );
        #[cfg(feature = "metrics")]
        self.metrics.store_errors.increment(1);
        let _ = error;
    }
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn word(settled: &Settled) -> &'static str {
    match settled.fate {
        super::store::Fate::Buried(_) => "buried",
        _ => "parked",
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    name: &'static str,
    published: metrics::Counter,
    duplicates: metrics::Counter,
    unknown: metrics::Counter,
    leases_lost: metrics::Counter,
    fenced: metrics::Counter,
    outages: metrics::Counter,
    store_errors: metrics::Counter,
}

#[cfg(feature = "metrics")]
impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        Metrics {
            name,
            published: metrics::counter!("axiomatic_outbox_published_total", "name" => name),
            duplicates: metrics::counter!("axiomatic_outbox_duplicates_total", "name" => name),
            unknown: metrics::counter!("axiomatic_outbox_unknown_total", "name" => name),
            leases_lost: metrics::counter!("axiomatic_outbox_leases_lost_total", "name" => name),
            fenced: metrics::counter!("axiomatic_outbox_fenced_total", "name" => name),
            outages: metrics::counter!("axiomatic_outbox_outages_total", "name" => name),
            store_errors: metrics::counter!("axiomatic_outbox_store_errors_total", "name" => name),
        }
    }

    fn answered(&self, verdicts: &[Verdict]) {
        let count = |wanted: &Verdict| verdicts.iter().filter(|verdict| *verdict == wanted).count();
        let duplicates = count(&Verdict::Duplicate) as u64;
        self.published
            .increment(count(&Verdict::Acked) as u64 + duplicates);
        self.duplicates.increment(duplicates);
        self.unknown.increment(count(&Verdict::Unknown) as u64);
        for verdict in verdicts {
            if let Verdict::Rejected { class, .. } = verdict {
                metrics::counter!(
                    "axiomatic_outbox_rejected_total",
                    "name" => self.name,
                    "class" => class.as_str()
                )
                .increment(1);
            }
        }
    }

    fn given_up(&self, fate: &'static str) {
        metrics::counter!("axiomatic_outbox_given_up_total", "name" => self.name, "fate" => fate)
            .increment(1);
    }
}
