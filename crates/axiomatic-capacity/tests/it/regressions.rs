//! What a review found, 2026-11-26.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{self, Poll, Wake, Waker};

use axiomatic_capacity::adaptive::{self, LimitAlgorithm, Sample, Step, Why};
use axiomatic_capacity::bulkhead::{
    Admission, Ask, Bulkhead, Config, KeyedBulkhead, Order, Partitions, Sharing, Waiting, WhenFull,
};
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::keyed::WhenFull as WhenCrowded;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Mode, Outcome, Ratio, Reason, Rejected};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{MILLI, SECOND, Wakes, place, poll, slots, still, waiting};

/// Wakes by calling a function, in the thread that wakes.
struct Inline<F: Fn() + Send + Sync + 'static>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Inline<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn poll_by(waiting: &mut Waiting, wake: impl Fn() + Send + Sync + 'static) {
    let waker = Waker::from(Arc::new(Inline(wake)));
    let polled = Pin::new(waiting).poll(&mut task::Context::from_waker(&waker));
    assert!(polled.is_pending());
}

fn few(limit: u32, max_waiting: u32, order: Order, clock: &ManualClock) -> Config {
    Config::new(slots(limit))
        .when_full(WhenFull::Wait {
            max_waiting,
            max_wait: SECOND,
            order,
        })
        .clock(Clock::Manual(clock.clone()))
}

#[test]
fn in_shadow_a_key_refuses_nobody_that_is_heavy_and_has_nobody_wait() {
    let config = few(2, 4, Order::Fifo, &ManualClock::new()).mode(Mode::Shadow);
    let tenants: KeyedBulkhead<u32> =
        KeyedBulkhead::new(config, slots(4), WhenCrowded::Refuse).unwrap();
    let _light = tenants.admit(&1, Ask::default()).unwrap();
    let heavy = Ask::default().weighing(slots(2));
    let passed = tenants.admit(&1, heavy);
    assert!(passed.is_ok(), "{passed:?}");
    let passed = tenants.admit_or_wait(&1, heavy);
    assert!(matches!(passed, Ok(Admission::Admitted(_))), "{passed:?}");
    assert_eq!(tenants.would_refuse(), 2);
    let key = tenants.bulkhead(&1).unwrap().snapshot();
    assert_eq!((key.in_flight(), key.refused(), key.waiting()), (1, 0, 0));
}

#[tokio::test]
async fn a_dropped_call_gives_its_slot_back_after_the_inner_call_is_gone() {
    struct Inner(Bulkhead, Arc<Mutex<Vec<u32>>>);
    impl Drop for Inner {
        fn drop(&mut self) {
            let seen = self.0.snapshot().in_flight();
            self.1.lock().unwrap().push(seen);
        }
    }
    let bulkhead = still(1, Order::Fifo);
    let seen = Arc::<Mutex<Vec<u32>>>::default();
    let (inside, noted) = (bulkhead.clone(), Arc::clone(&seen));
    let inner = service_fn(move |(): ()| {
        let held = Inner(inside.clone(), Arc::clone(&noted));
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, Rejected>(())
        }
    });
    let mut direct = bulkhead
        .layer()
        .with_error::<Rejected>()
        .layer(inner.clone());
    let mut call = Box::pin(direct.ready().await.unwrap().call(()));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    let mut queued = bulkhead
        .queued_layer()
        .with_error::<Rejected>()
        .layer(inner);
    let mut call = Box::pin(queued.ready().await.unwrap().call(()));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    assert_eq!(*seen.lock().unwrap(), [1, 1]);
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

/// Goes from one slot to two.
#[derive(Debug)]
struct Up;

impl LimitAlgorithm for Up {
    fn initial(&self) -> u32 {
        1
    }

    fn step(&mut self, _: &Sample) -> Step {
        Step {
            limit: 2,
            why: Why::Growing,
        }
    }
}

#[test]
fn one_who_is_woken_by_a_new_limit_may_look_at_the_limit() {
    let clock = ManualClock::new();
    let limit = adaptive::Config::new(Up)
        .when_full(waiting(Order::Fifo))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..9 {
            let permit = limit.admit(clock.now()).unwrap();
            permit.record(clock.now(), Outcome::Success);
        }
        let last = limit.admit(clock.now()).unwrap();
        let Ok(adaptive::Admission::Waiting(mut waits)) = limit.admit_or_wait(Ask::default())
        else {
            panic!("the slot is taken");
        };
        let seen = limit.clone();
        let waker = Waker::from(Arc::new(Inline(move || drop(seen.snapshot()))));
        let polled = Pin::new(&mut waits).poll(&mut task::Context::from_waker(&waker));
        assert!(polled.is_pending());
        clock.advance(SECOND);
        last.record(clock.now(), Outcome::Success);
        done.send(limit.limit()).unwrap();
    });
    assert_eq!(is_done.recv_timeout(10 * SECOND), Ok(2));
}

