//! A breaker for each key. It is one file because it is one list: what many
//! breakers promise beyond what one does, a test each.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::num::NonZeroU32;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll, Waker};
use std::time::Duration;

use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{
    BoxError, Carrier, Classify, Complete, Context, Mode, Outcome, Plain, Ratio, Reason, Refusable,
    Rejected, Settle,
};
use axiomatic_failure::circuit_breaker::{
    Adaptive, ByKey, Config, ConfigError, HalfOpen, KeyedCircuitBreaker, OpenFor, OwnedPermit,
    State, TripWhen, UpdateError, Window,
};
use tower::{Layer, Service, service_fn};

use crate::circuit_breaker::config;

const SECOND: Duration = Duration::from_secs(1);

type Hosts = KeyedCircuitBreaker<String>;

fn hosts_by(config: Config, cap: u32, when_full: WhenFull) -> Hosts {
    KeyedCircuitBreaker::new(config, NonZeroU32::new(cap).unwrap(), when_full).unwrap()
}

/// Each opens after two failures in a row, for a second, and closes after one
/// good probe.
fn hosts(clock: &ManualClock, cap: u32, when_full: WhenFull) -> Hosts {
    hosts_by(config(clock), cap, when_full)
}

fn call(hosts: &Hosts, host: &str, outcome: Outcome) {
    let permit = hosts.admit_owned(host, hosts.now()).expect("admitted");
    permit.record(hosts.now(), outcome);
}

fn open(hosts: &Hosts, host: &str) {
    call(hosts, host, Outcome::Transient);
    call(hosts, host, Outcome::Transient);
    assert!(!passes(hosts, host));
}

/// Whether a call would pass; it is not made.
fn passes(hosts: &Hosts, host: &str) -> bool {
    hosts.admit_owned(host, hosts.now()).is_ok()
}

/// So many keys that nobody has seen, each asked for once and then idle.
fn flood(hosts: &Hosts, keys: u32) {
    let begin = hosts.snapshot().evictions();
    for key in 0..keys {
        let _ = hosts.admit_owned(format!("{begin}-{key}").as_str(), hosts.now());
    }
}

fn states(hosts: &Hosts) -> BTreeMap<String, State> {
    let mut states = BTreeMap::new();
    hosts.for_each(|host, breaker| {
        states.insert(host.clone(), breaker.state());
    });
    states
}

#[test]
fn one_bad_host_costs_the_good_ones_nothing() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 100, WhenFull::Refuse);
    let mut refused = 0;
    for round in 0..1_000 {
        clock.advance(SECOND / 1_000);
        match hosts.admit_owned("bad", clock.now()) {
            Ok(permit) => permit.record(clock.now(), Outcome::Transient),
            Err(rejected) => {
                assert_eq!(rejected.reason(), Reason::Open);
                assert!(rejected.retry_after().is_some());
                refused += 1;
            }
        }
        call(&hosts, &format!("good-{}", round % 9), Outcome::Success);
    }
    assert_eq!(refused, 998);
    assert_eq!(hosts.snapshot().live(), 10);
}

#[test]
fn what_is_more_than_new_outlives_any_flood() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 16, WhenFull::Refuse);
    for host in ["half-open", "probing"] {
        open(&hosts, host);
    }
    clock.advance(2 * SECOND);
    drop(hosts.admit_owned("half-open", clock.now()).unwrap());
    let probe = hosts.admit_owned("probing", clock.now()).unwrap();
    open(&hosts, "open");
    let under_way = hosts.admit_owned("busy", clock.now()).unwrap();
    let breaker = |host| hosts.breaker(host, clock.now()).unwrap();
    breaker("forced open").force_open();
    breaker("forced closed").force_closed();
    breaker("in shadow").set_mode(Mode::Shadow);
    call(&hosts, "failed once", Outcome::Transient);
    let before = states(&hosts);
    assert_eq!(before.len(), 8);
    assert_eq!(before["half-open"], State::HalfOpen);

    flood(&hosts, 10_000);
    assert!(hosts.evict_idle(clock.now()) > 0, "the other places");
    assert_eq!(states(&hosts), before);
    // What is left alone for long enough is out of date: a failure with the
    // window, an opening that nobody ended with ten of the longest.
    clock.advance(9 * SECOND);
    hosts.evict_idle(clock.now());
    assert!(states(&hosts).contains_key("open"));
    clock.advance(1_000 * SECOND);
    flood(&hosts, 10_000);
    hosts.evict_idle(clock.now());
    let mut without = before.clone();
    for host in ["failed once", "open", "half-open"] {
        without.remove(host);
    }
    assert_eq!(states(&hosts), without);
    assert!(hosts.snapshot().evictions() > 19_000);
    assert_eq!(hosts.snapshot().refused(), 0, "the idle ones gave way");

    probe.record(clock.now(), Outcome::Success);
    under_way.record(clock.now(), Outcome::Transient);
    assert_eq!(states(&hosts)["probing"], State::Closed);
    call(&hosts, "busy", Outcome::Transient);
    assert!(!passes(&hosts, "busy"), "its failure was not lost");
}

