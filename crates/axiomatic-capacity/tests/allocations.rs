//! What failing fast allocates. A binary of its own, because it counts the
//! allocations of the thread.
#![cfg(all(feature = "tokio", not(axiomatic_loom)))]

#[path = "../../axiomatic-core/tests/counting/mod.rs"]
mod counting;

use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_capacity::load_shed::fail_fast::Config;
use axiomatic_core::Rejected;
use counting::ALLOCATIONS;
use tower::{Layer, Service};

#[derive(Clone)]
struct Inner(bool);

impl Service<u32> for Inner {
    type Response = u32;
    type Error = Rejected;
    type Future = Ready<Result<u32, Rejected>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        if self.0 {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, request: u32) -> Self::Future {
        ready(Ok(request))
    }
}

/// What a call allocates, a ready one or one that is refused.
fn allocations(is_ready: bool) -> u64 {
    let fail_fast = Config::new(Duration::ZERO).build().unwrap();
    let layer = fail_fast.layer().with_error::<Rejected>();
    let mut service = layer.layer(Inner(is_ready));
    let cx = &mut Context::from_waker(Waker::noop());
    let before = ALLOCATIONS.get();
    assert!(service.poll_ready(cx).is_ready());
    let mut call = pin!(service.call(7));
    let Poll::Ready(answered) = call.as_mut().poll(cx) else {
        panic!("it answers at once");
    };
    assert_eq!(answered.is_ok(), is_ready);
    ALLOCATIONS.get() - before
}

#[test]
fn neither_a_call_that_passes_nor_a_typed_refusal_allocates() {
    assert_eq!([true, false].map(allocations), [0, 0]);
}
