//! What a throttler tells the outside. A binary of its own with one test, since
//! tracing remembers which places nobody listens to.
#![cfg(all(feature = "tracing", feature = "metrics", not(axiomatic_loom)))]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_capacity::load_shed::throttle::Config;
use axiomatic_core::context::Priority;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Mode, Outcome, Ratio};
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
        metadata.target() == "axiomatic::throttle"
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

fn what_happens() {
    let second = Duration::from_secs(1);
    let clock = ManualClock::new();
    let config = Config::accepting(Ratio::percent(200))
        .named("search")
        .window(10 * second, 10)
        .most_refused(Ratio::percent(75))
        .seed(1)
        .clock(Clock::Manual(clock.clone()));
    let throttler = config.clone().build().unwrap();
    let fail = || {
        if let Ok(permit) = throttler.admit(clock.now(), Priority::CRITICAL) {
            permit.record(clock.now(), Outcome::Transient);
        }
    };
    (0..8).for_each(|_| fail());
    clock.advance(second);
    // Two that are unlucky.
    while throttler.snapshot().refused() < 2 {
        fail();
    }
    throttler.set_mode(Mode::Shadow);
    while throttler.snapshot().would_refuse() < 1 {
        fail();
    }
    clock.advance(20 * second);
    fail();
    throttler.update(&config).unwrap();
}

#[test]
fn a_throttler_tells_what_it_does() {
    let lines = Lines::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(lines.clone(), what_happens);
    });
    assert_eq!(
        *lines.0.lock().unwrap(),
        [
            "message=throttling name=\"search\" share=75 %",
            "message=refused name=\"search\" reason=\"shed\"",
            "message=refused name=\"search\" reason=\"shed\"",
            "message=passing name=\"search\"",
            "message=updated name=\"search\"",
        ]
    );
    let metrics: BTreeMap<String, f64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(gauge) => gauge.into_inner(),
                DebugValue::Histogram(_) => panic!("there is none"),
            };
            (key.key().name().to_owned(), value)
        })
        .collect();
    let expected = [
        ("axiomatic_throttle_refused_share", 0.0),
        ("axiomatic_throttle_refused_total", 2.0),
        ("axiomatic_throttle_would_refuse_total", 1.0),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(metrics, BTreeMap::from(expected));
}