#[test]
fn a_waker_that_panics_takes_nobody_elses_slot() {
    let clock = ManualClock::new();
    let bulkhead = few(1, 4, Order::Fifo, &clock).build().unwrap();
    let taken = bulkhead.admit_owned(Ask::default()).unwrap();
    let soon = Deadline::at(clock.now() + MILLI);
    let mut expires = place(&bulkhead, Ask::default().with_deadline(soon));
    poll_by(&mut expires, || panic!("on purpose"));
    clock.advance(MILLI);
    // Who comes finds that it has expired, and wakes it.
    let came = catch_unwind(AssertUnwindSafe(|| bulkhead.admit_or_wait(Ask::default())));
    drop(came);
    assert_eq!(bulkhead.snapshot().waiting(), 0);
    drop(taken);
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
    assert!(bulkhead.admit().is_ok());
}

#[test]
fn a_waker_that_panics_leaves_nobody_waiting_where_there_are_slots() {
    let bulkhead = still(1, Order::Fifo);
    let taken = bulkhead.admit().unwrap();
    let woken = Arc::<AtomicUsize>::default();
    let mut places: Vec<_> = (0..90).map(|_| place(&bulkhead, Ask::default())).collect();
    for (number, waits) in places.iter_mut().enumerate() {
        let woken = Arc::clone(&woken);
        poll_by(waits, move || {
            woken.fetch_add(1, Ordering::Relaxed);
            assert!(number % 5 > 0, "on purpose");
        });
    }
    let resized = catch_unwind(AssertUnwindSafe(|| bulkhead.resize(slots(100))));
    drop(resized);
    assert_eq!(bulkhead.snapshot().waiting(), 0);
    assert_eq!(woken.load(Ordering::Relaxed), 90);
    drop(taken);
}

#[test]
fn a_partition_of_another_bulkhead_waits_among_those_of_none() {
    let clock = ManualClock::new();
    let shares = Partitions::new(Sharing::Reserved).with("theirs", Ratio::percent(50));
    let theirs = few(2, 4, Order::Fifo, &clock)
        .partitions(shares)
        .build()
        .unwrap();
    let ours = few(1, 4, Order::Fifo, &clock).build().unwrap();
    let lost = ours.within(theirs.partition("theirs").unwrap());
    let taken = lost.admit().unwrap();
    let mut waits = place(&lost, Ask::default());
    drop(taken);
    assert!(poll(&mut waits, &Arc::default()).is_ready());
    assert_eq!(ours.snapshot().in_flight(), 0);
}

#[test]
fn a_flood_that_nobody_hears_of_takes_no_other_partitions_places() {
    let clock = ManualClock::new();
    let shares = Partitions::new(Sharing::Reserved)
        .with("flood", Ratio::percent(50))
        .with("calm", Ratio::percent(50));
    let bulkhead = few(2, 2, Order::Lifo, &clock)
        .partitions(shares)
        .build()
        .unwrap();
    let [flood, calm] =
        ["flood", "calm"].map(|name| bulkhead.within(bulkhead.partition(name).unwrap()));
    let _taken = [flood.admit().unwrap(), calm.admit().unwrap()];
    // All join before any of them is polled, as in one burst of a task.
    let _burst: Vec<_> = (0..50)
        .map(|_| flood.admit_or_wait(Ask::default()))
        .collect();
    // Neither do those whose time is over.
    clock.advance(2 * SECOND);
    let _burst: Vec<_> = (0..50)
        .map(|_| flood.admit_or_wait(Ask::default()))
        .collect();
    clock.advance(2 * SECOND);
    let _burst: Vec<_> = (0..50)
        .map(|_| flood.admit_or_wait(Ask::default()))
        .collect();
    drop(place(&calm, Ask::default()));
}

