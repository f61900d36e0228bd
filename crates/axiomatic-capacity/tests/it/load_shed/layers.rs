//! What its layer promises. One file, because it is one list over one service.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use axiomatic_capacity::load_shed::fairness;
use axiomatic_capacity::load_shed::{
    Config as ShedderConfig, LoadShedder, Prioritizer, prioritizer,
};
use axiomatic_core::context::{AdmissionLevel, Deadline, Priority};
use axiomatic_core::hash::Seed;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{
    Announce, BoxError, Carrier, Classify, Complete, Context, Outcome, Reason, Rejected, Settle,
};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::{START, shedding};
use crate::support::{Carried, Held, SECOND};

/// One that sheds all that is sheddable, for as long as its clock stands.
fn shedder() -> (LoadShedder, Prioritizer) {
    let prioritizer = prioritizer::Config::new().build().unwrap();
    let now = shedding(&prioritizer, 60, &[Priority::SHEDDABLE, Priority::CRITICAL]);
    let clock = ManualClock::new();
    clock.set(now);
    let shedder = ShedderConfig::new(&prioritizer)
        .named("api")
        .clock(Clock::Manual(clock))
        .build();
    (shedder, prioritizer)
}

/// One that sheds nothing yet.
fn calm() -> LoadShedder {
    let prioritizer = prioritizer::Config::new().build().unwrap();
    ShedderConfig::new(&prioritizer).build()
}

fn of(priority: Priority) -> Context {
    Context::default().with_priority(priority)
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut TaskContext::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_request_is_shed_by_the_priority_that_it_carries() {
    let (shedder, _) = shedder();
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .service(service_fn(async |_: Context| Ok::<_, Rejected>("served")));
    let mut send = async |priority| service.ready().await?.call(of(priority)).await;
    assert_eq!(send(Priority::CRITICAL_PLUS).await, Ok("served"));
    let refused = send(Priority::SHEDDABLE).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Shed);
    assert_eq!(refused.name().as_str(), "api");
    assert!(refused.retry_after().is_some());
    assert_eq!(send(Priority::CRITICAL_PLUS).await, Ok("served"));
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_refused() {
    let (shedder, _) = shedder();
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .service(service_fn(async |_: Context| Ok::<_, Rejected>(())));
    let late = of(Priority::CRITICAL_PLUS).with_deadline(Deadline::at(START));
    let refused = service.ready().await.unwrap().call(late).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Expired);
}

/// Counts how often it was asked whether it is ready.
#[derive(Clone)]
struct Asked(Arc<AtomicUsize>);

impl Service<Context> for Asked {
    type Response = ();
    type Error = Rejected;
    type Future = std::future::Ready<Result<(), Rejected>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Rejected>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Context) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

#[tokio::test]
async fn refusals_do_not_ask_the_service_behind() {
    let (shedder, _) = shedder();
    let asked = Arc::new(AtomicUsize::new(0));
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .service(Asked(Arc::clone(&asked)));
    for _ in 0..100 {
        let shed = service
            .ready()
            .await
            .unwrap()
            .call(of(Priority::SHEDDABLE))
            .await;
        assert_eq!(shed.unwrap_err().reason(), Reason::Shed);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let served = service
        .ready()
        .await
        .unwrap()
        .call(of(Priority::CRITICAL_PLUS))
        .await;
    assert_eq!((served, asked.load(Ordering::Relaxed)), (Ok(()), 1));
    service.ready().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2, "it was called since");
}

/// tower's LoadShed keeps its place: of a limit of one, it gets the slot that
/// comes free although it refused the call that wanted it, and keeps it.
#[tokio::test]
async fn a_call_that_is_shed_leaves_the_queue_it_stood_in() {
    let (shedder, prioritizer) = shedder();
    let held = Held::new();
    let limited = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .service(held.service::<Context>());
    let important = || of(Priority::CRITICAL_PLUS);
    let mut running = limited.clone();
    let call = running.ready().await.unwrap().call(important());
    let mut shedding = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .service(limited.clone());
    let refused = shedding.ready().await.unwrap().call(important()).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::Shed);
    assert_eq!(shedder.snapshot().refused(), 1);
    held.let_end(1);
    call.await.unwrap();
    // The slot is free, and nobody has it who does not need it.
    let mut other = limited.clone();
    assert!(poll_once(other.ready()).is_ready());
    drop(prioritizer);
}

