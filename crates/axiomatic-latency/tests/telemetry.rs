//! What a timeout tells the outside. A binary of its own with one test, since
//! tracing remembers which places nobody listens to.
#![cfg(feature = "tracing")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_core::Mode;
use axiomatic_core::time::Instant;
use axiomatic_latency::timeout::Timeout;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone, Default)]
struct Modes(Arc<Mutex<Vec<String>>>);

impl Visit for Modes {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "mode" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Modes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "axiomatic::timeout"
    }
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

// Review of be76aa3: TELEMETRY.md lists no mode `off`.
#[test]
fn a_timeout_that_is_off_tells_of_nothing() {
    let modes = Modes::default();
    tracing::subscriber::with_default(modes.clone(), || {
        let timeout = Timeout::after(Duration::from_secs(1));
        for mode in [Mode::Off, Mode::Shadow, Mode::Enforce] {
            timeout.set_mode(mode);
            let mut permit = timeout.admit(Instant::from_nanos(1), None).unwrap();
            assert_eq!(permit.elapsed().is_err(), mode == Mode::Enforce);
        }
    });
    assert_eq!(*modes.0.lock().unwrap(), ["shadow", "enforce"]);
}