#[test]
fn in_a_burst_who_matters_more_finds_a_place_however_many_gave_way() {
    let bulkhead = few(1, 2, Order::Lifo, &ManualClock::new()).build().unwrap();
    let taken = bulkhead.admit().unwrap();
    let mut burst: Vec<_> = (0..20).map(|_| place(&bulkhead, Ask::default())).collect();
    let critical = Ask::default().with_priority(Priority::CRITICAL_PLUS);
    let mut matters = place(&bulkhead, critical);
    let wakes = Arc::<Wakes>::default();
    let told: Vec<_> = burst.iter_mut().map(|one| poll(one, &wakes)).collect();
    for (number, told) in told.into_iter().enumerate() {
        match told {
            Poll::Ready(Err(refused)) => assert_eq!(refused.reason(), Reason::QueueFull),
            Poll::Ready(Ok(_)) => panic!("there is no slot"),
            Poll::Pending => assert_eq!(number, 19),
        }
    }
    drop(taken);
    assert!(poll(&mut matters, &wakes).is_ready());
    assert!(poll(&mut burst[19], &wakes).is_ready());
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

#[test]
fn who_is_served_first_is_woken_first() {
    let bulkhead = still(1, Order::Fifo);
    let _taken = bulkhead.admit().unwrap();
    let order = Arc::<Mutex<Vec<usize>>>::default();
    let mut places: Vec<_> = (0..70).map(|_| place(&bulkhead, Ask::default())).collect();
    for (number, waits) in places.iter_mut().enumerate() {
        let order = Arc::clone(&order);
        poll_by(waits, move || order.lock().unwrap().push(number));
    }
    bulkhead.resize(slots(100));
    assert_eq!(*order.lock().unwrap(), (0..70).collect::<Vec<_>>());
}

/// Keeps what it was told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Sample>>>, u32);

impl LimitAlgorithm for Told {
    fn initial(&self) -> u32 {
        5
    }

    fn step(&mut self, sample: &Sample) -> Step {
        self.0.lock().unwrap().push(*sample);
        Step {
            limit: if self.1 > 0 { self.1 } else { 5 },
            why: Why::Steady,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reserved_slot_that_was_idle_is_no_part_of_what_the_call_takes() {
    let told = Told::default();
    let limit = adaptive::Config::new(told.clone()).build().unwrap();
    let sleepy = service_fn(|(): ()| async {
        tokio::time::sleep(10 * MILLI).await;
        Ok::<_, Rejected>(())
    });
    let mut service = limit
        .reserving_layer()
        .with_error::<Rejected>()
        .layer(sleepy);
    for _ in 0..10 {
        service.ready().await.unwrap();
        tokio::time::advance(SECOND).await;
        service.call(()).await.unwrap();
    }
    let samples = told.0.lock().unwrap();
    let median = samples.last().unwrap().median.unwrap();
    assert!(median < 12 * MILLI, "{median:?}");
}

#[test]
fn a_limit_beyond_the_most_is_told_as_the_most() {
    let told = Told(Arc::default(), u32::MAX);
    let clock = ManualClock::new();
    let limit = adaptive::Config::new(told.clone())
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    for _ in 0..10 {
        let permit = limit.admit(clock.now()).unwrap();
        clock.advance(SECOND);
        permit.record(clock.now(), Outcome::Success);
    }
    assert_eq!(limit.limit(), Config::MOST);
}

#[test]
fn a_key_whose_limit_was_changed_by_itself_keeps_it() {
    let tenants: KeyedBulkhead<u32> =
        KeyedBulkhead::new(Config::new(slots(1)), slots(4), WhenCrowded::Refuse).unwrap();
    tenants.bulkhead(&7).unwrap().resize(slots(3));
    assert_eq!(tenants.evict_idle(), 0);
    assert_eq!(tenants.bulkhead(&7).unwrap().snapshot().limit(), 3);
    // Until all keys are given another.
    tenants.resize(slots(u32::MAX));
    assert_eq!(
        tenants.bulkhead(&7).unwrap().snapshot().limit(),
        Config::MOST
    );
    assert_eq!(tenants.evict_idle(), 1);
}

/// Destructors of a thread's locals run when its number may be another's, who
/// writes the counts of that number by plain stores.
#[test]
fn a_thread_that_ends_counts_on_no_line_of_anothers() {
    struct Last(std::cell::Cell<Option<Box<dyn FnOnce()>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(last) = self.0.take() {
                last();
            }
        }
    }
    thread_local!(static LAST: Last = const { Last(std::cell::Cell::new(None)) });
    let (say, said) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let ends = std::thread::spawn(move || {
        // Registered before the number is claimed, so dropped after it is
        // given back.
        LAST.with(|last| {
            last.0.set(Some(Box::new(move || {
                say.send(axiomatic_core::sync::thread_index()).unwrap();
                goes.recv().unwrap();
            })));
        });
        axiomatic_core::sync::thread_index()
    });
    let late = said.recv().unwrap();
    let barrier = std::sync::Barrier::new(8);
    let alive: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let index = axiomatic_core::sync::thread_index();
                    barrier.wait();
                    index
                })
            })
            .collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    go.send(()).unwrap();
    ends.join().unwrap();
    assert!(!alive.contains(&late), "{late} in {alive:?}");
}
