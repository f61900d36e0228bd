//! What a limiter over Redis tells the outside. A binary of its own with one
//! test, since tracing remembers which places nobody listens to.
#![cfg(all(feature = "tracing", feature = "metrics"))]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::Mode;
use axiomatic_redis::rate_limit::{Config, OnFailure};
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
        // What the client says is its own business.
        if field.name() != "error" {
            self.0.push_str(&format!("{}={value:?} ", field.name()));
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "axiomatic::redis_rate_limit"
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

/// Nobody is at the other end, so that the test needs no Redis.
async fn calls() {
    let some = |n| NonZeroU32::new(n).unwrap();
    let one = NonZeroU32::MIN;
    let nobody = || redis::Client::open("redis://127.0.0.1:1/").unwrap();
    let quota = Quota::per_hour(one);
    let share = OnFailure::LocalShare {
        peers: one,
        overshoot: one,
    };
    let limiter = Config::new("p", quota, share).named("tenants");
    let limiter = limiter.build(nobody()).unwrap();
    assert!(limiter.admit("a").await.is_ok());
    assert!(limiter.admit("a").await.is_err());
    assert!(limiter.admit_weighing("a", some(2)).await.is_err());
    limiter.set_mode(Mode::Shadow);
    assert!(limiter.admit("a").await.is_ok());
    let closed = Config::new("p", quota, OnFailure::FailClosed).named("tenants");
    let closed = closed.build(nobody()).unwrap();
    assert!(closed.admit("a").await.is_err());
}

#[test]
fn a_limiter_over_redis_tells_what_it_does() {
    let lines = Lines::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(lines.clone(), || runtime.block_on(calls()));
    });
    let unanswered = "message=unanswered name=\"tenants\" why=\"broken\"";
    let limited = "message=refused name=\"tenants\" reason=\"limited\"";
    let unreachable = "message=refused name=\"tenants\" reason=\"unreachable\"";
    assert_eq!(
        *lines.0.lock().unwrap(),
        [
            unanswered,
            unanswered,
            limited,
            limited,
            unanswered,
            unanswered,
            unreachable
        ]
    );
    let counted: BTreeMap<String, u64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|l| l.value().to_owned()).collect();
            let name = key
                .key()
                .name()
                .strip_prefix("axiomatic_redis_rate_limit_")?;
            match value {
                DebugValue::Counter(count) if count > 0 => {
                    Some((format!("{name} {}", labels.join(" ")), count))
                }
                _ => None,
            }
        })
        .collect();
    let expected = [
        ("admitted_total tenants local share", 1),
        ("admitted_total tenants shadow", 1),
        ("refused_total tenants limited", 2),
        ("refused_total tenants unreachable", 1),
        ("round_trips_total tenants broken", 4),
        ("would_refuse_total tenants", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counted, BTreeMap::from(expected));
}