#[test]
fn a_call_under_way_keeps_its_key_to_the_end() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 1, WhenFull::Refuse);
    for outcome in [None, Some(Outcome::Success), Some(Outcome::Transient)] {
        let permit = hosts.admit_owned("busy", clock.now()).unwrap();
        assert_eq!(hosts.evict_idle(clock.now()), 0);
        let full = hosts.admit_owned("other", clock.now()).unwrap_err();
        assert_eq!(full.reason(), Reason::Full);
        match outcome {
            None => drop(permit),
            Some(outcome) => permit.record(clock.now(), outcome),
        }
        let is_idle = outcome.is_none();
        assert_eq!(hosts.evict_idle(clock.now()), usize::from(is_idle));
        clock.advance(20 * SECOND);
    }
    assert_eq!(hosts.evict_idle(clock.now()), 1);
    assert!(passes(&hosts, "other"));
}

#[test]
fn a_handle_keeps_its_key() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 4, WhenFull::Refuse);
    let handle = hosts.breaker("held", clock.now()).unwrap();
    flood(&hosts, 1_000);
    // What is done to the handle is done to the key.
    handle.force_open();
    assert!(!passes(&hosts, "held"));
    handle.reset();
    flood(&hosts, 1_000);
    assert!(states(&hosts).contains_key("held"));
    drop(handle);
    hosts.evict_idle(clock.now());
    assert!(!states(&hosts).contains_key("held"));
}

#[test]
fn one_that_was_open_lately_keeps_the_memory_of_it() {
    let clock = ManualClock::new();
    let open_for = OpenFor::backoff(SECOND, 60 * SECOND).jittered(Ratio::ZERO);
    let hosts = hosts_by(config(&clock).open_for(open_for), 4, WhenFull::Refuse);
    let wait = || {
        let refused = hosts.admit_owned("flapping", clock.now()).unwrap_err();
        refused.retry_after().unwrap().as_secs_f64().round()
    };
    open(&hosts, "flapping");
    assert_eq!(wait() as u32, 1);
    clock.advance(2 * SECOND);
    call(&hosts, "flapping", Outcome::Success);
    assert_eq!(states(&hosts)["flapping"], State::Closed);
    // Its window is empty, and it was not stable for long enough.
    clock.advance(58 * SECOND);
    flood(&hosts, 1_000);
    open(&hosts, "flapping");
    assert_eq!(wait() as u32, 2, "it remembers");
    clock.advance(3 * SECOND);
    call(&hosts, "flapping", Outcome::Success);
    clock.advance(61 * SECOND);
    flood(&hosts, 1_000);
    assert!(!states(&hosts).contains_key("flapping"), "as good as new");
}

#[test]
fn a_window_of_calls_keeps_its_key_until_it_is_removed() {
    let clock = ManualClock::new();
    let config = Config::new(Window::calls(100)).clock(Clock::Manual(clock.clone()));
    let hosts = hosts_by(config, 2, WhenFull::Refuse);
    call(&hosts, "one", Outcome::Success);
    clock.advance(1_000_000 * SECOND);
    assert_eq!(hosts.evict_idle(clock.now()), 0);
    assert!(hosts.remove("one"));
    assert_eq!(hosts.snapshot().live(), 0);
}

