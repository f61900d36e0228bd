//! What slots, rates and what sheds load tell the outside. A binary of its own with one test, since tracing
//! remembers which places nobody listens to.
#![cfg(all(
    feature = "tokio",
    feature = "tracing",
    feature = "metrics",
    not(axiomatic_loom)
))]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_capacity::adaptive::{self, LimitAlgorithm, Sample, Step, Why};
use axiomatic_capacity::bulkhead::{Admission, Ask, CoDel, Config, Order, WhenFull};
use axiomatic_capacity::load_shed::fail_fast::{self, Verdict};
use axiomatic_capacity::load_shed::signal::Watched;
use axiomatic_capacity::load_shed::{self, prioritizer, upstream};
use axiomatic_capacity::rate_limit::{self, Inheritance, KeyedRateLimiter, Quota, WhenLimited};
use axiomatic_core::allowance::Heard;
use axiomatic_core::context::{AdmissionLevel, Deadline, Priority};
use axiomatic_core::pressure::Pressure;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Mode, Outcome, Ratio, Reason};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("axiomatic::")
    }
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Debug)]
struct ThenOne;

impl LimitAlgorithm for ThenOne {
    fn initial(&self) -> u32 {
        2
    }
    fn step(&mut self, _: &Sample) -> Step {
        Step {
            limit: 1,
            why: Why::Overloaded,
        }
    }
}

