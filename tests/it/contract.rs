//! Every layer of this workspace, held to the contract of `tower::Service`.
//!
//! A layer comes here once for each state in which it behaves differently. A
//! new one adds its subjects, and its line under "asks for nothing".

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use axiomatic_contract::{
    Class, Contract, Failure, Obligation, Probe, Request, Response, Subject, local,
};
use axiomatic_core::context::Deadline;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{BoxError, Carrier, Context, Mode, Outcome, Refusable, Rejected};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, CircuitBreakerLayer, Config, HalfOpen, OpenFor, TripWhen, Window,
};
use axiomatic_http::RejectionLayer;
use axiomatic_latency::timeout::Timeout;
use tokio::runtime::Runtime;
use tower::util::{MapResponse, MapResult};
use tower::{Layer, ServiceBuilder};

const SECOND: Duration = Duration::from_secs(1);

/// A stack's own error, as a user writes it.
#[derive(Debug)]
enum Typed {
    Rejected(Rejected),
    Failed(Failure),
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Typed::Rejected(rejected) => rejected.fmt(f),
            Typed::Failed(_) => f.write_str("the dependency failed"),
        }
    }
}

impl Error for Typed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Typed::Rejected(rejected) => Some(rejected),
            Typed::Failed(failure) => Some(failure),
        }
    }
}

impl From<Rejected> for Typed {
    fn from(rejected: Rejected) -> Self {
        Typed::Rejected(rejected)
    }
}

impl From<Failure> for Typed {
    fn from(failure: Failure) -> Self {
        Typed::Failed(failure)
    }
}

impl Refusable for Typed {
    fn rejected(&self) -> Option<Rejected> {
        match self {
            Typed::Rejected(rejected) => Some(*rejected),
            Typed::Failed(_) => None,
        }
    }
}

/// A runtime whose time jumps. The kit polls by hand, inside of it and not
/// on it.
fn paused() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

fn pass(runtime: &Runtime, time: Duration) {
    runtime.block_on(tokio::time::sleep(time));
}

// The circuit breaker.

fn breaker() -> CircuitBreaker {
    Config::new(Window::last(Duration::from_secs(10)))
        .build()
        .unwrap()
}

fn breaker_subject<'a, L>(breaker: CircuitBreaker, layer: L) -> Subject<'a, L::Service>
where
    L: Layer<Probe> + 'a,
{
    let relenting = breaker.clone();
    Subject::new(layer)
        .refuse(move || breaker.force_open())
        .relent(move || relenting.force_closed())
}

#[test]
fn a_closed_circuit_breaker_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let breaker = breaker();
        breaker_subject(breaker.clone(), breaker.layer())
    })
    .assert();
}

#[test]
fn a_typed_circuit_breaker_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let breaker = breaker();
        let layer = CircuitBreakerLayer::new(breaker.clone()).with_error::<Typed>();
        breaker_subject(breaker, layer)
    })
    .assert();
}

/// In this state there is something to leak: the slots of the probes.
#[test]
fn a_half_open_circuit_breaker_keeps_the_contract() {
    for probes in [1, 2] {
        Contract::new(Class::Direct, || {
            let clock = ManualClock::new();
            let breaker = Config::new(Window::last(Duration::from_secs(10)))
                .trip_when(TripWhen::consecutive_failures(1))
                .open_for(OpenFor::fixed(SECOND))
                // Open to the end, whatever the checks make of the probes.
                .half_open(
                    HalfOpen::successes(255)
                        .allowing_failures(255)
                        .concurrent(probes),
                )
                .clock(Clock::Manual(clock.clone()))
                .build()
                .unwrap();
            let permit = breaker.admit(clock.now()).unwrap();
            permit.record(clock.now(), Outcome::Transient);
            clock.advance(2 * SECOND);

            let counted = breaker.clone();
            Subject::new(breaker.layer())
                .limit_in_flight(usize::from(probes))
                .held(move || usize::from(counted.snapshot().probes()))
        })
        .assert();
    }
}

#[test]
fn a_circuit_breaker_that_is_off_keeps_the_contract() {
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Direct, || {
            let breaker = breaker();
            breaker.set_mode(mode);
            Subject::new(breaker.layer())
        })
        .assert();
    }
}

// The timeout.

#[test]
fn a_timeout_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Direct, || {
        Subject::new(Timeout::after(SECOND).layer())
    })
    .passing_time(|time| pass(&runtime, time))
    .gives_up_after(SECOND)
    .assert();
}