#[test]
fn without_a_place_it_does_as_told() {
    let clock = ManualClock::new();
    for when_full in [WhenFull::Shared, WhenFull::Refuse, WhenFull::Admit] {
        let hosts = hosts(&clock, 2, when_full);
        open(&hosts, "a");
        open(&hosts, "b");
        let outcome = Outcome::Transient;
        match when_full {
            WhenFull::Shared => {
                // They open one breaker together, and their handle is its.
                call(&hosts, "c", outcome);
                call(&hosts, "d", outcome);
                let rejected = hosts.admit_owned("e", clock.now()).unwrap_err();
                assert_eq!(rejected.reason(), Reason::Open);
                let shared = hosts.breaker("f", clock.now()).unwrap();
                assert_eq!(shared.state(), State::Open);
                assert_eq!(hosts.snapshot().shared(), 4);
            }
            WhenFull::Refuse => {
                let rejected = hosts.admit_owned("c", clock.now()).unwrap_err();
                assert_eq!(rejected.reason(), Reason::Full);
                assert_eq!(rejected.name().as_str(), "payment");
                assert!(hosts.breaker("c", clock.now()).is_none());
                assert_eq!(hosts.snapshot().refused(), 2);
            }
            WhenFull::Admit => {
                (0..9).for_each(|_| call(&hosts, "c", outcome));
                assert!(hosts.breaker("c", clock.now()).is_none());
                assert_eq!(hosts.snapshot().admitted(), 10);
            }
        }
        assert_eq!(states(&hosts).len(), 2);
        assert_eq!(hosts.snapshot().live(), 2);
    }
}

#[test]
fn a_key_can_be_shown_switched_and_removed() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 10, WhenFull::Refuse);
    open(&hosts, "open");
    drop(hosts.admit_owned("idle", clock.now()));
    let line = hosts.snapshot().to_string();
    assert!(line.starts_with("2 of 10 keys"), "{line}");
    assert_eq!(hosts.evict_idle(clock.now()), 1);
    assert_eq!(
        states(&hosts),
        BTreeMap::from([("open".into(), State::Open)])
    );

    hosts.breaker("open", clock.now()).unwrap().reset();
    assert!(passes(&hosts, "open"));
    open(&hosts, "open");
    assert!(hosts.remove("open"));
    assert!(!hosts.remove("open"));
    assert!(passes(&hosts, "open"), "it begins anew");

    // All handles are one store.
    open(&hosts.clone(), "through a clone");
    assert!(!passes(&hosts, "through a clone"));
    assert_eq!(hosts.name().as_str(), "payment");
}

#[test]
fn an_update_reaches_keys_old_and_new() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 10, WhenFull::Shared);
    call(&hosts, "old", Outcome::Transient);
    let stricter = config(&clock).trip_when(TripWhen::consecutive_failures(3));
    hosts.update(&stricter.clone().named("other")).unwrap();
    for host in ["old", "new"] {
        let failures = if host == "old" { 2 } else { 3 };
        for _ in 0..failures {
            call(&hosts, host, Outcome::Transient);
        }
        let rejected = hosts.admit_owned(host, clock.now()).unwrap_err();
        assert_eq!(rejected.name().as_str(), "payment", "as it was built");
    }

    let refused = |config: Config| hosts.update(&config).unwrap_err();
    let window = Config::new(Window::last(20 * SECOND));
    assert_eq!(refused(window), UpdateError::WindowIsFixed);
    let adaptive = Adaptive::steering(Ratio::percent(1));
    let adaptive = refused(stricter.clone().adaptive(adaptive));
    assert_eq!(adaptive, UpdateError::AdaptiveIsFixed);
    let probes = |n| stricter.clone().half_open(HalfOpen::successes(n));
    let leases = UpdateError::LeasesAreFixed { leases: 1 };
    assert_eq!(refused(probes(9)), leases);
    let none = refused(probes(0));
    assert_eq!(none, UpdateError::Invalid(ConfigError::HalfOpen));
}

