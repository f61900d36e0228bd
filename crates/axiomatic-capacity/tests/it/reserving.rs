//! Readiness as backpressure, where it is asked for.

use std::pin::pin;
use std::task::Poll;

use axiomatic_capacity::bulkhead::{Config, Order, ReservingBulkheadService, WhenFull};
use axiomatic_core::{Reason, Rejected};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{SECOND, slots};

#[tokio::test]
async fn ready_means_that_it_has_a_slot_and_a_clone_has_none() {
    let bulkhead = Config::new(slots(1))
        .when_full(WhenFull::Wait {
            max_waiting: 1,
            max_wait: SECOND,
            order: Order::Fifo,
        })
        .build()
        .unwrap();
    let echo = service_fn(|number: u32| async move { Ok::<_, Rejected>(number) });
    let layer = bulkhead.reserving_layer().with_error::<Rejected>();
    let mut first: ReservingBulkheadService<_, Rejected> = layer.layer(echo);
    first.ready().await.unwrap();
    assert_eq!(bulkhead.snapshot().in_flight(), 1);

    let mut second = first.clone();
    let mut waits = pin!(second.ready());
    assert!(futures::poll!(&mut waits).is_pending());
    // No place is left: it is ready, and says no.
    let mut third = first.clone();
    let refused = third.ready().await.unwrap().call(3).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull);
    let unasked = third.call(3).await.unwrap_err();
    assert_eq!(unasked.reason(), Reason::NotReady);

    assert_eq!(first.call(1).await.unwrap(), 1);
    assert_eq!(waits.await.unwrap().call(2).await.unwrap(), 2);
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

#[tokio::test]
async fn one_that_will_not_be_called_is_disarmed() {
    let bulkhead = Config::new(slots(1)).build().unwrap();
    let echo = service_fn(|number: u32| async move { Ok::<_, Rejected>(number) });
    let mut service = bulkhead
        .reserving_layer()
        .with_error::<Rejected>()
        .layer(echo);
    service.ready().await.unwrap();
    service.disarm();
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
    let Poll::Ready(refused) = futures::poll!(pin!(service.call(1))) else {
        panic!("a refusal is ready");
    };
    assert_eq!(refused.unwrap_err().reason(), Reason::NotReady);
}
