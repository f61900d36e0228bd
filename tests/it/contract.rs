//! Every layer of this workspace, held to the contract of `tower::Service`.
//!
//! A layer comes here once for each state in which it behaves differently. A
//! new one adds its subjects, and its line under "asks for nothing". It is one
//! file because it is one list.

mod capacity;
mod placement;
mod rate;
mod shed;
mod throttle;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use axiomatic_contract::{
    Class, Contract, Failure, Obligation, Probe, Request, Response, Subject, local,
};
use axiomatic_core::budget::{Deposits, InFlight, Level, RetryBudget};
use axiomatic_core::context::Deadline;
use axiomatic_core::keyed::WhenFull as WhenFullOfKeys;
use axiomatic_core::repeat::{Always, WhenDeclared};
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{
    BoxError, Carrier, Classify, Context, Mode, Outcome, Plain, Ratio, Refusable, Rejected, Settle,
};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, CircuitBreakerLayer, Config, HalfOpen, KeyedCircuitBreaker, OpenFor,
    Ramp, State, TripWhen, Window,
};
use axiomatic_failure::retry::{self, Retry};
use axiomatic_http::body_end::PermitBody;
use axiomatic_http::{
    Http, InboundLayer, OutboundLayer, RejectionLayer, ReplayLayer, ScopeLayer, fields,
};
use axiomatic_latency::hedge::{Config as HedgeConfig, Delay, Hedge};
use axiomatic_latency::timeout::{self, Adaptive as AdaptiveTimeout, Expired, Timeout};
use tokio::runtime::Runtime;
use tower::util::{MapRequest, MapResponse, MapResult};
use tower::{Layer, Service, ServiceBuilder};

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

/// Half of the calls pass. A layer that refuses every second call cannot be
/// judged on much, so before each call another takes the turn that is refused.
#[test]
fn a_ramping_circuit_breaker_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let clock = ManualClock::new();
        let breaker = Config::new(Window::last(10 * SECOND))
            .trip_when(TripWhen::consecutive_failures(1))
            .open_for(OpenFor::fixed(SECOND))
            .half_open(HalfOpen::successes(1))
            .ramp(Ramp::over(4 * SECOND).forgiving(Ratio::percent(99), 1_000))
            .clock(Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        let permit = breaker.admit(clock.now()).unwrap();
        permit.record(clock.now(), Outcome::Transient);
        while breaker.snapshot().admitting() != Ratio::percent(50) {
            clock.advance(2 * SECOND);
            if let Ok(permit) = breaker.admit(clock.now()) {
                permit.record(clock.now(), Outcome::Success);
            }
        }
        assert_eq!(breaker.state(), State::Ramping);

        let (layer, refused) = (breaker.layer(), breaker.clone());
        let relenting = breaker.clone();
        Subject::from_fn(move |inner: Probe| {
            let refused = refused.clone();
            MapRequest::new(layer.layer(inner), move |request: Request| {
                drop(refused.admit(refused.now()));
                request
            })
        })
        .refuse(move || breaker.force_open())
        .relent(move || relenting.force_closed())
    })
    .assert();
}

/// One call in fifty is refused: the second, and then none for longer than
/// the kit asks.
#[test]
fn a_thinning_circuit_breaker_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let clock = ManualClock::new();
        let breaker = Config::new(Window::last(10 * SECOND))
            .adaptive(Adaptive::accepting(Ratio::percent(200)))
            .clock(Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        for call in 0..100 {
            if call == 99 {
                clock.advance(2 * SECOND);
            }
            let outcome = [Outcome::Success, Outcome::Transient][usize::from(call >= 49)];
            let permit = breaker.admit(clock.now()).unwrap();
            permit.record(clock.now(), outcome);
        }
        assert_eq!(breaker.state(), State::Thinning);
        let turns = [(); 2].map(|()| breaker.admit(clock.now()).is_ok());
        assert_eq!(turns, [true, false]);
        breaker_subject(breaker.clone(), breaker.layer())
    })
    .assert();
}

/// Slow calls are seen in flight.
fn seeing(clock: &ManualClock) -> CircuitBreaker {
    Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::slow_rate(Ratio::percent(50), 3))
        .slow_after(SECOND)
        .slow_in_flight()
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap()
}

#[test]
fn a_circuit_breaker_that_sees_slow_calls_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let breaker = seeing(&ManualClock::new());
        breaker_subject(breaker.clone(), breaker.layer())
    })
    .assert();
}