/// What new keys are made by has the places for probes of the construction,
/// whatever it was updated to between.
#[test]
fn an_update_can_be_taken_back() {
    let clock = ManualClock::new();
    let with = |probes| config(&clock).half_open(HalfOpen::successes(3).concurrent(probes));
    let hosts = hosts_by(with(3), 10, WhenFull::Refuse);
    hosts.update(&with(1)).unwrap();
    open(&hosts, "made meanwhile");
    hosts.update(&with(3)).unwrap();
    clock.advance(2 * SECOND);
    let probes: Vec<_> = (0..9)
        .filter_map(|_| hosts.admit_owned("made meanwhile", clock.now()).ok())
        .collect();
    assert_eq!(probes.len(), 3);
}

#[test]
fn an_update_reaches_a_key_that_is_being_made() {
    thread_local!(static MEANWHILE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) });
    // Making a breaker reads the clock, after its configuration was read.
    let clock = Clock::Source(|| {
        if let Some(meanwhile) = MEANWHILE.with_borrow_mut(Option::take) {
            meanwhile();
        }
        Instant::from_nanos(7_200_000_000_000)
    });
    let config = config(&ManualClock::new()).clock(clock);
    let hosts = hosts_by(config.clone(), 10, WhenFull::Refuse);
    let (updated, now) = (hosts.clone(), hosts.now());
    MEANWHILE.set(Some(Box::new(move || {
        let at_once = config.clone().trip_when(TripWhen::consecutive_failures(1));
        updated.update(&at_once).unwrap();
    })));
    let permit = hosts.admit_owned("being made", now).unwrap();
    assert!(MEANWHILE.with_borrow(Option::is_none), "it was made");
    permit.record(now, Outcome::Transient);
    assert!(hosts.admit_owned("being made", now).is_err());
}

#[test]
fn a_mode_is_that_of_all_keys() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 2, WhenFull::Refuse);
    open(&hosts, "a");
    open(&hosts, "b");
    hosts.set_mode(Mode::Shadow);
    assert_eq!(hosts.mode(), Mode::Shadow);
    assert!(passes(&hosts, "a") && passes(&hosts, "b"));
    assert_eq!(hosts.would_refuse(), 2);
    assert!(passes(&hosts, "without a place"));
    assert_eq!(hosts.would_refuse(), 3);
    // It decides as if it were enforced: a probe closes it.
    clock.advance(2 * SECOND);
    call(&hosts, "a", Outcome::Success);
    assert_eq!(states(&hosts)["a"], State::Closed);

    hosts.set_mode(Mode::Off);
    assert!(passes(&hosts, "b"));
    assert_eq!(hosts.would_refuse(), 3);
    (0..9).for_each(|_| call(&hosts, "a", Outcome::Transient));
    assert_eq!(states(&hosts)["a"], State::Closed, "nothing is counted");

    hosts.set_mode(Mode::Enforce);
    open(&hosts, "a");
    let shadowed = hosts_by(config(&clock).mode(Mode::Shadow), 2, WhenFull::Refuse);
    assert_eq!(shadowed.mode(), Mode::Shadow);
}

#[test]
fn a_call_has_the_threshold_of_its_context() {
    let clock = ManualClock::new();
    let config = config(&clock)
        .slow_after(SECOND)
        .trip_when(TripWhen::slow_rate(Ratio::percent(50), 2))
        .slow_in_flight();
    let hosts = hosts_by(config, 2, WhenFull::Refuse);
    let usual = Context::default();
    let patient = Context::default().with_slow_after(4 * SECOND);
    let ask = |host, context: &_| hosts.admit_owned_for(host, context, clock.now());
    let hang = |host, context: &_| [(); 2].map(|()| ask(host, context).unwrap());
    let hung = (hang("usual", &usual), hang("patient", &patient));
    // They hang, and are seen to; no flood makes them forgotten.
    clock.advance(2 * SECOND);
    flood(&hosts, 1_000);
    assert!(ask("usual", &patient).is_err());
    assert!(ask("patient", &patient).is_ok());
    clock.advance(3 * SECOND);
    assert!(ask("patient", &patient).is_err());
    drop(hung);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let cap = NonZeroU32::new(1).unwrap();
    let config = Config::default().half_open(HalfOpen::successes(0));
    let refused = KeyedCircuitBreaker::<u64>::new(config, cap, WhenFull::Admit).unwrap_err();
    assert_eq!(refused, ConfigError::HalfOpen);
}

