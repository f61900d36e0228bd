//! What the layer tells the outside. A binary of its own with one test, since
//! tracing remembers which places nobody listens to.
#![cfg(feature = "tracing")]

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::idempotency::MemoryIdempotency;
use axiomatic_coordination::idempotency::http::{Config, IdempotencyLayer, Tenants};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
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
        metadata.target() == "axiomatic::idempotency"
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

async fn post(layer: &IdempotencyLayer<MemoryIdempotency>, key: &str, body: &'static str) -> u16 {
    let handler = service_fn(|request: Request<Full<Bytes>>| async move {
        let fails = request.headers()["idempotency-key"] == "fails";
        let response = Response::builder().status(if fails { 500 } else { 201 });
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    });
    let request = Request::post("/charges").header("idempotency-key", key);
    let request = request.body(Full::from(body)).unwrap();
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    // A day at most, which nobody waits for here.
    let completer = layer.completer::<_, Full<Bytes>>(handler).attempts(1);
    let completer = completer.abandoned_for(Duration::ZERO);
    completer.run_once().await.unwrap();
    response.status().as_u16()
}

#[test]
fn events_and_counts_say_what_happened() {
    let lines = Lines::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let store = MemoryIdempotency::new(&Memory::new());
    let config = Config::new(Tenants::by(|_| Some("acme".to_owned()))).resumable(true);
    let layer = config.layer(store.clone()).unwrap();
    let story = async {
        assert_eq!(post(&layer, "k", "12.50").await, 201);
        assert_eq!(post(&layer, "k", "12.50").await, 201);
        assert_eq!(post(&layer, "k", "99.99").await, 422);
        assert_eq!(post(&layer, "fails", "x").await, 500);
        store.database().crash_at(0);
        let completer_fails =
            layer.completer::<_, Full<Bytes>>(service_fn(|_: Request<Full<Bytes>>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }));
        completer_fails
            .run(tokio::time::sleep(Duration::from_secs(1)))
            .await;
    };
    tracing::subscriber::with_default(lines.clone(), || runtime.block_on(story));

    let of = |key| format!(r#"tenant="acme" method="POST" route="/charges" key="{key}""#);
    let lines = lines.0.lock().unwrap();
    let requests = [
        format!("message=replayed {}", of("k")),
        format!("message=key reused {}", of("k")),
        format!("message=adopted {}", of("fails")),
        format!("message=resumed {}", of("fails")),
        format!("message=given up {}", of("fails")),
    ];
    assert_eq!(lines[..5], requests);
    let completer = &lines[5..];
    let failed =
        |line: &String| line.starts_with("message=completer failed") && line.contains("crashed");
    assert!(
        !completer.is_empty() && completer.iter().all(failed),
        "{lines:?}"
    );
    let said = layer.snapshot().to_string();
    let expected = "1 completed, 1 replayed; 0 conflicts, 1 mismatches; 1 resumed, 2 released, \
                    0 lost; 1 adopted, 1 given up; ";
    assert!(said.starts_with(expected), "{said}");
}
