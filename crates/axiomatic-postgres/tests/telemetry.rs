//! What the outbox on PostgreSQL tells the outside. A binary of its own with
//! one test, since tracing remembers which places nobody listens to.
#![cfg(all(feature = "tracing", feature = "metrics"))]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::outbox::{Bucket, Epoch, Holding, RelayId};
use axiomatic_core::Name;
use axiomatic_postgres::Database;
use axiomatic_postgres::outbox::{
    Health, Held, Holder, Options, Outbox, Who, owner_number, record_leases,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio_postgres::{Config, NoTls};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{FOR_EVER, Place, until};

#[allow(dead_code, reason = "each of the binaries needs a part of it")]
#[path = "it/support.rs"]
mod support;

/// Every event as a line of its fields, without what errors say.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        let value = match field.name() {
            "error" => "…",
            _ => value.as_str(),
        };
        self.0.push_str(&format!("{}={value} ", field.name()));
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

/// The sessions of the outbox are ended once they are there.
async fn story(place: &Place) {
    let called = format!("told of {}", place.schema);
    let mut config: Config = place.url.parse().unwrap();
    config.application_name(&called);
    let database = Database::with_tls(config, NoTls, place.options()).unwrap();
    let outbox = Outbox::new(&database, Options::new()).await.unwrap();
    let mut wake_ups = outbox.wake_ups();
    let hear = tokio::time::timeout(FOR_EVER, wake_ups.next());
    hear.await.expect("it listens");
    let client = place.client().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = $1 AND query LIKE 'LISTEN%'";
    until("the listener is there", async || {
        let ended = client.query_one(end, &[&called]).await.unwrap();
        ended.get::<_, i64>(0) == 1
    })
    .await;
    let hear = tokio::time::timeout(FOR_EVER, wake_ups.next());
    hear.await.expect("it listens again");
    // What is told of it was told before the bell was heard, or is now.
    tokio::task::yield_now().await;
}

fn gauges(record: impl FnOnce()) -> BTreeMap<String, f64> {
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, record);
    let all = metrics.snapshot().into_vec().into_iter();
    all.map(|(key, _, _, value)| {
        let labels = key.key().labels();
        let labels: Vec<_> = labels.map(|label| label.value().to_owned()).collect();
        let DebugValue::Gauge(value) = value else {
            panic!("a gauge");
        };
        (
            format!("{} {}", key.key().name(), labels.join(" ")),
            value.0,
        )
    })
    .collect()
}

#[test]
fn events_and_gauges_say_how_the_outbox_does() {
    const NAME: Name = Name::literal("orders");
    let holder = |transactions, held| Holder {
        who: Who::Slot {
            name: "standby".into(),
            state: "inactive".into(),
        },
        transactions,
        lasts: Some(Duration::from_secs(31)),
        held,
    };
    let mut health = Health {
        live: 12,
        dead: 34,
        bytes: 98_304,
        vacuumed: None,
        holders: vec![holder(70, Held::Rows), holder(6, Held::Rows)],
        hidden: 0,
    };
    let of = |health: &Health| gauges(|| health.record(NAME));
    let expected = |transactions: f64, seconds: f64| {
        BTreeMap::from([
            ("axiomatic_outbox_dead_rows orders".to_owned(), 34.0),
            ("axiomatic_outbox_live_rows orders".to_owned(), 12.0),
            ("axiomatic_outbox_table_bytes orders".to_owned(), 98_304.0),
            (
                "axiomatic_outbox_vacuum_held_seconds orders".to_owned(),
                seconds,
            ),
            (
                "axiomatic_outbox_vacuum_held_transactions orders".to_owned(),
                transactions,
            ),
        ])
    };
    assert_eq!(of(&health), expected(70.0, 31.0));
    health.holders = vec![holder(70, Held::Catalogs)];
    assert_eq!(of(&health), expected(0.0, 0.0), "of the catalogs only");

    let relay = RelayId::from_stored("relay/1");
    let holding = |bucket, epoch, owner: Option<&RelayId>, seconds| Holding {
        bucket: Bucket(bucket),
        epoch: Epoch(epoch),
        owner: owner.cloned(),
        left: Duration::from_secs(seconds),
    };
    let leases = [
        holding(0, 7, Some(&relay), 9),
        holding(1, 8, Some(&relay), 0),
        holding(2, 9, None, 0),
    ];
    let owner = owner_number(&relay);
    assert!(owner > 0 && owner != owner_number(&RelayId::from_stored("relay/2")));
    let expected = BTreeMap::from([
        ("axiomatic_outbox_bucket_epoch orders 0".to_owned(), 7.0),
        ("axiomatic_outbox_bucket_epoch orders 1".to_owned(), 8.0),
        ("axiomatic_outbox_bucket_epoch orders 2".to_owned(), 9.0),
        (
            "axiomatic_outbox_bucket_owner orders 0".to_owned(),
            owner as f64,
        ),
        ("axiomatic_outbox_bucket_owner orders 1".to_owned(), 0.0),
        ("axiomatic_outbox_bucket_owner orders 2".to_owned(), 0.0),
    ]);
    assert_eq!(gauges(|| record_leases(&leases, NAME)), expected);

    let lines = Lines::default();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let Some(place) = runtime.block_on(Place::find()) else {
        return;
    };
    tracing::subscriber::with_default(lines.clone(), || runtime.block_on(story(&place)));
    let schema = &place.schema;
    let said = |word: &str, error: &str| {
        format!("message={word} schema=\"{schema}\" session=\"listener\"{error}")
    };
    let lines = lines.0.lock().unwrap().clone();
    assert_eq!(
        lines,
        [
            said("session lost", " error=…"),
            said("session restored", "")
        ]
    );
}
