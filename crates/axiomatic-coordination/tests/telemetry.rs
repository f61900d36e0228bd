//! What a relay tells the outside. A binary of its own with one test, since
//! tracing remembers which places nobody listens to.
#![cfg(all(feature = "tracing", feature = "metrics"))]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::outbox::{
    Class, Config, Envelope, HeadPolicy, MemoryOutbox, Message, Operate, Relay, Verdict,
    publish_with,
};
use axiomatic_core::Name;
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
        metadata.target() == "axiomatic::outbox"
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

/// Ten messages: one that is never taken, one of which nobody knows at first,
/// one that the broker had already, and seven that pass.
fn answer(envelope: &Envelope, unknown: &Mutex<bool>) -> Verdict {
    match &envelope.body()[..] {
        b"0" => Verdict::rejected(Class::TooLarge, "2 MiB"),
        b"1" if std::mem::replace(&mut unknown.lock().unwrap(), false) => Verdict::Unknown,
        b"2" => Verdict::Duplicate,
        _ => Verdict::Acked,
    }
}

#[test]
fn events_and_metrics_say_what_happened() {
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    let lines = Lines::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(lines.clone(), || runtime.block_on(story()));
    });
    let all = metrics.snapshot().into_vec().into_iter();
    let all: BTreeMap<String, f64> = all
        .map(|(key, _, _, value)| {
            let labels = key.key().labels();
            let labels: Vec<_> = labels.map(|label| label.value().to_owned()).collect();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(gauge) => gauge.into_inner(),
                DebugValue::Histogram(_) => panic!("there are no histograms"),
            };
            (format!("{} {}", key.key().name(), labels.join(" ")), value)
        })
        .filter(|(_, value)| *value != 0.0)
        .collect();
    let expected = [
        ("axiomatic_outbox_backlog shop", 1.0),
        ("axiomatic_outbox_dead_letters shop", 1.0),
        ("axiomatic_outbox_duplicates_total shop", 1.0),
        ("axiomatic_outbox_given_up_total shop buried", 1.0),
        ("axiomatic_outbox_lag_seconds shop", 7.0),
        ("axiomatic_outbox_published_total shop", 9.0),
        ("axiomatic_outbox_rejected_total shop too large", 1.0),
        ("axiomatic_outbox_unknown_total shop", 1.0),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(all, BTreeMap::from(expected));

    let lines = lines.0.lock().unwrap();
    let has = |word: &str| lines.iter().any(|line| line.contains(word));

    assert!(
        has("message=refused") && has("message=given up"),
        "{lines:?}"
    );
    assert!(
        has(r#"cause="too large""#) && has(r#"fate="buried""#),
        "{lines:?}"
    );
}

async fn story() {
    let memory = Memory::new();
    let enqueue = |body: String| {
        let done = memory.transact(|tx| {
            tx.enqueue(Message::new("t", body));
            Ok::<_, Infallible>(())
        });
        done.unwrap();
    };
    (0..10).for_each(|n| enqueue(n.to_string()));
    let outbox = MemoryOutbox::new(&memory);
    let unknown = Mutex::new(true);
    let publisher = publish_with(move |messages: &[Envelope]| {
        let verdicts = messages.iter().map(|envelope| answer(envelope, &unknown));
        verdicts.collect()
    });
    let config = Config::new()
        .named("shop")
        .head_policy(HeadPolicy::ParkMessage);
    let relay = Relay::new(outbox.clone(), publisher, config).unwrap();
    let drained = async {
        while outbox.backlog().await.unwrap().messages > 0 {
            // There is nothing to await: the condition is over numbers.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let snapshot = relay.run(drained).await.unwrap();
    assert!(
        snapshot
            .to_string()
            .starts_with("outbox relay shop: 0 buckets, 0 in flight; 9 published")
    );
    enqueue("nobody relays it".to_owned());
    tokio::time::advance(Duration::from_secs(7)).await;
    let backlog = outbox.backlog().await.unwrap();
    backlog.record(Name::literal("shop"));
    assert!(
        backlog
            .to_string()
            .starts_with("1 messages wait, the oldest for 7s")
    );
}