#[tokio::test]
async fn one_that_waits_is_shed_and_one_that_is_ready_again_is_served() {
    let (shedder, _) = shedder();
    let held = Held::new();
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .layer(ConcurrencyLimitLayer::new(1))
        .service(held.service::<Context>());
    let important = || of(Priority::CRITICAL_PLUS);
    let first = service.ready().await.unwrap().call(important());
    for _ in 0..3 {
        let shed = service.ready().await.unwrap().call(important()).await;
        assert_eq!(shed.unwrap_err().reason(), Reason::Shed);
    }
    held.let_end(2);
    first.await.unwrap();
    assert!(
        service
            .ready()
            .await
            .unwrap()
            .call(important())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn health_checks_are_exempt() {
    let (shedder, prioritizer) = shedder();
    let layer = shedder
        .layer()
        .with_error::<Rejected>()
        .with_binding(Carried);
    let mut service = ServiceBuilder::new()
        .layer(layer.exempting(|request: &Context| request.attempt() == 7))
        .service(service_fn(async |_: Context| Ok::<_, Rejected>(())));
    let mut send = async |attempt| {
        let request = of(Priority::SHEDDABLE).with_attempt(attempt);
        service.ready().await?.call(request).await
    };
    assert!(send(1).await.is_err());
    let before = prioritizer.level_of(axiomatic_core::Ratio::ONE);
    for _ in 0..1_000 {
        assert!(send(7).await.is_ok());
    }
    assert!(send(1).await.is_err());
    assert_eq!(prioritizer.level_of(axiomatic_core::Ratio::ONE), before);
}

#[tokio::test]
async fn heavier_users_are_shed_first() {
    let prioritizer = prioritizer::Config::new().build().unwrap();
    let clock = ManualClock::new();
    let shedder = ShedderConfig::new(&prioritizer)
        .clock(Clock::Manual(clock.clone()))
        .build();
    let fairness = fairness::Config::new()
        .seed(Seed::fixed(1))
        .half_life(SECOND)
        .build()
        .unwrap();
    let layer = shedder
        .layer()
        .with_error::<Rejected>()
        .with_binding(Carried);
    let user = |request: &Context, hasher: &axiomatic_capacity::rate_limit::keyed::KeyHasher| {
        Some(hasher.number(u64::from(request.attempt())))
    };
    let mut service = ServiceBuilder::new()
        .layer(layer.by_user(&fairness, user))
        .service(service_fn(async |_: Context| Ok::<_, Rejected>(())));
    // One of twenty users sends half of all; three in four can be borne.
    let mut shed = [0_u32; 21];
    for at in 0..20_000_u32 {
        clock.advance(SECOND / 1_000);
        let user = if at % 2 == 0 { 20 } else { at / 2 % 20 };
        let request = Context::default().with_attempt(user + 1);
        match service.ready().await.unwrap().call(request).await {
            Ok(()) if at % 4 == 0 => prioritizer.turned_away(),
            Ok(()) => {}
            Err(_) => shed[user as usize] += u32::from(at > 10_000),
        }
    }
    let others: u32 = shed[..20].iter().sum();
    assert!(shed[20] > 500 && others * 20 < shed[20], "{shed:?}");
}

#[tokio::test]
async fn the_level_of_a_user_goes_with_its_request() {
    let shedder = calm();
    let fairness = fairness::Config::new().build().unwrap();
    let layer = shedder
        .layer()
        .with_error::<Rejected>()
        .with_binding(Carried);
    let users = layer.by_user(&fairness, |request: &Context, _: &_| {
        (request.attempt() > 1).then_some(7)
    });
    let mut service =
        ServiceBuilder::new()
            .layer(users)
            .service(service_fn(async |request: Context| {
                Ok::<_, Rejected>(request.priority())
            }));
    let mut send = async |request: Context| service.ready().await?.call(request).await;
    let ranked = send(of(Priority::SHEDDABLE).with_attempt(2)).await.unwrap();
    assert!(ranked.level() >= 56, "{ranked}: nobody is heavy yet");
    assert_eq!(ranked.as_u8() >> 6, 0, "the class stays");
    let level = Priority::SHEDDABLE.with_level(3);
    assert_eq!(send(of(level)).await, Ok(level), "of no user");
}

/// Hears what is announced.
#[derive(Copy, Clone)]
pub(super) struct Telling;

impl Carrier<Context> for Telling {
    fn context(&self, request: &Context) -> Context {
        request.clone()
    }

    fn set_context(&self, request: &mut Context, context: Context) {
        *request = context;
    }
}

impl Announce<AdmissionLevel> for Telling {
    fn announce_level(
        &self,
        response: &mut AdmissionLevel,
        level: impl FnOnce() -> AdmissionLevel,
    ) {
        *response = level();
    }
}

impl Classify<AdmissionLevel, Rejected> for Telling {
    fn classify(&self, _: Result<&AdmissionLevel, &Rejected>) -> Outcome {
        Outcome::Success
    }
}

impl<P: Settle> Complete<P, AdmissionLevel> for Telling {
    type Response = AdmissionLevel;

    fn complete(&self, permit: P, outcome: Outcome, response: AdmissionLevel) -> AdmissionLevel {
        permit.settle(outcome);
        response
    }
}

#[tokio::test]
async fn answers_say_what_is_admitted_if_they_are_to() {
    let (shedder, prioritizer) = shedder();
    for (announces, heard) in [(false, AdmissionLevel::ALL), (true, prioritizer.level())] {
        let layer = shedder.layer();
        let layer = if announces { layer.announcing() } else { layer };
        let mut service = ServiceBuilder::new()
            .layer(layer.with_error::<Rejected>().with_binding(Telling))
            .service(service_fn(async |_: Context| {
                Ok::<_, Rejected>(AdmissionLevel::ALL)
            }));
        let important = of(Priority::CRITICAL_PLUS);
        assert_eq!(
            service.ready().await.unwrap().call(important).await,
            Ok(heard)
        );
    }
    assert_ne!(prioritizer.level(), AdmissionLevel::ALL);
}

#[tokio::test]
async fn while_all_is_admitted_nothing_is_said_of_it() {
    let further_in = AdmissionLevel::at(Priority::CRITICAL, 1);
    let layer = calm().layer().announcing();
    let mut service = ServiceBuilder::new()
        .layer(layer.with_error::<Rejected>().with_binding(Telling))
        .service(service_fn(move |_: Context| {
            std::future::ready(Ok::<_, Rejected>(further_in))
        }));
    let call = service.ready().await.unwrap().call(Context::default());
    assert_eq!(call.await, Ok(further_in));
}

/// Its readiness fails every other time.
#[derive(Clone)]
struct Failing(bool);

impl Service<Context> for Failing {
    type Response = ();
    type Error = Rejected;
    type Future = std::future::Ready<Result<(), Rejected>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Rejected>> {
        self.0 = !self.0;
        let broken = Rejected::new(axiomatic_core::Pattern::Retry, Reason::Open);
        Poll::Ready(if self.0 { Ok(()) } else { Err(broken) })
    }

    fn call(&mut self, _: Context) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

#[tokio::test]
async fn who_calls_although_readiness_failed_is_refused() {
    let layer = calm().layer().with_error::<Rejected>();
    let mut service = ServiceBuilder::new()
        .layer(layer.with_binding(Carried))
        .service(Failing(false));
    service.ready().await.unwrap();
    let broken = service.ready().await.map(drop).unwrap_err();
    assert_eq!(broken.reason(), Reason::Open);
    let refused = service.call(Context::default()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotReady);
}

#[tokio::test]
async fn a_call_is_over_when_it_is_answered_fails_or_is_dropped() {
    let gauge = super::Gauge::default();
    let prioritizer = prioritizer::Config::new()
        .signal(gauge.signal())
        .build()
        .unwrap();
    gauge.set(100);
    let clock = ManualClock::new();
    let shedder = ShedderConfig::new(&prioritizer)
        .clock(Clock::Manual(clock.clone()))
        .build();
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .service(service_fn(async |request: Context| {
            match request.attempt() {
                1 => Ok(()),
                2 => Err(Rejected::new(axiomatic_core::Pattern::Retry, Reason::Open)),
                _ => std::future::pending().await,
            }
        }));
    let mut kept = Vec::new();
    for at in 0..350_u32 {
        clock.advance(SECOND / 1_000);
        let request = of(Priority::CRITICAL).with_attempt(at % 4 + 1);
        let call = service.ready().await.unwrap().call(request);
        let mut call = Box::pin(call);
        match (
            at % 4,
            poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await,
        ) {
            (_, Poll::Ready(_)) | (2, Poll::Pending) => drop(call),
            _ => kept.push(call),
        }
    }
    // Three in four ended.
    let admitting = prioritizer.snapshot().admitting().unwrap();
    assert!((680..=740).contains(&admitting), "{admitting}");
}

#[tokio::test]
async fn nothing_need_be_send() {
    let shedder = calm();
    let count = Rc::new(Cell::new(0));
    let counting = Rc::clone(&count);
    let mut service = ServiceBuilder::new()
        .layer(shedder.layer().with_error::<Rejected>())
        .service(service_fn(move |request: Rc<u32>| {
            counting.set(counting.get() + *request);
            async { Ok::<_, Rejected>(Rc::new(())) }
        }));
    service
        .ready()
        .await
        .unwrap()
        .call(Rc::new(3))
        .await
        .unwrap();
    assert_eq!(count.get(), 3);
}

#[tokio::test]
async fn an_error_of_the_service_behind_passes() {
    let shedder = calm();
    let mut service = ServiceBuilder::new()
        .layer(shedder.layer())
        .service(service_fn(async |_: Context| {
            Err::<(), BoxError>("broken".into())
        }));
    let served = service.ready().await.unwrap().call(Context::default());
    assert_eq!(served.await.unwrap_err().to_string(), "broken");
    // Unasked.
    let error = service.call(Context::default()).await.unwrap_err();
    let rejected = error.downcast_ref::<Rejected>().unwrap();
    assert_eq!(rejected.reason(), Reason::NotReady);
}
