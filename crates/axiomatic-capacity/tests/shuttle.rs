//! Schedules of tasks that wait for slots, over threads: `cargo xtask test
//! --only shuttle`.
#![cfg(axiomatic_shuttle)]

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{
    Admission, Ask, Bulkhead, CoDel, Config, Order, Waiting, WhenFull,
};
use axiomatic_core::Reason;
use axiomatic_core::context::Priority;
use axiomatic_core::time::{Clock, ManualClock};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::{future, thread};

fn slots(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn bulkhead(limit: u32, order: Order) -> Bulkhead {
    Config::new(slots(limit))
        .when_full(WhenFull::Wait {
            max_waiting: 8,
            max_wait: Duration::from_secs(1),
            order,
        })
        .clock(Clock::Manual(ManualClock::new()))
        .build()
        .unwrap()
}

/// Polls once and leaves, unless there was a slot by then.
async fn impatient(mut waiting: Waiting) {
    let once = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut waiting).poll(cx)));
    if let Poll::Ready(permit) = once.await {
        drop(permit.unwrap());
    }
}

/// Five tasks over two slots, of different weights and priorities; two leave.
fn crowd(order: Order) {
    let bulkhead = bulkhead(2, order);
    let inside = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..5u32)
        .map(|number| {
            let (bulkhead, inside) = (bulkhead.clone(), Arc::clone(&inside));
            thread::spawn(move || {
                let weight = 1 + number % 2;
                let ask = Ask::default()
                    .weighing(slots(weight))
                    .with_priority(Priority::from_u8(100 + number as u8));
                future::block_on(async {
                    let permit = match bulkhead.admit_or_wait(ask).unwrap() {
                        Admission::Admitted(permit) => permit,
                        Admission::Waiting(waiting) if number < 2 => {
                            return impatient(waiting).await;
                        }
                        Admission::Waiting(waiting) => waiting.await.unwrap(),
                    };
                    assert!(inside.fetch_add(weight, Ordering::SeqCst) + weight <= 2);
                    future::yield_now().await;
                    inside.fetch_sub(weight, Ordering::SeqCst);
                    drop(permit);
                });
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight(), snapshot.waiting()), (0, 0));
    assert!(bulkhead.admit_weighing(slots(2)).is_ok());
}

#[test]
fn all_who_stay_get_their_slots_and_nothing_is_left() {
    for order in [Order::Fifo, Order::Lifo] {
        shuttle::check_random(move || crowd(order), 3_000);
        shuttle::check_pct(move || crowd(order), 1_000, 3);
    }
}

#[test]
fn limits_that_change_leave_nobody_waiting() {
    let resized = || {
        let bulkhead = bulkhead(1, Order::Fifo);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        let waits = [(); 3].map(|()| {
            let bulkhead = bulkhead.clone();
            thread::spawn(move || {
                future::block_on(async {
                    match bulkhead.admit_or_wait(Ask::default()).unwrap() {
                        Admission::Admitted(permit) => drop(permit),
                        Admission::Waiting(waiting) => drop(waiting.await.unwrap()),
                    }
                });
            })
        });
        for limit in [3, 1, 2] {
            bulkhead.resize(slots(limit));
        }
        drop(taken);
        for task in waits {
            task.join().unwrap();
        }
        assert_eq!(bulkhead.snapshot().in_flight(), 0);
    };
    shuttle::check_random(resized, 3_000);
}

/// Time passes while five wait for one slot: some are overdue, one leaves, and
/// all who stay are told one or the other.
fn overloaded(order: Order) {
    let millis = Duration::from_millis;
    let clock = ManualClock::new();
    let bulkhead = Config::new(slots(1))
        .when_full(WhenFull::Wait {
            max_waiting: 8,
            max_wait: Duration::from_secs(1),
            order,
        })
        .codel(CoDel::new(millis(5), millis(10)).dropping_after(millis(7)))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let inside = Arc::new(AtomicU32::new(0));
    let shed = Arc::new(AtomicU32::new(0));
    let taken = bulkhead.admit_owned(Ask::default()).unwrap();
    let tasks: Vec<_> = (0..5u32)
        .map(|number| {
            let (bulkhead, clock) = (bulkhead.clone(), clock.clone());
            let (inside, shed) = (Arc::clone(&inside), Arc::clone(&shed));
            thread::spawn(move || {
                future::block_on(async {
                    let settled = match bulkhead.admit_or_wait(Ask::default()).unwrap() {
                        Admission::Admitted(permit) => Ok(permit),
                        Admission::Waiting(mut waiting) if number == 0 => {
                            let once = std::future::poll_fn(|cx| {
                                Poll::Ready(Pin::new(&mut waiting).poll(cx))
                            });
                            let Poll::Ready(settled) = once.await else {
                                return;
                            };
                            settled
                        }
                        Admission::Waiting(waiting) => waiting.await,
                    };
                    match settled {
                        Ok(permit) => {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            clock.advance(millis(4));
                            future::yield_now().await;
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                        Err(refused) => {
                            assert_eq!(refused.reason(), Reason::Shed);
                            shed.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            })
        })
        .collect();
    clock.advance(millis(8));
    thread::yield_now();
    clock.advance(millis(8));
    drop(taken);
    for task in tasks {
        task.join().unwrap();
    }
    SHED.fetch_add(
        shed.load(Ordering::SeqCst),
        std::sync::atomic::Ordering::Relaxed,
    );
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight(), snapshot.waiting()), (0, 0));
    assert!(bulkhead.admit().is_ok());
}

/// In all schedules together.
static SHED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[test]
fn who_is_overdue_is_told_so_and_no_slot_goes_with_it() {
    for order in [Order::Fifo, Order::Lifo] {
        shuttle::check_random(move || overloaded(order), 3_000);
        shuttle::check_pct(move || overloaded(order), 1_000, 3);
    }
    let shed = SHED.load(std::sync::atomic::Ordering::Relaxed);
    assert!(shed > 1_000, "only {shed} were overdue");
}

/// What a task that moves must not do: it goes on waiting by the waker that it
/// had before.
struct Deaf(Waiting);

impl Future for Deaf {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let mut deaf = Context::from_waker(Waker::noop());
        Pin::new(&mut self.0).poll(&mut deaf).map(drop)
    }
}

/// The proof that these schedules find a lost wake-up.
#[test]
#[should_panic(expected = "deadlock")]
fn a_lost_wake_up_is_found() {
    let lost = || {
        let bulkhead = bulkhead(1, Order::Fifo);
        let taken = bulkhead.admit_owned(Ask::default()).unwrap();
        let gives_back = thread::spawn(move || drop(taken));
        if let Admission::Waiting(waiting) = bulkhead.admit_or_wait(Ask::default()).unwrap() {
            future::block_on(Deaf(waiting));
        }
        gives_back.join().unwrap();
    };
    shuttle::check_random(lost, 1_000);
}