/// What refuses is that calls hang, and what relents is a reset.
#[test]
fn a_circuit_breaker_that_slow_calls_tripped_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let clock = ManualClock::new();
        let breaker = seeing(&clock);
        let (hangs, hanging) = (breaker.clone(), RefCell::new(Vec::new()));
        let relenting = breaker.clone();
        Subject::new(breaker.layer())
            .refuse(move || {
                while let Ok(permit) = hangs.admit_owned(clock.now()) {
                    hanging.borrow_mut().push(permit);
                    clock.advance(SECOND);
                }
                assert_eq!(hangs.state(), State::Open);
            })
            .relent(move || relenting.reset())
    })
    .assert();
}

// A circuit breaker for each key.

fn keyed() -> KeyedCircuitBreaker<u64> {
    let cap = NonZeroU32::new(10).unwrap();
    KeyedCircuitBreaker::new(Config::default(), cap, WhenFullOfKeys::Refuse).unwrap()
}

fn keyed_subject<'a, L>(breakers: KeyedCircuitBreaker<u64>, layer: L) -> Subject<'a, L::Service>
where
    L: Layer<Probe> + 'a,
{
    let relenting = breakers.clone();
    let breaker = |of: &KeyedCircuitBreaker<_>| of.breaker(&7, of.now()).unwrap();
    Subject::new(layer)
        .refuse(move || breaker(&breakers).force_open())
        .relent(move || breaker(&relenting).force_closed())
}

const KNOWS_NO_KEY: &str = "the key comes with the request, after readiness";

#[test]
fn a_circuit_breaker_for_each_key_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let breakers = keyed();
        keyed_subject(breakers.clone(), breakers.layer(|_: &Request| 7))
    })
    .except(Obligation::RefusalSkipsInner, KNOWS_NO_KEY)
    .assert();
    Contract::new(Class::Direct, || {
        let breakers = keyed();
        let layer = breakers.layer(|_: &Request| 7).with_error::<Typed>();
        keyed_subject(breakers, layer)
    })
    .except(Obligation::RefusalSkipsInner, KNOWS_NO_KEY)
    .assert();
}

// The retry.

/// With so much to add that only attempts bound it.
fn retry() -> Retry {
    let deposits = Deposits::of(Ratio::percent(100)).floor(1_000);
    let budget = RetryBudget::new("contract", deposits).unwrap();
    retry::Config::new(budget).build().unwrap()
}

#[test]
fn a_retry_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || Subject::new(retry().layer(Always)))
        .passing_time(|time| pass(&runtime, time))
        .assert();
}

#[test]
fn a_typed_retry_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        Subject::new(retry().layer(Always).with_error::<Typed>())
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

/// Nothing is repeated: the rule says no, the budget does, or the mode.
#[test]
fn a_retry_that_does_not_repeat_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || Subject::new(retry().layer(WhenDeclared)))
        .passing_time(|time| pass(&runtime, time))
        .assert();
    Contract::new(Class::Waiting, || {
        let nothing = RetryBudget::new("contract", Deposits::of(Ratio::ZERO).floor(0)).unwrap();
        let retry = retry::Config::new(nothing).build().unwrap();
        Subject::new(retry.layer(Always))
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Waiting, || {
            let retry = retry();
            retry.set_mode(mode);
            Subject::new(retry.layer(Always))
        })
        .passing_time(|time| pass(&runtime, time))
        .assert();
    }
}

/// Places among the calls in flight are what there is to leak.
#[test]
fn a_retry_with_a_budget_of_calls_in_flight_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        let budget = RetryBudget::new("contract", InFlight::of(Ratio::ZERO).at_least(9)).unwrap();
        let counted = budget.clone();
        let retry = retry::Config::new(budget).build().unwrap();
        Subject::new(retry.layer(Always)).held(move || {
            let Level::InFlight { calls, extras, .. } = counted.snapshot(start()).level() else {
                panic!("a budget of calls in flight");
            };
            usize::try_from(calls + extras).unwrap()
        })
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

fn start() -> Instant {
    Instant::from_nanos(50_000_000_000)
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

/// It has learnt nothing yet, so that it gives up after the whole time.
#[test]
fn an_adaptive_timeout_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    for mode in [Mode::Enforce, Mode::Shadow] {
        let contract = Contract::new(Class::Direct, || {
            let adaptive = AdaptiveTimeout::of(Ratio::percent(100));
            let config = timeout::Config::after(SECOND).adaptive(adaptive);
            let timeout = config.build().unwrap();
            timeout.set_mode(mode);
            Subject::new(timeout.layer())
        })
        .passing_time(|time| pass(&runtime, time));
        match mode {
            Mode::Enforce => contract.gives_up_after(SECOND).assert(),
            Mode::Shadow | Mode::Off => contract.assert(),
        }
    }
}