#[test]
fn a_typed_timeout_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Direct, || {
        Subject::new(Timeout::after(SECOND).layer().with_error::<Typed>())
    })
    .passing_time(|time| pass(&runtime, time))
    .gives_up_after(SECOND)
    .assert();
}

#[test]
fn a_timeout_that_is_off_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Direct, || {
            let timeout = Timeout::after(SECOND);
            timeout.set_mode(mode);
            Subject::new(timeout.layer())
        })
        .passing_time(|time| pass(&runtime, time))
        .assert();
    }
}

/// A binding whose requests have all run out of time, or none.
#[derive(Clone)]
struct Expiry {
    expired: Rc<Cell<bool>>,
}

impl Carrier<Request> for Expiry {
    fn context(&self, _: &Request) -> Context {
        if self.expired.get() {
            Context::default().with_deadline(Deadline::at(Instant::from_nanos(1)))
        } else {
            Context::default()
        }
    }

    fn set_context(&self, _: &mut Request, _: Context) {}
}

#[test]
fn a_timeout_refuses_expired_requests_by_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Direct, || {
        let expired = Rc::new(Cell::new(false));
        let (begin, end) = (Rc::clone(&expired), Rc::clone(&expired));
        let layer = Timeout::after(SECOND)
            .layer()
            .with_binding(Expiry { expired });
        Subject::new(layer)
            .refuse(move || begin.set(true))
            .relent(move || end.set(false))
    })
    .passing_time(|time| pass(&runtime, time))
    .except(
        Obligation::RefusalSkipsInner,
        "the deadline comes with the request, after readiness",
    )
    .assert();
}

// The http binding.

/// A body that knows which response it was.
struct Body(u64);

impl From<&'static str> for Body {
    fn from(_: &'static str) -> Self {
        Body(0)
    }
}

#[test]
fn rejections_as_responses_keep_the_contract() {
    let layer = RejectionLayer::new().otherwise(|error: BoxError| {
        // What it answers must still tell which error it was asked about.
        let mut response = http::Response::new(Body(0));
        if let Some(failure) = error.downcast_ref::<Failure>() {
            response.extensions_mut().insert(*failure);
        }
        response
    });
    Contract::new(Class::Direct, || {
        let layer = layer.clone();
        Subject::from_fn(move |inner: Probe| {
            let http = MapResponse::new(inner, |response: Response| {
                http::Response::new(Body(response.id()))
            });
            MapResult::new(
                layer.layer(http),
                |answer: Result<http::Response<Body>, Infallible>| {
                    let Ok(answer) = answer;
                    match answer.extensions().get::<Failure>() {
                        Some(failure) => Err(BoxError::from(*failure)),
                        None => Ok(Response::new(answer.body().0)),
                    }
                },
            )
        })
    })
    .except(
        Obligation::ReadinessError,
        "a service that cannot fail answers the call instead",
    )
    .assert();
}

// Stacks.

#[test]
fn a_breaker_around_a_timeout_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Direct, || {
        let breaker = breaker();
        let stack = ServiceBuilder::new()
            .layer(breaker.layer())
            .layer(Timeout::after(SECOND).layer());
        breaker_subject(breaker, stack)
    })
    .passing_time(|time| pass(&runtime, time))
    .gives_up_after(SECOND)
    .assert();
}

#[test]
fn a_timeout_around_a_breaker_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Direct, || {
        let breaker = breaker();
        let stack = ServiceBuilder::new()
            .layer(Timeout::after(SECOND).layer().with_error::<Typed>())
            .layer(CircuitBreakerLayer::new(breaker.clone()).with_error::<Typed>());
        breaker_subject(breaker, stack)
    })
    .passing_time(|time| pass(&runtime, time))
    .gives_up_after(SECOND)
    .assert();
}

// What layers ask of the types around them.

/// No `Send`, no `Clone`, no `'static`; and nothing that takes `Send` away.
#[test]
fn direct_layers_ask_for_nothing() {
    let runtime = paused();
    let _entered = runtime.enter();

    let breaker = breaker().layer();
    local::accepts_local(&breaker);
    local::accepts_local(&breaker.clone().with_error::<Typed>());
    local::stays_send(&breaker);

    let timeout = Timeout::after(SECOND).layer();
    local::accepts_local(&timeout);
    local::accepts_local(&timeout.clone().with_error::<Typed>());
    local::stays_send(&timeout);
}