fn slots(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn what_happens() {
    let clock = ManualClock::new();
    let bulkhead = Config::new(slots(1))
        .named("pool")
        .when_full(WhenFull::Wait {
            max_waiting: 1,
            max_wait: Duration::from_secs(1),
            order: Order::Fifo,
        })
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let permit = bulkhead.admit().unwrap();
    let waits = bulkhead.admit_or_wait(Ask::default()).unwrap();
    assert!(bulkhead.admit().is_err());
    assert!(bulkhead.admit_or_wait(Ask::default()).is_err());
    drop(waits);
    bulkhead.set_mode(Mode::Shadow);
    drop(bulkhead.admit().unwrap());
    drop(permit);
    bulkhead.resize(slots(3));

    sheds(&clock);

    let limit = adaptive::Config::new(ThenOne)
        .named("search")
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    clock.advance(Duration::from_secs(2));
    let permit = limit.admit(clock.now()).unwrap();
    permit.record(clock.now(), Outcome::Success);
    let _permit = limit.admit(clock.now()).unwrap();
    assert!(limit.admit(clock.now()).is_err());
    at_a_rate(clock.now());
    sheds_load(clock.now());
    fails_fast(clock.now());
}

/// One that is overdue when the slot comes.
fn sheds(clock: &ManualClock) {
    let millis = Duration::from_millis;
    let bulkhead = Config::new(slots(1))
        .named("line")
        .when_full(WhenFull::Wait {
            max_waiting: 1,
            max_wait: Duration::from_secs(1),
            order: Order::Fifo,
        })
        .codel(CoDel::new(millis(5), millis(100)))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let permit = bulkhead.admit().unwrap();
    let Admission::Waiting(mut waits) = bulkhead.admit_or_wait(Ask::default()).unwrap() else {
        panic!("there is no slot");
    };
    clock.advance(millis(105));
    drop(permit);
    let mut cx = Context::from_waker(Waker::noop());
    let told = Pin::new(&mut waits).poll(&mut cx);
    assert!(matches!(told, Poll::Ready(Err(refused)) if refused.reason() == Reason::Shed));
}

fn at_a_rate(now: Instant) {
    let quota = Quota::per_second(slots(2)).paced();
    let config = rate_limit::Config::new(quota).named("calls");
    let limiter = config.clone().build().unwrap();
    assert!(limiter.admit(now).is_ok());
    assert!(limiter.admit(now).is_err());
    limiter.set_mode(Mode::Shadow);
    assert!(limiter.admit(now).is_ok());
    let ten = Quota::per_second(slots(10));
    limiter.update(now, ten, Inheritance::AsIs).unwrap();
    // What a server says, which is less.
    let told = Heard::nothing()
        .with_quota(4)
        .with_window(Duration::from_secs(1));
    limiter.heed(now, &told);
    limiter.heed(now, &told);

    let sheds = config.named("all").when_limited(WhenLimited::Shed).build();
    let sheds = sheds.unwrap();
    assert!(sheds.admit(now).is_ok());
    assert!(sheds.admit(now).is_err());

    let table = rate_limit::keyed::Table::for_keys(slots(10));
    let config = rate_limit::keyed::Config::new(quota, table).named("each");
    let each: KeyedRateLimiter<u64> = config.build().unwrap();
    assert!(each.admit(&7, now).is_ok());
    assert!(each.admit(&7, now).is_err());
    each.set_mode(Mode::Shadow);
    assert!(each.admit(&7, now).is_ok());
}

/// At the door, in a client, and by readiness; and a signal that cannot tell.
fn sheds_load(now: Instant) {
    let tenth = Duration::from_millis(100);
    let prioritizer = prioritizer::Config::new()
        .named("api")
        .signal(Watched::new("too much", |_| Pressure::MOST))
        .build()
        .unwrap();
    let shedder = load_shed::Config::new(&prioritizer).build();
    let late = load_shed::Ask::default().with_deadline(Deadline::at(now));
    assert!(shedder.admit(now, late).is_err());
    // A second, since so few make no period of a tenth.
    for period in 0..10 {
        assert!(
            prioritizer
                .admit(now + tenth * period, Priority::CRITICAL)
                .is_ok()
        );
    }
    let then = now + tenth * 10;
    assert!((0..100).any(|_| shedder.admit(then, load_shed::Ask::default()).is_err()));
    shedder.set_mode(Mode::Shadow);
    assert!(shedder.admit(then, late).is_ok());
    prioritizer
        .update(&prioritizer::Config::new().hysteresis(Pressure::MOST, Pressure::MOST))
        .unwrap();

    let config = upstream::Config::new().named("payment").probes(Ratio::ZERO);
    let payment = config.build().unwrap();
    payment.hear(now, AdmissionLevel::at(Priority::CRITICAL_PLUS, 0));
    assert!(payment.admit(now, Priority::CRITICAL).is_err());
    payment.set_mode(Mode::Shadow);
    assert!(payment.admit(now, Priority::CRITICAL).is_ok());
}

/// Not ready for too long, refused, and ready again.
fn fails_fast(now: Instant) {
    let second = Duration::from_secs(1);
    let config = fail_fast::Config::new(second).named("db");
    let fail_fast = config.build().unwrap();
    let mut wait = fail_fast::Wait::default();
    for (at, verdict) in [
        (now, Verdict::Wait(Some(now + second))),
        (now + second, Verdict::Refuse),
    ] {
        assert_eq!(fail_fast.found_unready(&mut wait, at), verdict);
    }
    assert_eq!(fail_fast.refuse().reason(), Reason::Shed);
    fail_fast.found_ready(&mut wait);
}

#[test]
fn what_has_a_capacity_tells_of_refusals_and_of_new_limits() {
    let lines = Lines::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(lines.clone(), what_happens);
    });
    assert_eq!(
        *lines.0.lock().unwrap(),
        [
            "axiomatic::bulkhead message=refused name=\"pool\" reason=\"full\"",
            "axiomatic::bulkhead message=refused name=\"pool\" reason=\"queue full\"",
            "axiomatic::bulkhead message=resized name=\"pool\" limit=3",
            "axiomatic::bulkhead message=refused name=\"line\" reason=\"shed\"",
            "axiomatic::adaptive message=resized name=\"search\" limit=1 why=\"overloaded\"",
            "axiomatic::adaptive message=refused name=\"search\" reason=\"full\"",
            "axiomatic::rate_limit message=refused name=\"calls\" reason=\"limited\"",
            "axiomatic::rate_limit message=updated name=\"calls\" quota=10 per 1s, 10 at once",
            "axiomatic::rate_limit message=updated name=\"calls\" quota=4 per 1s, 4 at once",
            "axiomatic::rate_limit message=refused name=\"all\" reason=\"shed\"",
            "axiomatic::rate_limit message=refused name=\"each\" reason=\"limited\"",
            "axiomatic::load_shed message=refused name=\"api\" reason=\"expired\"",
            "axiomatic::load_shed message=shedding name=\"api\" level=75 % of critical and what \
             matters more pressure=4294967295 signal=\"too much\"",
            "axiomatic::load_shed message=refused name=\"api\" reason=\"shed\"",
            "axiomatic::load_shed message=refused name=\"payment\" reason=\"kept back\"",
            "axiomatic::fail_fast message=failing fast name=\"db\" after_ms=1000",
            "axiomatic::fail_fast message=recovered name=\"db\"",
        ]
    );
    let counted: BTreeMap<String, u64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|l| l.value().to_owned()).collect();
            let count = match value {
                DebugValue::Counter(count) => count,
                DebugValue::Gauge(gauge) => gauge.into_inner() as u64,
                DebugValue::Histogram(_) => panic!("there are no histograms"),
            };
            (format!("{} {}", key.key().name(), labels.join(" ")), count)
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    let expected = [
        ("axiomatic_adaptive_limit search", 1),
        ("axiomatic_adaptive_refused_total search full", 1),
        ("axiomatic_bulkhead_limit line", 1),
        ("axiomatic_bulkhead_limit pool", 3),
        ("axiomatic_bulkhead_refused_total line shed", 1),
        ("axiomatic_bulkhead_refused_total pool full", 1),
        ("axiomatic_bulkhead_refused_total pool queue full", 1),
        ("axiomatic_bulkhead_would_refuse_total pool", 1),
        ("axiomatic_fail_fast_episodes_total db", 1),
        ("axiomatic_fail_fast_refused_total db", 1),
        ("axiomatic_load_shed_level api", 128),
        ("axiomatic_load_shed_refused_total api expired", 1),
        ("axiomatic_load_shed_refused_total api shed", 1),
        ("axiomatic_load_shed_refused_total payment kept back", 1),
        ("axiomatic_load_shed_would_refuse_total api", 1),
        ("axiomatic_load_shed_would_refuse_total payment", 1),
        ("axiomatic_rate_limit_rate all", 2),
        ("axiomatic_rate_limit_rate calls", 4),
        ("axiomatic_rate_limit_rate each", 2),
        ("axiomatic_rate_limit_refused_total all shed", 1),
        ("axiomatic_rate_limit_refused_total calls limited", 1),
        ("axiomatic_rate_limit_refused_total each limited", 1),
        ("axiomatic_rate_limit_would_refuse_total calls", 1),
        ("axiomatic_rate_limit_would_refuse_total each", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counted, BTreeMap::from(expected));
}