/// All arrive expired, and are served.
#[test]
fn a_timeout_that_serves_expired_requests_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    for expired in [Expired::Serve, Expired::RefuseAtMost(Ratio::ZERO)] {
        Contract::new(Class::Direct, || {
            let config = timeout::Config::after(SECOND).expired(expired);
            let expired = Rc::new(Cell::new(true));
            let layer = config.build().unwrap().layer();
            Subject::new(layer.with_binding(Expiry { expired }))
        })
        .passing_time(|time| pass(&runtime, time))
        .gives_up_after(SECOND)
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

impl<E: Refusable> Classify<Response, E> for Expiry {
    fn classify(&self, result: Result<&Response, &E>) -> Outcome {
        Plain.classify(result)
    }
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

// The hedge.

type CountedHedge = Hedge<RetryBudget<InFlight>>;

/// Its budget knows how many second attempts are under way.
fn hedge(clock: Clock) -> CountedHedge {
    let budget = RetryBudget::new("extras", InFlight::of(Ratio::percent(100))).unwrap();
    let config = HedgeConfig::new(Delay::fixed(SECOND)).clock(clock);
    config.budget(budget).build().unwrap()
}

fn hedge_subject<'a, L>(hedge: &CountedHedge, layer: L) -> Subject<'a, L::Service>
where
    L: Layer<Probe> + 'a,
{
    let budget = hedge.budget().clone();
    Subject::new(layer).held(
        move || match budget.snapshot(Instant::from_nanos(1)).level() {
            Level::InFlight { calls, extras, .. } => (calls + extras) as usize,
            level => panic!("{level:?}"),
        },
    )
}

/// What fails is sent once more, and what is slow is not slow yet.
#[test]
fn a_hedge_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    for mode in [Mode::Enforce, Mode::Shadow, Mode::Off] {
        Contract::new(Class::Waiting, || {
            let hedge = hedge(Clock::Precise);
            hedge.set_mode(mode);
            hedge_subject(&hedge, hedge.layer(Always))
        })
        .passing_time(|time| pass(&runtime, time))
        .assert();
    }
}

#[test]
fn a_typed_hedge_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        let hedge = hedge(Clock::Precise);
        hedge_subject(&hedge, hedge.layer(Always).with_error::<Typed>())
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

#[test]
fn a_hedge_of_what_is_sent_once_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        let hedge = hedge(Clock::Precise);
        hedge_subject(&hedge, hedge.layer(WhenDeclared))
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

/// By this clock calls began so long ago that whatever is pending is slow, and
/// has a second attempt beside it.
#[test]
fn a_hedge_that_fires_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        let hedge = hedge(Clock::Manual(ManualClock::new()));
        let layer = hedge.layer(Always).with_error::<Typed>();
        hedge_subject(&hedge, layer)
    })
    .passing_time(|time| pass(&runtime, time))
    .except(
        Obligation::WokenOnce,
        "both attempts get an answer at once, and each wakes",
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

/// A body with nothing in it that has to be polled for its end.
impl http_body::Body for Body {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<&'static [u8]>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// A layer whose permits outlive the call, in the body: the contract is kept
/// until there, and what a dropped body holds comes back.
fn at_body_end<'a, L, P>(
    layer: L,
) -> Subject<'a, impl Service<Request, Response = Response, Error = BoxError> + Clone + 'a>
where
    L: Layer<HttpProbe<Request>> + 'a,
    L::Service: Service<
            http::Request<Request>,
            Response = http::Response<PermitBody<Body, P>>,
            Error = BoxError,
        > + Clone
        + 'a,
    P: Settle + 'a,
{
    Subject::from_fn(move |inner: Probe| {
        let request: fn(http::Request<Request>) -> Request = http::Request::into_body;
        let answer: fn(Response) -> _ = |response| http::Response::new(Body(response.id()));
        let inner = MapResponse::new(MapRequest::new(inner, request), answer);
        let outer = MapResponse::new(layer.layer(inner), |response: http::Response<_>| {
            let body: &PermitBody<Body, P> = response.body();
            Response::new(body.get_ref().0)
        });
        MapRequest::new(outer, http::Request::new)
    })
}

#[test]
fn a_circuit_breaker_to_the_end_of_the_body_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let breaker = breaker();
        let layer = breaker.layer().with_binding(Http.to_body_end());
        let relenting = breaker.clone();
        at_body_end(layer)
            .refuse(move || breaker.force_open())
            .relent(move || relenting.force_closed())
    })
    .assert();
}

/// The probe as a service of HTTP, for requests with a body `B`.
type HttpProbe<B> = MapResponse<
    MapRequest<Probe, fn(http::Request<B>) -> Request>,
    fn(Response) -> http::Response<Body>,
>;

/// What is built over it, as a service of the kit's own messages.
type FromHttp<S> =
    MapRequest<MapResponse<S, fn(http::Response<Body>) -> Response>, fn(Request) -> HttpRequest>;

type HttpRequest = http::Request<Body>;

