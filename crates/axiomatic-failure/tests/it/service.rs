//! The tower adapter.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, Ready, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_core::time::ManualClock;
use axiomatic_core::{BoxError, Outcome, Pattern, Plain, Reason, Refusable, Rejected};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, CircuitBreakerLayer, OwnedPermit, ResponseFuture, State,
};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::circuit_breaker::{call, config};

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn now<F: Future>(future: F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("pending"),
    }
}

fn breaker() -> (ManualClock, CircuitBreaker) {
    let clock = ManualClock::new();
    let breaker = config(&clock).build().unwrap();
    (clock, breaker)
}

/// Counts what is asked of it; its readiness is switched.
#[derive(Clone, Default)]
struct Inner {
    is_pending: Rc<Cell<bool>>,
    polls: Rc<Cell<u32>>,
    calls: Rc<Cell<u32>>,
}

impl Service<()> for Inner {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.polls.set(self.polls.get() + 1);
        if self.is_pending.get() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        ready(Ok(()))
    }
}

fn typed(breaker: &CircuitBreaker) -> CircuitBreakerLayer<Rejected> {
    breaker.layer().with_error::<Rejected>()
}

#[test]
fn an_open_breaker_does_not_wait_for_a_hanging_service() {
    let (_, breaker) = breaker();
    let inner = Inner::default();
    let mut service = typed(&breaker).layer(inner.clone());
    breaker.force_open();
    inner.is_pending.set(true);
    now(service.ready()).unwrap();
    let rejected = now(service.call(())).unwrap_err();
    assert_eq!(rejected.reason(), Reason::Open);
    assert_eq!((inner.polls.get(), inner.calls.get()), (0, 0));
}

#[test]
fn a_call_on_an_unreadied_service_is_refused() {
    let (_, breaker) = breaker();
    let inner = Inner::default();
    let mut service = typed(&breaker).layer(inner.clone());
    breaker.force_open();
    now(service.ready()).unwrap();
    breaker.reset();
    assert!(
        now(service.call(())).is_err(),
        "a spurious refusal is legal"
    );
    assert_eq!(inner.calls.get(), 0, "calling what is not ready is not");
    now(service.ready()).unwrap();
    assert!(now(service.call(())).is_ok());
}

#[test]
fn a_refused_call_keeps_the_readied_service() {
    let (_, breaker) = breaker();
    let inner = Inner::default();
    let mut service = typed(&breaker).layer(inner.clone());
    now(service.ready()).unwrap();
    breaker.force_open();
    assert!(now(service.call(())).is_err());
    breaker.reset();
    now(service.ready()).unwrap();
    assert!(now(service.call(())).is_ok());
    // It is asked anew, in case it has failed meanwhile, and called once.
    assert_eq!((inner.polls.get(), inner.calls.get()), (2, 1));
}

#[test]
fn a_service_that_fails_after_it_was_ready_says_so() {
    let (_, breaker) = breaker();
    let mut polls = 0;
    let inner = tower::util::MapErr::new(
        Fails(move || {
            polls += 1;
            polls > 1
        }),
        |()| Rejected::new(Pattern::CircuitBreaker, Reason::NotReady),
    );
    let mut service = typed(&breaker).layer(inner);
    assert!(now(service.ready()).is_ok());
    assert!(now(service.ready()).is_err());
}

/// A service whose readiness fails when it is told to.
struct Fails<F>(F);