// Threads.

#[test]
fn two_that_ask_for_a_new_key_share_one_breaker() {
    let hosts = hosts(&ManualClock::new(), 10_000, WhenFull::Refuse);
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for key in 0..2_000 {
                    let key = key.to_string();
                    barrier.wait();
                    // One that is refused shows below.
                    let permit = hosts.admit_owned(key.as_str(), hosts.now());
                    let fails =
                        |permit: OwnedPermit| permit.record(hosts.now(), Outcome::Transient);
                    let _ = permit.map(fails);
                    barrier.wait();
                }
            });
        }
    });
    let states = states(&hosts);
    assert_eq!(states.len(), 2_000);
    let lost = states.values().filter(|state| **state != State::Open);
    assert_eq!(lost.count(), 0, "two failures open each");
}

/// The first failure makes a breaker more than new, so the second finds it,
/// whatever others insert and evict between.
#[test]
fn no_evidence_is_lost_to_eviction() {
    let hosts = hosts(&ManualClock::new(), 64, WhenFull::Refuse);
    let done = AtomicBool::new(false);
    let (lost, placed) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                flood(&hosts, 100);
                hosts.evict_idle(hosts.now());
            }
        });
        let mut placed = 0;
        let lost = (0..20_000)
            .map(|key| format!("bad {key}"))
            .filter(|host| {
                let fail = || {
                    let permit = hosts.admit_owned(host.as_str(), hosts.now());
                    permit.map(|permit| permit.record(hosts.now(), Outcome::Transient))
                };
                // For a moment there may be no place; then it is another's
                // turn. From the first failure on there is.
                if fail().is_err() {
                    std::thread::yield_now();
                    return false;
                }
                placed += 1;
                if fail().is_err() {
                    return true;
                }
                let is_lost = passes(&hosts, host);
                hosts.remove(host.as_str());
                is_lost
            })
            .count();
        done.store(true, Ordering::Relaxed);
        (lost, placed)
    });
    assert_eq!(lost, 0, "of {placed}");
    assert!(placed > 100, "{placed}");
    assert!(hosts.snapshot().evictions() > 0);
}

// The layer.

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("pending"),
    }
}

/// Readied, then called.
fn ask<S: Service<R>, R>(service: &mut S, request: R) -> Result<S::Response, S::Error> {
    now(std::future::poll_fn(|context| service.poll_ready(context)))?;
    now(service.call(request))
}

/// Counts what is asked of it.
#[derive(Clone, Default)]
struct Inner {
    polls: Rc<Cell<u32>>,
    calls: Rc<Cell<u32>>,
}

impl Service<&'static str> for Inner {
    type Response = &'static str;
    type Error = Rejected;
    type Future = Ready<Result<&'static str, Rejected>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Rejected>> {
        self.polls.set(self.polls.get() + 1);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: &'static str) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        ready(Ok(host))
    }
}

