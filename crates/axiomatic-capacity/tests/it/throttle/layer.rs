//! The throttler through tower.

use std::cell::Cell;
use std::future::{Future, Ready, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use axiomatic_capacity::load_shed::throttle::{
    Config, OwnedPermit, ResponseFuture, Share, ThrottleLayer, Throttler,
};
use axiomatic_core::context::Priority;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{
    BoxError, Carrier, Classify, Complete, Outcome, Plain, Ratio, Reason, Refusable, Rejected,
    Settle,
};
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{built, call};
use crate::support::{Held, MILLI, SECOND};

fn config() -> Config {
    Config::accepting(Ratio::percent(200))
        .window(10 * SECOND, 10)
        .refresh_every(10 * MILLI)
        .probe_every(3_600 * SECOND)
}

/// One that refuses nearly all.
fn shedding() -> (ManualClock, Throttler) {
    let (clock, throttler) = built(config().most_refused(Ratio::parts_per_million(999_999)));
    for _ in 0..3_000 {
        clock.advance(MILLI);
        call(&throttler, clock.now(), Outcome::Transient);
    }
    assert!(throttler.refused_share() > Share::of(Ratio::per_mille(999)));
    (clock, throttler)
}

fn typed(throttler: &Throttler) -> ThrottleLayer<Rejected> {
    throttler.layer().with_error::<Rejected>()
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("pending"),
    }
}

/// Counts what is asked of it. It is not `Send`, and is not cloned.
#[derive(Default)]
struct Inner {
    is_pending: Rc<Cell<bool>>,
    polls: Rc<Cell<u32>>,
    calls: Rc<Cell<u32>>,
}

impl Inner {
    fn watched(&self) -> Self {
        Inner {
            is_pending: Rc::clone(&self.is_pending),
            polls: Rc::clone(&self.polls),
            calls: Rc::clone(&self.calls),
        }
    }
}

impl Service<Rc<()>> for Inner {
    type Response = Rc<()>;
    type Error = Rejected;
    type Future = Ready<Result<Rc<()>, Rejected>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        self.polls.set(self.polls.get() + 1);
        if self.is_pending.get() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, request: Rc<()>) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        ready(Ok(request))
    }
}

/// Neither what is called nor its requests and answers are `Send` or `Clone`.
#[test]
fn a_refused_call_keeps_the_readied_service() {
    let (clock, throttler) = shedding();
    let inner = Inner::default();
    let mut service = typed(&throttler).layer(inner.watched());
    now(service.ready()).unwrap();
    for _ in 0..50 {
        let refused = now(service.call(Rc::default())).unwrap_err();
        assert_eq!(refused.reason(), Reason::Shed);
    }
    assert_eq!((inner.polls.get(), inner.calls.get()), (1, 0));
    // All of it has left the window.
    clock.advance(20 * SECOND);
    assert!(now(service.call(Rc::default())).is_ok());
    assert_eq!((inner.polls.get(), inner.calls.get()), (1, 1));
    let unready = now(service.call(Rc::default())).unwrap_err();
    assert_eq!(unready.reason(), Reason::NotReady);
    assert_eq!(
        inner.calls.get(),
        1,
        "calling what is not ready is not legal"
    );
}

