//! Bulkheads and adaptive limits among the others.

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};

use axiomatic_capacity::bulkhead::{Bulkhead, Config as BulkheadConfig, Order, WhenFull};
use axiomatic_core::repeat::Always;
use axiomatic_core::{BoxError, Reason, Refusable};
use axiomatic_failure::circuit_breaker::{Config, State, TripWhen, Window};
use axiomatic_failure::retry;
use axiomatic_latency::timeout::Timeout;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::SECOND;

fn of_one(when_full: WhenFull) -> Bulkhead {
    let config = BulkheadConfig::new(NonZeroU32::MIN).when_full(when_full);
    config.build().unwrap()
}

/// What was refused for want of a slot was not tried, and says nothing of the
/// dependency; and to try again at once is what a full one needs least.
#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_trips_no_breaker_and_is_not_asked_again() {
    let breaker = Config::new(Window::last(10 * SECOND))
        .trip_when(TripWhen::consecutive_failures(1))
        .build()
        .unwrap();
    let bulkhead = of_one(WhenFull::Reject);
    let mut service = ServiceBuilder::new()
        .layer(retry::Config::default().build().unwrap().layer(Always))
        .layer(breaker.layer())
        .layer(bulkhead.layer())
        .service(service_fn(|()| async { Ok::<_, BoxError>(()) }));
    let permit = bulkhead.admit().unwrap();
    let error = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason(), Reason::Full);
    assert_eq!(bulkhead.snapshot().refused(), 1);
    assert_eq!(breaker.state(), State::Closed);
    drop(permit);
    assert!(service.ready().await.unwrap().call(()).await.is_ok());
}

/// The timeout outside drops a call that waits, and its place is free.
#[tokio::test(start_paused = true)]
async fn a_timeout_around_a_queue_leaves_nobody_in_it() {
    let bulkhead = of_one(WhenFull::Wait {
        max_waiting: 1,
        max_wait: 100 * SECOND,
        order: Order::Fifo,
    });
    let called = AtomicU32::new(0);
    let mut service = ServiceBuilder::new()
        .layer(Timeout::after(SECOND).layer())
        .layer(bulkhead.queued_layer())
        .service(service_fn(|()| {
            called.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, BoxError>(()) }
        }));
    let permit = bulkhead.admit().unwrap();
    for _ in 0..3 {
        let error = service.ready().await.unwrap().call(()).await.unwrap_err();
        assert_eq!(error.rejected().unwrap().reason(), Reason::Elapsed);
        assert_eq!(bulkhead.snapshot().waiting(), 0);
    }
    let mut waits = pin!(service.ready().await.unwrap().call(()));
    assert!(futures_poll(waits.as_mut()).await.is_pending());
    drop(permit);
    assert!(waits.await.is_ok());
    assert_eq!(called.load(Ordering::Relaxed), 1);
}

async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx))).await
}