#[test]
fn the_key_comes_from_the_request() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 10, WhenFull::Refuse);
    let fails = |host: &'static str| match host {
        "bad" => ready(Err(BoxError::from("reset"))),
        host => ready(Ok(host)),
    };
    let layer = hosts.layer(|host: &&'static str| host.to_string());
    let mut service = layer.layer(service_fn(fails));
    for _ in 0..2 {
        let error = ask(&mut service, "bad").unwrap_err();
        assert_eq!(error.to_string(), "reset", "errors do not nest");
        assert_eq!(error.rejected(), None);
    }
    let error = ask(&mut service, "bad").unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), Reason::Open);
    assert_eq!(ask(&mut service, "good").unwrap(), "good");

    // Typed, over the same breakers.
    let layer = hosts.layer(|host: &&'static str| host.to_string());
    let answers = service_fn(|host: &'static str| ready(Ok::<_, Infallible>(host)));
    let mut service = layer.with_error::<Rejected>().layer(answers);
    assert_eq!(ask(&mut service, "bad").unwrap_err().reason(), Reason::Open);
    assert_eq!(ask(&mut service, "good"), Ok("good"));
    let gate: &ByKey<String, _> = service.gate();
    assert_eq!(states(gate.breakers())["bad"], State::Open);
}

#[test]
fn a_refused_call_keeps_the_readied_service() {
    let clock = ManualClock::new();
    let hosts = hosts(&clock, 10, WhenFull::Refuse);
    open(&hosts, "bad");
    let inner = Inner::default();
    let layer = hosts.layer(|host: &&'static str| host.to_string());
    let mut service = layer.with_error::<Rejected>().layer(inner.clone());
    now(std::future::poll_fn(|context| service.poll_ready(context))).unwrap();
    // Readiness knows no key: the refusal comes with the call.
    assert_eq!(now(service.call("bad")).unwrap_err().reason(), Reason::Open);
    assert_eq!((inner.polls.get(), inner.calls.get()), (1, 0));
    assert_eq!(ask(&mut service, "good"), Ok("good"));
    assert_eq!((inner.polls.get(), inner.calls.get()), (2, 1));
    let rejected = now(service.call("good")).unwrap_err();
    assert_eq!(rejected.reason(), Reason::NotReady, "it was called since");
}

/// Plain, but for requests that may take four seconds.
#[derive(Clone)]
struct Patient;

impl<R> Carrier<R> for Patient {
    fn context(&self, _: &R) -> Context {
        Context::default().with_slow_after(4 * SECOND)
    }

    fn set_context(&self, _: &mut R, _: Context) {}
}

impl<Res> Classify<Res, Rejected> for Patient {
    fn classify(&self, result: Result<&Res, &Rejected>) -> Outcome {
        Plain.classify(result)
    }
}

impl<P: Settle, Res> Complete<P, Res> for Patient {
    type Response = Res;

    fn complete(&self, permit: P, outcome: Outcome, response: Res) -> Res {
        Plain.complete(permit, outcome, response)
    }
}

#[test]
fn a_request_has_the_threshold_of_its_context() {
    let clock = ManualClock::new();
    let config = config(&clock).slow_after(SECOND);
    let hosts = hosts_by(config, 2, WhenFull::Refuse);
    let layer = hosts.layer(|host: &&'static str| host.to_string());
    let takes_two_seconds = service_fn(|host: &'static str| {
        clock.advance(2 * SECOND);
        ready(Ok::<_, Rejected>(host))
    });
    let layer = layer.with_error::<Rejected>();
    let patient = layer.clone().with_binding(Patient);
    for (host, slow) in [("usual", 1), ("patient", 0)] {
        let answer = match slow {
            1 => ask(&mut layer.layer(takes_two_seconds), host),
            _ => ask(&mut patient.layer(takes_two_seconds), host),
        };
        assert_eq!(answer, Ok(host));
        let breaker = hosts.breaker(host, clock.now()).unwrap();
        assert_eq!(breaker.snapshot().counts().slow(), slow, "{host}");
    }
}

#[cfg(feature = "metrics")]
#[test]
fn in_shadow_nothing_counts_as_refused() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let hosts = hosts(&ManualClock::new(), 10, WhenFull::Refuse);
        open(&hosts, "bad");
        hosts.set_mode(Mode::Shadow);
        assert!(passes(&hosts, "bad"));
    });
    let all = snapshotter.snapshot().into_vec();
    let counted = |name: &str| {
        let name = format!("axiomatic_circuit_breaker_{name}");
        all.iter()
            .filter(|(key, ..)| key.key().name() == name)
            .map(|(.., value)| value)
            .collect::<Vec<_>>()
    };
    assert!(counted("state").is_empty(), "no gauge of many");
    assert_eq!(counted("refused_total"), [&DebugValue::Counter(1)]);
    assert_eq!(counted("would_refuse_total"), [&DebugValue::Counter(1)]);
}

#[test]
fn handles_are_send_and_sync() {
    fn all<T: Send + Sync + 'static>() {}
    all::<KeyedCircuitBreaker<String>>();
    all::<ByKey<String, fn(&()) -> String>>();
}
