//! Calls that wait, in paused time.

use std::pin::pin;
use std::sync::Arc;

use axiomatic_capacity::bulkhead::{Ask, Bulkhead, Config, Order, QueuedBulkheadLayer, WhenFull};
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::time::Clock;
use axiomatic_core::{Context, Reason, Rejected};
use tokio::time::{advance, sleep};
use tower::{Layer, Service, ServiceExt};

use crate::support::{Carried, Held, MILLI, SECOND, slots};

fn layer(bulkhead: &Bulkhead) -> QueuedBulkheadLayer<Rejected, Carried> {
    bulkhead.queued_layer().with_error().with_binding(Carried)
}

fn of_one(max_wait: std::time::Duration) -> Bulkhead {
    Config::new(slots(1))
        .when_full(WhenFull::Wait {
            max_waiting: 10,
            max_wait,
            order: Order::Fifo,
        })
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_slot_and_no_longer_than_they_may() {
    let bulkhead = of_one(100 * MILLI);
    let held = Held::new();
    let mut service = layer(&bulkhead).layer(held.service());
    let mut first = pin!(service.ready().await.unwrap().call(Context::default()));
    let mut second = pin!(service.ready().await.unwrap().call(Context::default()));
    assert!(futures::poll!(&mut first).is_pending());
    let begun = tokio::time::Instant::now();
    let refused = second.as_mut().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::WaitedTooLong);
    assert_eq!(begun.elapsed(), 100 * MILLI);
    assert_eq!(held.called(), 1);

    let mut third = pin!(service.ready().await.unwrap().call(Context::default()));
    assert!(futures::poll!(&mut third).is_pending());
    held.let_end(2);
    assert!(first.await.is_ok());
    assert!(third.await.is_ok());
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_no_longer_than_its_deadline_and_is_never_made_after_it() {
    let bulkhead = of_one(SECOND);
    let held = Held::new();
    let mut service = layer(&bulkhead).layer(held.service());
    let _taken = bulkhead.admit().unwrap();
    let deadline = Deadline::at(Clock::Precise.now() + 30 * MILLI);
    let context = Context::default().with_deadline(deadline);
    let begun = tokio::time::Instant::now();
    let refused = service.ready().await.unwrap().call(context).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::Expired);
    assert_eq!(begun.elapsed(), 30 * MILLI);

    // The slot comes when it is too late, and the timer has not rung.
    let deadline = Deadline::at(Clock::Precise.now() + 30 * MILLI);
    let context = Context::default().with_deadline(deadline);
    let mut late = pin!(service.ready().await.unwrap().call(context));
    assert!(futures::poll!(&mut late).is_pending());
    advance(30 * MILLI).await;
    drop(_taken);
    assert_eq!(late.await.unwrap_err().reason(), Reason::Expired);
    assert_eq!(held.called(), 0);
    assert!(bulkhead.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn calls_matter_as_their_requests_say() {
    let bulkhead = of_one(SECOND);
    let held = Held::new();
    let mut service = layer(&bulkhead).layer(held.service());
    let taken = bulkhead.admit().unwrap();
    let of = |priority| Context::default().with_priority(priority);
    let mut batch = pin!(service.call(of(Priority::SHEDDABLE)));
    let mut user = pin!(service.call(of(Priority::CRITICAL_PLUS)));
    assert!(futures::poll!(&mut batch).is_pending());
    assert!(futures::poll!(&mut user).is_pending());
    drop(taken);
    held.let_end(1);
    assert!(user.await.is_ok());
    assert!(futures::poll!(&mut batch).is_pending());
    held.let_end(1);
    assert!(batch.await.is_ok());
}

/// Dropped before its first poll and after each of the others, a call leaves
/// nothing behind, and whoever comes next gets through.
#[tokio::test(start_paused = true)]
async fn wherever_a_call_is_cancelled_no_slot_is_lost() {
    for polls in 0..8 {
        let bulkhead = of_one(SECOND);
        let inner = tower::service_fn(|context: Context| async move {
            sleep(MILLI).await;
            tokio::task::yield_now().await;
            sleep(MILLI).await;
            Ok::<_, Rejected>(context)
        });
        let mut service = layer(&bulkhead).layer(inner);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        let mut call = Box::pin(service.ready().await.unwrap().call(Context::default()));
        let mut taken = Some(taken);
        for poll in 0..polls {
            if poll == 2 {
                taken = None;
            }
            if futures::poll!(&mut call).is_ready() {
                break;
            }
            advance(MILLI).await;
        }
        let mut behind = pin!(service.call(Context::default()));
        let _polled = futures::poll!(&mut behind);
        drop(call);
        drop(taken);
        assert!(behind.await.is_ok(), "after {polls} polls");
        let snapshot = bulkhead.snapshot();
        assert_eq!((snapshot.in_flight(), snapshot.waiting()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_instance_that_is_called_is_readied_once_there_is_a_slot() {
    let bulkhead = of_one(SECOND);
    let (mut mock, mut handle) = tower_test::mock::pair::<Context, ()>();
    mock.ready().await.unwrap();
    let mut service = layer_of_boxes(&bulkhead).layer(mock);
    handle.allow(1);
    let taken = bulkhead.admit_owned(Ask::default()).unwrap();
    let mut call = pin!(service.ready().await.unwrap().call(Context::default()));
    assert!(futures::poll!(&mut call).is_pending());
    // What waits has not taken the only turn there is.
    drop(taken);
    assert!(futures::poll!(&mut call).is_pending());
    let (_, respond) = handle.next_request().await.unwrap();
    respond.send_response(());
    assert!(call.await.is_ok());
}

fn layer_of_boxes(bulkhead: &Bulkhead) -> QueuedBulkheadLayer {
    bulkhead.queued_layer()
}

/// Its own permit is settled when the call is over, and the queue goes on.
#[tokio::test(start_paused = true)]
async fn many_calls_over_few_slots_all_get_through_and_never_too_many_at_a_time() {
    let bulkhead = Config::new(slots(3))
        .when_full(WhenFull::Wait {
            max_waiting: 200,
            max_wait: 60 * SECOND,
            order: Order::default(),
        })
        .build()
        .unwrap();
    let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&inside);
    let inner = tower::service_fn(move |context: Context| {
        let counted = Arc::clone(&counted);
        async move {
            use std::sync::atomic::Ordering::SeqCst;
            assert!(counted.fetch_add(1, SeqCst) < 3);
            sleep(10 * MILLI).await;
            counted.fetch_sub(1, SeqCst);
            Ok::<_, Rejected>(context)
        }
    });
    let service = layer(&bulkhead).layer(inner);
    let calls = (0..150).map(|_| service.clone().oneshot(Context::default()));
    let all = futures::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}
