//! What a retry tells the outside. A binary of its own with one test, since
//! tracing remembers which places nobody listens to.
#![cfg(all(feature = "tracing", feature = "metrics", not(axiomatic_loom)))]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Mode, Outcome, Ratio};
use axiomatic_failure::retry::{Config, Ended, Retry, Verdict};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Every event as a line of its fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "axiomatic::retry"
    }
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0.trim().to_owned());
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A call that ends with these outcomes, as far as it comes.
fn call(retry: &Retry, outcomes: &[Outcome]) {
    let now = Instant::from_nanos(50_000_000_000);
    let mut session = retry.begin(&Context::default(), now);
    for outcome in outcomes {
        match session.record(now, &Ended::with(*outcome)) {
            Verdict::Again { .. } => assert!(session.start_attempt(now)),
            Verdict::Return | Verdict::GiveUp(_) => return,
        }
    }
}

#[test]
fn a_retry_tells_what_it_does() {
    let lines = Lines::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(lines.clone(), || {
            // Three tokens.
            let deposits = Deposits::of(Ratio::ZERO)
                .floor(3)
                .lasting(Duration::from_secs(1));
            let budget = RetryBudget::new("payment", deposits).unwrap();
            let wait = Backoff::constant(Duration::from_millis(20)).jitter(Jitter::Off);
            let retry = Config::new(budget).named("payment").backoff(wait);
            let retry = retry.build().unwrap();
            let bad = Outcome::Transient;
            call(&retry, &[bad, Outcome::Success]);
            call(&retry, &[Outcome::Success]);
            call(&retry, &[bad, bad, bad]);
            call(&retry, &[Outcome::Throttled { retry_after: None }]);
            retry.set_mode(Mode::Shadow);
            call(&retry, &[bad]);
        });
    });
    let again = "message=again name=\"payment\" class=\"transient\"";
    assert_eq!(
        *lines.0.lock().unwrap(),
        [
            format!("{again} attempt=1 after_ms=20"),
            format!("{again} attempt=1 after_ms=20"),
            format!("{again} attempt=2 after_ms=20"),
            "message=gave up name=\"payment\" why=\"attempts\" attempts=3".to_owned(),
            "message=gave up name=\"payment\" why=\"budget\" attempts=1".to_owned(),
        ]
    );
    let counted: BTreeMap<String, u64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|l| l.value().to_owned()).collect();
            let DebugValue::Counter(count) = value else {
                panic!("a retry has no gauges");
            };
            (format!("{} {}", key.key().name(), labels.join(" ")), count)
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    let expected = [
        ("axiomatic_retry_gave_up_total payment attempts", 1),
        ("axiomatic_retry_gave_up_total payment budget", 1),
        ("axiomatic_retry_granted_total payment", 3),
        ("axiomatic_retry_recovered_total payment", 1),
        ("axiomatic_retry_would_retry_total payment", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counted, BTreeMap::from(expected));
}
