//! What a hedge tells the outside. A binary of its own with one test, since
//! tracing remembers which places nobody listens to.
#![cfg(all(feature = "tracing", feature = "metrics"))]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_core::budget::{Class, Deposits, RetryBudget};
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Outcome, Ratio};
use axiomatic_latency::hedge::{Config, Delay};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("axiomatic::")
    }
    fn event(&self, event: &Event<'_>) {
        assert_eq!(*event.metadata().level(), Level::DEBUG);
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0.replace('"', ""));
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Four tokens, of which one is given back; then there are none left. In
/// shadow two more are not asked for, and off nothing is told.
fn a_life() {
    let budget = RetryBudget::new("extras", Deposits::of(Ratio::percent(400)).floor(0)).unwrap();
    let config = Config::new(Delay::fixed(Duration::from_millis(20)));
    let hedge = config.named("catalogue").budget(budget).build().unwrap();
    let began = Instant::from_nanos(50_000_000_000);
    let later = began + Duration::from_millis(30);
    let call = hedge.begin(began);
    let send = |class| call.admit(later, class).map(|permit| permit.send(later));

    send(Class::Hedge).unwrap().record(later, Outcome::Success);
    let failed = send(Class::Transient).unwrap();
    failed.record(later, Outcome::Transient);
    send(Class::Timeout).unwrap().lost(later);
    drop(call.admit(later, Class::Hedge));
    let _last = send(Class::Unsent).unwrap();
    let _last = send(Class::Hedge).unwrap();
    assert!(send(Class::Hedge).is_none());
    hedge.set_mode(Mode::Shadow);
    assert!(send(Class::Hedge).is_none());
    assert!(send(Class::Transient).is_none());
    hedge.set_mode(Mode::Off);
    assert!(send(Class::Hedge).is_none());
}

#[test]
fn a_hedge_tells_of_its_life() {
    let events = Events::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    tracing::subscriber::with_default(events.clone(), || {
        metrics::with_local_recorder(&recorder, a_life);
    });

    let hedged = |class, mode| {
        let fields = format!("name=catalogue class={class} after_ms=30 mode={mode}");
        format!("axiomatic::hedge message=hedged {fields}")
    };
    let expected = [
        hedged("slow", "enforce"),
        hedged("transient", "enforce"),
        hedged("timeout", "enforce"),
        hedged("unsent", "enforce"),
        hedged("slow", "enforce"),
        hedged("slow", "shadow"),
        hedged("transient", "shadow"),
    ];
    assert_eq!(*events.0.lock().unwrap(), expected);

    let mut lines: Vec<String> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|l| l.value().to_owned()).collect();
            let DebugValue::Counter(count) = value else {
                panic!("{value:?}");
            };
            format!("{} {labels:?} {count}", key.key().name())
        })
        .collect();
    lines.sort();
    let expected = [
        "hedged_total",
        "refused_total",
        "won_total",
        "would_hedge_total",
    ]
    .into_iter()
    .zip([5, 1, 1, 2])
    .map(|(name, count)| format!("axiomatic_hedge_{name} [\"catalogue\"] {count}"));
    assert_eq!(lines, expected.collect::<Vec<_>>());
}
