//! What is refused, and what is given back.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{self, Poll, Waker};

use axiomatic_capacity::bulkhead::{
    Ask, Bulkhead, Config, ConfigError, Order, Partitions, ResponseFuture, Sharing, WhenFull,
};
use axiomatic_core::{BoxError, Mode, Name, Plain, Ratio, Reason, Refusable, Rejected};
use tower::{Service, ServiceExt, service_fn};
use tower::{ServiceBuilder, load_shed::LoadShedLayer};

use crate::support::{Held, MILLI, slots};

fn bulkhead(limit: u32) -> Bulkhead {
    Config::new(slots(limit)).named("pool").build().unwrap()
}

#[test]
fn refuses_when_full_and_says_so() {
    let bulkhead = bulkhead(2);
    let permits = [bulkhead.admit().unwrap(), bulkhead.admit().unwrap()];
    let refused = bulkhead.admit().unwrap_err();
    assert_eq!(refused.reason(), Reason::Full);
    assert_eq!(refused.to_string(), "bulkhead pool is full");
    assert_eq!(bulkhead.snapshot().in_flight(), 2);
    drop(permits);
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight(), snapshot.refused()), (0, 1));
    assert_eq!(
        snapshot.to_string(),
        "bulkhead pool: 0 of 2 in flight, 1 refused"
    );
}

#[test]
fn a_dropped_permit_gives_its_slot_back_wherever_it_is_dropped() {
    let bulkhead = bulkhead(1);
    for _ in 0..10 {
        drop(bulkhead.admit().unwrap());
        let owned = bulkhead.admit_owned(Ask::default()).unwrap();
        std::thread::spawn(move || drop(owned)).join().unwrap();
    }
    assert!(bulkhead.admit().is_ok());
}

#[test]
fn what_is_heavy_takes_all_its_slots_or_none() {
    let bulkhead = bulkhead(5);
    let heavy = bulkhead.admit_weighing(slots(3)).unwrap();
    assert!(bulkhead.admit_weighing(slots(3)).is_err());
    assert_eq!(bulkhead.snapshot().in_flight(), 3);
    let light = bulkhead.admit_weighing(slots(2)).unwrap();
    drop(heavy);
    assert_eq!(bulkhead.snapshot().in_flight(), 2);
    assert!(bulkhead.admit_weighing(slots(6)).is_err(), "never");
    drop(light);
    assert!(bulkhead.admit_weighing(slots(6)).is_err(), "not even now");
}

#[test]
fn more_slots_are_there_at_once_and_fewer_once_enough_has_ended() {
    let bulkhead = bulkhead(2);
    let mut permits: Vec<_> = (0..2).map(|_| bulkhead.admit().unwrap()).collect();
    bulkhead.resize(slots(3));
    permits.push(bulkhead.admit().unwrap());
    bulkhead.resize(slots(1));
    assert_eq!(bulkhead.snapshot().in_flight(), 3, "nothing was killed");
    for _ in 0..3 {
        assert!(bulkhead.admit().is_err());
        permits.pop();
    }
    assert!(bulkhead.admit().is_ok());
    assert_eq!(bulkhead.snapshot().limit(), 1);
}

#[test]
fn in_shadow_the_excess_passes_and_is_counted_apart() {
    let bulkhead = bulkhead(1);
    bulkhead.set_mode(Mode::Shadow);
    let first = bulkhead.admit().unwrap();
    let second = bulkhead.admit_weighing(slots(3)).unwrap();
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight(), snapshot.excess()), (1, 3));
    assert_eq!((snapshot.refused(), snapshot.would_refuse()), (0, 1));
    drop(first);
    let third = bulkhead.admit().unwrap();
    assert_eq!(bulkhead.snapshot().in_flight(), 1, "the slot that is free");
    // What was let in beside the slots frees none.
    bulkhead.set_mode(Mode::Enforce);
    drop(second);
    assert_eq!(bulkhead.snapshot().excess(), 0);
    assert!(bulkhead.admit().is_err());
    drop(third);
    assert!(bulkhead.admit().is_ok());
}