impl<F: FnMut() -> bool> Service<()> for Fails<F> {
    type Response = ();
    type Error = ();
    type Future = Ready<Result<(), ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(if (self.0)() { Err(()) } else { Ok(()) })
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

#[test]
fn all_services_of_a_layer_share_the_breaker() {
    let (_, breaker) = breaker();
    let layer = typed(&breaker);
    let mut one = layer.layer(Inner::default());
    let mut two = layer.clone().layer(Inner::default());
    one.gate().force_open();
    now(two.ready()).unwrap();
    assert!(now(two.call(())).is_err());
    now(one.ready()).unwrap();
    assert!(now(one.call(())).is_err());
}

#[test]
fn errors_do_not_nest() {
    let (_, breaker) = breaker();
    let fails = service_fn(|()| ready(Err::<(), _>(std::io::Error::other("reset"))));
    let mut service = breaker.layer().layer(fails);
    for _ in 0..2 {
        now(service.ready()).unwrap();
        let error: BoxError = now(service.call(())).unwrap_err();
        assert!(error.is::<std::io::Error>());
        assert_eq!(error.rejected(), None);
    }
    now(service.ready()).unwrap();
    let error = now(service.call(())).unwrap_err();
    assert_eq!(error.rejected().map(|r| r.reason()), Some(Reason::Open));
}

#[test]
fn a_closure_classifies() {
    let (_, breaker) = breaker();
    let by_status = |result: Result<&u16, &Rejected>| match result {
        Ok(500..) | Err(_) => Outcome::Transient,
        Ok(_) => Outcome::Success,
    };
    let mut service = typed(&breaker)
        .with_binding(Plain.classified_by(by_status))
        .layer(service_fn(|status: u16| ready(Ok::<_, Infallible>(status))));
    for _ in 0..2 {
        now(service.ready()).unwrap();
        assert_eq!(now(service.call(503)), Ok(503));
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn refusals_of_other_layers_are_no_failures() {
    let (_, breaker) = breaker();
    let full = Rejected::new(axiomatic_core::Pattern::Bulkhead, Reason::Full);
    let mut service = typed(&breaker).layer(service_fn(move |()| ready(Err::<(), _>(full))));
    for _ in 0..9 {
        now(service.ready()).unwrap();
        assert_eq!(now(service.call(())), Err(full));
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().counts().total(), 0);
}

#[test]
fn a_dropped_future_decides_nothing() {
    let (clock, breaker) = breaker();
    let mut service = typed(&breaker).layer(service_fn(|()| pending::<Result<(), Infallible>>()));
    for _ in 0..9 {
        now(service.ready()).unwrap();
        assert!(poll(service.call(())).is_pending());
        now(service.ready()).unwrap();
        drop(service.call(()));
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().counts().total(), 0);
    // Nor does a dropped probe, before its first poll or after it.
    call(&breaker, Outcome::Transient);
    call(&breaker, Outcome::Transient);
    clock.advance(Duration::from_secs(2));
    for _ in 0..9 {
        now(service.ready()).unwrap();
        let probe = service.call(());
        assert_eq!(breaker.snapshot().probes(), 1);
        drop(probe);
        now(service.ready()).unwrap();
        assert!(poll(service.call(())).is_pending());
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(breaker.snapshot().probes(), 0);
    }
}

#[test]
fn a_panic_of_the_call_is_a_failure_and_a_neighbours_is_not() {
    let (_, breaker) = breaker();
    let panics = |on_call: bool| {
        service_fn(move |panics: bool| {
            assert!(!(panics && on_call), "the call's own, before its future");
            async move {
                assert!(!panics, "the call's own");
                pending::<Result<(), Infallible>>().await
            }
        })
    };
    // In the call itself or in its future, which the panic drops or which is
    // dropped after someone has caught it.
    for (on_call, outlives) in [(true, false), (false, false), (false, true)] {
        breaker.reset();
        let mut service = typed(&breaker).layer(panics(on_call));
        for _ in 0..2 {
            now(service.ready()).unwrap();
            let mut kept = None;
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let mut call = Box::pin(service.call(true));
                let call = if outlives {
                    kept.insert(call)
                } else {
                    &mut call
                };
                let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }));
            assert!(unwound.is_err());
        }
        assert_eq!(breaker.state(), State::Open, "{on_call} {outlives}");
    }

    breaker.reset();
    let mut service = typed(&breaker).layer(panics(false));
    for _ in 0..9 {
        now(service.ready()).unwrap();
        let sibling = service.call(false);
        let unwound = catch_unwind(AssertUnwindSafe(move || {
            let _dropped_by_the_panic = sibling;
            panic!("a neighbour's");
        }));
        assert!(unwound.is_err());
    }
    assert_eq!(breaker.snapshot().counts().failed(), 0);
}

#[test]
fn needs_nothing_of_the_service_and_its_types() {
    // Neither Clone nor Send nor Sync nor Debug, and a response that is not
    // 'static: it borrows.
    struct Borrowing;
    impl<'r> Service<&'r str> for Borrowing {
        type Response = (Rc<()>, &'r str);
        type Error = Rejected;
        type Future = Ready<Result<Self::Response, Rejected>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: &'r str) -> Self::Future {
            ready(Ok((Rc::new(()), request)))
        }
    }
    let (_, breaker) = breaker();
    let mut service = typed(&breaker).layer(Borrowing);
    let text = String::from("borrowed");
    now(ServiceExt::<&str>::ready(&mut service)).unwrap();
    assert_eq!(now(service.call(text.as_str())).unwrap().1, "borrowed");
}

#[test]
fn futures_and_handles_are_send_and_sync_where_their_parts_are() {
    fn all<T: Send + Sync + 'static>() {}
    fn unpin<T: Unpin>() {}
    all::<CircuitBreaker>();
    all::<OwnedPermit>();
    all::<ResponseFuture<Ready<()>, Rejected, Plain>>();
    unpin::<ResponseFuture<Ready<()>, Rc<()>, Plain>>();
    // The error type of a future that is Send need not be.
    fn send<T: Send>() {}
    send::<ResponseFuture<Ready<()>, Rc<()>, Plain>>();
}