#[test]
fn readiness_is_the_inner_services() {
    let (_, throttler) = shedding();
    let inner = Inner::default();
    inner.is_pending.set(true);
    let mut service = typed(&throttler).layer(inner.watched());
    let poll = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending());
    let unready = now(service.call(Rc::default())).unwrap_err();
    assert_eq!(unready.reason(), Reason::NotReady);
    inner.is_pending.set(false);
    assert!(now(service.ready()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_decides() {
    let throttler = config().build().unwrap();
    let by_number = Plain.classified_by(|result: Result<&u32, &Rejected>| match result {
        Ok(500..) | Err(_) => Outcome::Transient,
        Ok(400..) => Outcome::Permanent,
        Ok(_) => Outcome::Success,
    });
    let layer = typed(&throttler).with_binding(by_number);
    let mut service = layer.layer(service_fn(|status: u32| async move {
        Ok::<_, Rejected>(status)
    }));
    for status in [200, 404, 200, 503] {
        let answer = service.ready().await.unwrap().call(status).await;
        assert_eq!(answer, Ok(status));
    }
    let snapshot = throttler.snapshot();
    assert_eq!((snapshot.requests(), snapshot.accepts()), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn wherever_a_call_is_cancelled_it_counts_as_nothing() {
    let throttler = config().build().unwrap();
    // Readied, called, polled, polled again; and once to the end.
    for polls in 0..4 {
        let held = Held::new();
        let mut service = typed(&throttler).layer(held.service());
        service.ready().await.unwrap();
        {
            let mut call = pin!(service.call(()));
            for _ in 0..polls {
                assert!(futures::poll!(call.as_mut()).is_pending());
                advance(MILLI).await;
            }
        }
        assert_eq!(throttler.snapshot().requests(), 0, "after {polls} polls");
    }
    let held = Held::new();
    let mut service = typed(&throttler).layer(held.service());
    let call = service.ready().await.unwrap().call(());
    held.let_end(1);
    call.await.unwrap();
    let snapshot = throttler.snapshot();
    assert_eq!((snapshot.requests(), snapshot.accepts()), (1, 1));
}

/// In `call` and in the future, also if somebody catches it.
#[test]
fn a_call_that_panics_was_not_accepted() {
    let (_, throttler) = built(config());
    let in_call = service_fn(|()| -> Ready<Result<(), Rejected>> { panic!("on purpose") });
    let mut service = typed(&throttler).layer(in_call);
    now(service.ready()).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| drop(service.call(()))));
    assert!(caught.is_err());
    assert_eq!(throttler.snapshot().requests(), 1);

    let in_future = service_fn(|()| poll_fn(|_| -> Poll<Result<(), Rejected>> { panic!("too") }));
    let (_, throttler) = built(config());
    let mut service = typed(&throttler).layer(in_future);
    now(service.ready()).unwrap();
    let call = service.call(());
    assert!(catch_unwind(AssertUnwindSafe(|| now(call))).is_err());
    let snapshot = throttler.snapshot();
    assert_eq!((snapshot.requests(), snapshot.accepts()), (1, 0));
}

/// A refusal from further in was not this dependency's answer.
#[tokio::test(start_paused = true)]
async fn a_refusal_from_further_in_counts_as_nothing() {
    let throttler = config().build().unwrap();
    let open = Rejected::new(axiomatic_core::Pattern::CircuitBreaker, Reason::Open);
    let elapsed = Rejected::new(axiomatic_core::Pattern::Timeout, Reason::Elapsed);
    for (end, requests) in [(open, 0), (elapsed, 1)] {
        let refuses = service_fn(move |()| async move { Err::<(), _>(end) });
        let mut service = typed(&throttler).layer(refuses);
        assert_eq!(service.ready().await.unwrap().call(()).await, Err(end));
        assert_eq!(throttler.snapshot().requests(), requests);
    }
}

#[tokio::test(start_paused = true)]
async fn services_of_one_throttler_share_it() {
    let throttler = config().build().unwrap();
    let layer = throttler.layer();
    let fails = service_fn(|()| async { Err::<(), BoxError>("no".into()) });
    let mut services = [layer.layer(fails), throttler.layer().layer(fails)];
    let mut refused = 0;
    for number in 0..2_000 {
        advance(MILLI).await;
        let service = services[number % 2].ready().await.unwrap();
        let error = service.call(()).await.unwrap_err();
        refused += u32::from(error.rejected().is_some());
    }
    assert!(refused > 1_700, "{refused}");
    assert_eq!(throttler.snapshot().refused(), u64::from(refused));
}

/// The priority is looked up only where some are refused.
#[derive(Clone)]
struct Asked(Rc<Cell<u32>>);

impl Carrier<()> for Asked {
    fn context(&self, (): &()) -> axiomatic_core::Context {
        self.0.set(self.0.get() + 1);
        axiomatic_core::Context::default().with_priority(Priority::SHEDDABLE)
    }

    fn set_context(&self, (): &mut (), _: axiomatic_core::Context) {}
}

impl Classify<(), Rejected> for Asked {
    fn classify(&self, _: Result<&(), &Rejected>) -> Outcome {
        Outcome::Transient
    }
}

impl<P: Settle> Complete<P, ()> for Asked {
    type Response = ();

    fn complete(&self, permit: P, outcome: Outcome, (): ()) {
        permit.settle(outcome);
    }
}

#[test]
fn a_context_is_read_only_where_calls_are_refused() {
    let (clock, throttler) = built(config());
    let asked = Rc::new(Cell::new(0));
    let binding = Asked(Rc::clone(&asked));
    let mut service = typed(&throttler)
        .with_binding(binding)
        .layer(service_fn(|()| async { Ok::<_, Rejected>(()) }));
    now(service.ready()).unwrap();
    now(service.call(())).unwrap();
    assert_eq!(asked.get(), 0);
    clock.advance(SECOND);
    now(service.ready()).unwrap();
    let _ = now(service.call(()));
    assert_eq!(asked.get(), 1);
}

#[test]
fn what_is_public_is_send_and_what_is_not_need_not_be() {
    fn is_send_and_sync<T: Send + Sync + Unpin>() {}
    fn is_send<T: Send>() {}
    is_send_and_sync::<Throttler>();
    is_send_and_sync::<OwnedPermit>();
    is_send_and_sync::<ThrottleLayer>();
    is_send::<ResponseFuture<Ready<Result<(), Rejected>>, BoxError, Plain>>();
    // A clock of one's own.
    let throttler = config().clock(Clock::Precise).build().unwrap();
    assert!(throttler.now() <= Clock::Precise.now());
}