#[test]
fn switched_off_it_sees_nothing_and_earlier_permits_still_come_back() {
    let bulkhead = bulkhead(1);
    let before = bulkhead.admit().unwrap();
    bulkhead.set_mode(Mode::Off);
    let unseen = [bulkhead.admit().unwrap(), bulkhead.admit().unwrap()];
    assert_eq!(bulkhead.snapshot().in_flight(), 1);
    bulkhead.set_mode(Mode::Enforce);
    drop(unseen);
    assert!(bulkhead.admit().is_err());
    drop(before);
    assert!(bulkhead.admit().is_ok());
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_name() {
    let config = || Config::new(slots(10));
    let wait = |max_waiting| WhenFull::Wait {
        max_waiting,
        max_wait: MILLI,
        order: Order::Fifo,
    };
    let shares = |shares: &[(&'static str, u16)]| {
        shares.iter().fold(
            Partitions::new(Sharing::Reserved),
            |all, (name, percent)| all.with(*name, Ratio::percent(*percent)),
        )
    };
    let many = (0..64).fold(Partitions::default(), |all, number| {
        all.with(
            Name::intern(&format!("partition {number}")).unwrap(),
            Ratio::ZERO,
        )
    });
    let error = |config: Config| config.build().err();
    assert_eq!(
        error(Config::new(slots(Config::MOST + 1))),
        Some(ConfigError::Limit(Config::MOST + 1))
    );
    assert_eq!(
        error(config().when_full(wait(0))),
        Some(ConfigError::MaxWaiting(0))
    );
    let most = WhenFull::MOST_WAITING + 1;
    assert_eq!(
        error(config().when_full(wait(most))),
        Some(ConfigError::MaxWaiting(most))
    );
    let half = config().partitions(shares(&[("a", 1)]));
    let each = WhenFull::MOST_WAITING / 2 + 1;
    assert_eq!(
        error(half.when_full(wait(each))),
        Some(ConfigError::MaxWaiting(each))
    );
    assert_eq!(
        error(config().partitions(shares(&[("a", 60), ("b", 41)]))),
        Some(ConfigError::Shares)
    );
    assert_eq!(
        error(config().partitions(shares(&[("a", 1), ("a", 2)]))),
        Some(ConfigError::Twice(Name::from("a")))
    );
    assert_eq!(
        error(config().partitions(many)),
        Some(ConfigError::Partitions(64))
    );
    assert_eq!(
        error(config().partitions(shares(&[("a", 60), ("b", 40)]))),
        None
    );
    assert_eq!(error(Config::new(slots(Config::MOST))), None);
}

// Through the layer.

/// tower's own sheds 20 of 20 here: an idle clone that is ready keeps its slot.
#[tokio::test]
async fn clones_that_are_ready_and_idle_keep_nobody_out() {
    let echo = service_fn(|number: u32| async move { Ok::<_, Rejected>(number) });
    let ours = bulkhead(1).layer().with_error::<BoxError>();
    let mut ours = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ours)
        .service(echo);
    let mut theirs = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .concurrency_limit(1)
        .service(echo);
    let (mut idle, mut their_idle) = (ours.clone(), theirs.clone());
    idle.ready().await.unwrap();
    their_idle.ready().await.unwrap();
    let (mut shed, mut their_shed) = (0, 0);
    for number in 0..20 {
        shed += u32::from(ours.ready().await.unwrap().call(number).await.is_err());
        their_shed += u32::from(theirs.ready().await.unwrap().call(number).await.is_err());
    }
    assert_eq!((shed, their_shed), (0, 20));
}

#[tokio::test]
async fn a_call_has_its_slot_until_it_is_answered_fails_panics_or_is_dropped() {
    let bulkhead = bulkhead(1);
    let held = Held::new();
    let mut service = bulkhead
        .layer()
        .with_error::<Rejected>()
        .layer_over(held.service());
    let mut call = pin!(service.ready().await.unwrap().call(7));
    assert!(futures::poll!(&mut call).is_pending());
    assert_eq!(bulkhead.snapshot().in_flight(), 1);
    let refused = service.ready().await.unwrap().call(8).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Full);
    held.let_end(1);
    assert_eq!(call.as_mut().await.unwrap(), 7);
    // The future is still there, and the slot is not its any more.
    assert_eq!(bulkhead.snapshot().in_flight(), 0);

    let mut dropped = Box::pin(service.ready().await.unwrap().call(9));
    assert!(futures::poll!(&mut dropped).is_pending());
    drop(dropped);
    drop(service.ready().await.unwrap().call(10));
    assert_eq!(bulkhead.snapshot().in_flight(), 0);

    let failing = service_fn(|_: ()| async { Err::<(), _>("no") });
    let mut failing = bulkhead.layer().layer_over(failing);
    assert!(failing.ready().await.unwrap().call(()).await.is_err());
    let panicking = service_fn(|_: ()| async {
        assert!(std::hint::black_box(false), "on purpose");
        Ok::<(), Infallible>(())
    });
    let mut panicking = bulkhead.layer().layer_over(panicking);
    let mut call = Box::pin(panicking.ready().await.unwrap().call(()));
    let mut cx = task::Context::from_waker(Waker::noop());
    let panicked = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut cx).is_ready()));
    assert!(panicked.is_err());
    drop(call);
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

