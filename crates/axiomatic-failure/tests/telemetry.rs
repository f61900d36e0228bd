//! What a breaker tells the outside. A binary of its own with one test: the
//! subscriber is the process's, because tracing remembers which places nobody
//! listens to, and a neighbouring test would make it remember ours.
#![cfg(all(feature = "tracing", feature = "metrics", not(axiomatic_loom)))]

use std::time::Duration;

use axiomatic_core::Outcome;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, Config, HalfOpen, OpenFor, TripWhen, Window,
};

fn call(breaker: &CircuitBreaker, outcome: Outcome) {
    let permit = breaker.admit(breaker.now()).expect("admitted");
    permit.record(breaker.now(), outcome);
}

/// Closed, opened by two failures, asked twice, probed, closed.
fn a_life(clock: &ManualClock) -> CircuitBreaker {
    let breaker = Config::new(Window::last(Duration::from_secs(10)))
        .named("payment")
        .trip_when(TripWhen::consecutive_failures(2))
        .open_for(OpenFor::fixed(Duration::from_secs(1)))
        .half_open(HalfOpen::successes(1))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    clock.advance(Duration::from_secs(3));
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    assert!(breaker.admit(breaker.now()).is_err());
    assert!(breaker.admit(breaker.now()).is_err());
    clock.advance(Duration::from_secs(2));
    call(&breaker, Outcome::Success);
    breaker
}

#[test]
fn a_breaker_tells_of_its_life() {
    every_transition_is_an_event();
    refusals_and_transitions_are_counted_and_the_gauge_follows();
    #[cfg(feature = "keyed")]
    refusals_for_want_of_a_place_are_counted();
}

#[cfg(feature = "keyed")]
fn refusals_for_want_of_a_place_are_counted() {
    use axiomatic_core::keyed::WhenFull;
    use axiomatic_failure::circuit_breaker::KeyedCircuitBreaker;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use std::num::NonZeroU32;

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let config = Config::default().named("hosts");
        let hosts =
            KeyedCircuitBreaker::<u64>::new(config, NonZeroU32::MIN, WhenFull::Refuse).unwrap();
        let busy = hosts.admit_owned(&1, hosts.now()).unwrap();
        assert!(hosts.admit_owned(&2, hosts.now()).is_err());
        drop(busy);
    });
    let refused: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name().ends_with("_refused_total"))
        .map(|(.., value)| value)
        .collect();
    assert_eq!(refused, [DebugValue::Counter(1)]);
}

fn every_transition_is_an_event() {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.push_str(&format!(" {field}={value:?}"));
        }
    }

    impl Subscriber for Events {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(event.metadata().target().to_owned());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    let events = Events::default();
    tracing::subscriber::set_global_default(events.clone()).unwrap();
    a_life(&ManualClock::new());
    let events = events.0.lock().unwrap();
    let moves: Vec<&str> = events
        .iter()
        .map(|line| {
            assert!(line.starts_with("axiomatic::circuit_breaker message=transition"));
            assert!(line.contains(r#"name="payment""#), "{line}");
            line.split_once(" from=").unwrap().1
        })
        .collect();
    assert_eq!(moves.len(), 3, "{moves:?}");
    for (moved, expected) in moves.iter().zip([
        r#""closed" to="open" after_ms=30"#, // 3 s, to 4.2 ms
        r#""open" to="half-open" after_ms=2"#,
        r#""half-open" to="closed" after_ms="#,
    ]) {
        assert!(moved.starts_with(expected), "{moved}");
    }
}

fn refusals_and_transitions_are_counted_and_the_gauge_follows() {
    use axiomatic_core::Mode;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let clock = ManualClock::new();
        let breaker = a_life(&clock);
        breaker.force_open();
        // In shadow nothing is refused, and so nothing counted.
        breaker.set_mode(Mode::Shadow);
        assert!(breaker.admit(breaker.now()).is_ok());
    });
    let mut lines: Vec<String> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(.., value)| *value != DebugValue::Counter(0))
        .map(|(key, _, _, value)| {
            let label = |label: &metrics::Label| format!("{}={}", label.key(), label.value());
            let labels: Vec<_> = key.key().labels().map(label).collect();
            format!("{} {labels:?} {value:?}", key.key().name())
        })
        .map(|line| line.replace('"', ""))
        .collect();
    lines.sort();
    let names = [
        "refused_total [name=payment] Counter(2)",
        "state [name=payment] Gauge(3.0)",
        "transitions_total [name=payment, to=closed] Counter(1)",
        "transitions_total [name=payment, to=forced open] Counter(1)",
        "transitions_total [name=payment, to=half-open] Counter(1)",
        "transitions_total [name=payment, to=open] Counter(1)",
        "would_refuse_total [name=payment] Counter(1)",
    ];
    let expected = names.map(|name| format!("axiomatic_circuit_breaker_{name}"));
    assert_eq!(lines, expected);
}