/// A layer over HTTP. Requests carry every field that there is, and the
/// kit's own request in their extensions.
fn over_http<'a, L, B>(layer: L) -> Subject<'a, FromHttp<L::Service>>
where
    L: Layer<HttpProbe<B>> + 'a,
{
    fn sent(request: Request) -> HttpRequest {
        http::Request::put("/")
            .header(&fields::TIMEOUT, "1000")
            .header(&fields::PRIORITY, "0")
            .header(&fields::ATTEMPT, "2")
            .header(&fields::RETRIED, "?1")
            .extension(request)
            .body(Body(0))
            .expect("a request")
    }
    fn received<B>(mut request: http::Request<B>) -> Request {
        let request = request.extensions_mut().remove::<Request>();
        request.expect("the kit's own")
    }
    Subject::from_fn(move |inner: Probe| {
        let inner = MapRequest::new(inner, received::<B> as fn(_) -> _);
        let answer: fn(Response) -> _ = |response| http::Response::new(Body(response.id()));
        let outer = layer.layer(MapResponse::new(inner, answer));
        let answered: fn(http::Response<Body>) -> _ = |response| Response::new(response.body().0);
        MapRequest::new(MapResponse::new(outer, answered), sent as fn(_) -> _)
    })
}

#[test]
fn the_wire_layers_keep_the_contract() {
    let inbound = || over_http(InboundLayer::new());
    Contract::new(Class::Direct, inbound).assert();
    let outbound = || over_http(OutboundLayer::new().with_grpc_timeout());
    Contract::new(Class::Direct, outbound).assert();
}

#[test]
fn a_scope_keeps_the_contract() {
    Contract::new(Class::Direct, || over_http(ScopeLayer::new())).assert();
}

#[test]
fn bodies_that_can_be_replayed_keep_the_contract() {
    Contract::new(Class::Direct, || over_http(ReplayLayer::new())).assert();
}

// Stacks.

/// The documented order of a client. Its total timeout is left out: the kit
/// lets so much time pass at once that two timers ring.
#[test]
fn a_retry_around_a_breaker_around_a_timeout_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        let stack = ServiceBuilder::new()
            .layer(retry().layer(Always))
            .layer(breaker().layer())
            .layer(Timeout::after(SECOND).layer());
        Subject::new(stack)
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

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

    fn key(_: &local::LocalRequest<'_>) -> u64 {
        7
    }
    local::accepts_local(&keyed().layer(key));
    local::accepts_local(&keyed().layer(key).with_error::<Typed>());
    local::stays_send(&keyed().layer(|_: &Request| 7));

    let timeout = Timeout::after(SECOND).layer();
    local::accepts_local(&timeout);
    local::accepts_local(&timeout.clone().with_error::<Typed>());
    local::stays_send(&timeout);
}

/// Waiting layers need clones of the service, and nothing else.
#[test]
fn waiting_layers_ask_only_for_clones() {
    let runtime = paused();
    let _entered = runtime.enter();

    fn never<'a>(_: &Context, _: &local::LocalRequest<'a>) -> Option<local::LocalRequest<'a>> {
        None
    }
    let retry = retry().layer(never);
    local::accepts_local_clone(&retry);
    local::accepts_local_clone(&retry.clone().with_error::<Typed>());
    local::stays_send(&crate::contract::retry().layer(Always));

    let hedge = hedge(Clock::Precise);
    local::accepts_local_clone(&hedge.layer(never));
    local::accepts_local_clone(&hedge.layer(never).with_error::<Typed>());
    local::stays_send(&hedge.layer(Always));
}

/// A layer over HTTP, with local requests for bodies.
struct OverHttp<L>(L);

/// What is inside of it, and what is outside.
struct Inside(local::Local);
struct Outside<S>(S);

impl<L: Layer<Inside>> Layer<local::Local> for OverHttp<L> {
    type Service = Outside<L::Service>;

    fn layer(&self, inner: local::Local) -> Self::Service {
        Outside(self.0.layer(Inside(inner)))
    }
}

impl<'a> Service<http::Request<local::LocalRequest<'a>>> for Inside {
    type Response = local::LocalResponse<'a>;
    type Error = Failure;
    type Future = local::LocalFuture<'a>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Failure>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<local::LocalRequest<'a>>) -> Self::Future {
        self.0.call(request.into_body())
    }
}

impl<'a, S> Service<local::LocalRequest<'a>> for Outside<S>
where
    S: Service<http::Request<local::LocalRequest<'a>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: local::LocalRequest<'a>) -> S::Future {
        self.0.call(http::Request::new(request))
    }
}

#[test]
fn layers_over_http_ask_for_nothing() {
    local::accepts_local(&OverHttp(InboundLayer::new()));
    local::accepts_local(&OverHttp(OutboundLayer::new()));
}