#[tokio::test]
async fn a_full_one_does_not_wait_for_the_inner_service_and_a_call_unasked_is_refused() {
    let bulkhead = bulkhead(1);
    let mut service = bulkhead.layer().with_error::<Rejected>().layer_over(Never);
    let permit = bulkhead.admit().unwrap();
    let refused = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Full);
    let unasked = service.call(()).await.unwrap_err();
    assert_eq!(unasked.reason(), Reason::NotReady);
    drop(permit);
    assert!(futures::poll!(pin!(service.ready())).is_pending());
}

#[tokio::test]
async fn requests_take_as_many_slots_as_the_layer_is_told() {
    let bulkhead = bulkhead(5);
    let held = Held::new();
    let layer = bulkhead
        .layer()
        .with_error::<Rejected>()
        .weighing(|weight: &u32| slots(*weight));
    let mut service = layer.layer_over(held.service());
    let mut heavy = pin!(service.ready().await.unwrap().call(4));
    assert!(futures::poll!(&mut heavy).is_pending());
    assert_eq!(bulkhead.snapshot().in_flight(), 4);
    assert!(service.ready().await.unwrap().call(2).await.is_err());
    let mut light = pin!(service.ready().await.unwrap().call(1));
    assert!(futures::poll!(&mut light).is_pending());
    held.let_end(2);
    assert_eq!((heavy.await.unwrap(), light.await.unwrap()), (4, 1));
}

/// Every future that the layers make is `Send`, `Sync` and `Unpin` if what it
/// is made of is.
#[test]
fn futures_are_what_their_parts_are() {
    fn is_all<T: Send + Sync + Unpin>() {}
    type Inner = std::future::Ready<Result<(), Rejected>>;
    is_all::<ResponseFuture<Inner, Rejected, Plain>>();
    is_all::<axiomatic_capacity::bulkhead::Waiting>();
    is_all::<axiomatic_capacity::bulkhead::OwnedPermit>();
    is_all::<axiomatic_capacity::adaptive::OwnedPermit>();
    is_all::<Bulkhead>();
}

/// An error of one's own refuses without a box.
#[derive(Debug)]
struct Mine(Option<Rejected>);

impl From<Rejected> for Mine {
    fn from(rejected: Rejected) -> Self {
        Mine(Some(rejected))
    }
}

impl From<Infallible> for Mine {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Refusable for Mine {
    fn rejected(&self) -> Option<Rejected> {
        self.0
    }
}

#[tokio::test]
async fn asks_of_requests_services_and_responses_for_nothing() {
    struct Request<'a>(&'a std::cell::Cell<u32>);
    let cell = std::cell::Cell::new(0);
    let inner = service_fn(|request: Request<'_>| {
        request.0.set(request.0.get() + 1);
        async { Ok::<_, Infallible>(std::rc::Rc::new(())) }
    });
    let mut service = bulkhead(1).layer().with_error::<Mine>().layer_over(inner);
    service
        .ready()
        .await
        .unwrap()
        .call(Request(&cell))
        .await
        .unwrap();
    assert_eq!(cell.get(), 1);
}

/// `Layer::layer` with the inner service last, for chains.
trait LayerOver {
    fn layer_over<S>(&self, inner: S) -> <Self as tower::Layer<S>>::Service
    where
        Self: tower::Layer<S>,
    {
        tower::Layer::layer(self, inner)
    }
}

impl<L> LayerOver for L {}

/// A service that does not become ready.
struct Never;

impl Service<()> for Never {
    type Response = ();
    type Error = Rejected;
    type Future = std::future::Pending<Result<(), Rejected>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        pending()
    }
}
