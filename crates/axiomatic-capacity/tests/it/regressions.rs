//! What a review found, 2026-11-26, all of the patterns here in one file: most
//! of it lies where two of them meet.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;

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

/// Ten slots, five of them for checkout and two for search, and so three for
/// all.
fn shop() -> [Bulkhead; 3] {
    let shares = Partitions::new(Sharing::Reserved)
        .with("checkout", Ratio::percent(50))
        .with("search", Ratio::percent(20));
    let all = few(10, 4, Order::Fifo, &ManualClock::new())
        .partitions(shares)
        .build()
        .unwrap();
    let within = |name: &'static str| all.within(all.partition(name).unwrap());
    [within("checkout"), within("search"), all]
}

fn take(bulkhead: &Bulkhead, weight: u32) -> axiomatic_capacity::bulkhead::OwnedPermit {
    let ask = Ask::default().weighing(slots(weight));
    bulkhead.admit_owned(ask).unwrap()
}

#[test]
fn who_comes_has_the_place_of_one_whose_time_is_over() {
    let clock = ManualClock::new();
    let bulkhead = few(1, 1, Order::Fifo, &clock).build().unwrap();
    let _taken = bulkhead.admit().unwrap();
    let mut first = place(&bulkhead, Ask::default());
    clock.advance(SECOND);
    let _second = place(&bulkhead, Ask::default());
    let Poll::Ready(Err(told)) = poll(&mut first, &Arc::default()) else {
        panic!("its time is over");
    };
    assert_eq!(told.reason(), Reason::WaitedTooLong);
}

#[test]
fn who_comes_finds_out_all_whose_time_is_over_however_many() {
    let clock = ManualClock::new();
    let bulkhead = few(1, 100, Order::Fifo, &clock).build().unwrap();
    let _taken = bulkhead.admit().unwrap();
    let wakes = Arc::<Wakes>::default();
    let mut places: Vec<_> = (0..100).map(|_| place(&bulkhead, Ask::default())).collect();
    for waits in &mut places {
        assert!(poll(waits, &wakes).is_pending());
    }
    clock.advance(SECOND);
    let _last = place(&bulkhead, Ask::default());
    assert_eq!((wakes.count(), bulkhead.snapshot().waiting()), (100, 1));
}

#[test]
fn what_is_for_all_is_kept_for_the_heavy_one_who_is_next_whatever_the_partition() {
    let [_, search, all] = shop();
    let wakes = Arc::<Wakes>::default();
    let _own = take(&search, 2);
    let mut common = [(); 3].map(|()| Some(take(&all, 1)));
    let mut heavy = place(&all, Ask::default().weighing(slots(3)));
    let mut light = place(&search, Ask::default());
    common[0] = None;
    assert!(poll(&mut light, &wakes).is_pending());
    drop(common);
    let Poll::Ready(Ok(permit)) = poll(&mut heavy, &wakes) else {
        panic!("all three are free");
    };
    assert!(poll(&mut light, &wakes).is_pending());
    drop(permit);
    assert!(poll(&mut light, &wakes).is_ready());
}

#[test]
fn nobody_of_a_partition_passes_by_who_waits_in_it() {
    let [checkout, _, all] = shop();
    let _common = take(&all, 3);
    let _most = take(&checkout, 4);
    let _heavy = place(&checkout, Ask::default().weighing(slots(2)));
    assert!(checkout.admit().is_err(), "the fifth is kept for it");
}

#[test]
fn what_a_partition_had_of_what_is_for_all_reaches_who_waits_in_none() {
    let [_, search, all] = shop();
    let mut greedy = [(); 5].map(|()| Some(take(&search, 1)));
    let mut waits = place(&all, Ask::default());
    greedy[0] = None;
    assert!(poll(&mut waits, &Arc::default()).is_ready());
}

/// A service that does not become ready.
#[derive(Clone)]
struct Never;

impl Service<()> for Never {
    type Response = ();
    type Error = Rejected;
    type Future = std::future::Ready<Result<(), Rejected>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        unreachable!("it is never ready")
    }
}

/// Readiness asks the inner service if a call could have a slot, and only then.
#[test]
fn readiness_knows_guarantees_and_who_waits() {
    let asks_inner = |bulkhead: &Bulkhead| {
        let layer = bulkhead.layer().with_error::<Rejected>();
        let mut cx = task::Context::from_waker(Waker::noop());
        layer.layer(Never).poll_ready(&mut cx).is_pending()
    };
    let alone = still(2, Order::Fifo);
    let _one = take(&alone, 1);
    assert!(asks_inner(&alone));
    let heavy = place(&alone, Ask::default().weighing(slots(2)));
    assert!(!asks_inner(&alone), "the other is kept for the heavy one");
    drop(heavy);
    assert!(asks_inner(&alone));

    let [checkout, search, all] = shop();
    let _common = take(&all, 3);
    assert!(asks_inner(&checkout) && asks_inner(&search) && !asks_inner(&all));
    let _most = take(&checkout, 4);
    assert!(asks_inner(&checkout));
    let _heavy = place(&checkout, Ask::default().weighing(slots(2)));
    assert!(
        !asks_inner(&checkout),
        "the fifth is kept for the heavy one"
    );
    assert!(asks_inner(&search));
}

#[test]
fn nobody_gives_way_to_one_whose_deadline_has_passed() {
    let clock = ManualClock::new();
    let bulkhead = few(1, 1, Order::Lifo, &clock).build().unwrap();
    let _taken = bulkhead.admit().unwrap();
    let mut first = place(&bulkhead, Ask::default());
    let late = Ask::default().with_deadline(Deadline::at(clock.now()));
    assert!(bulkhead.admit_or_wait(late).is_err());
    assert!(poll(&mut first, &Arc::default()).is_pending());
}

#[tokio::test]
async fn one_poll_is_good_for_one_call() {
    let bulkhead = still(2, Order::Fifo);
    let echo = service_fn(|number: u32| async move { Ok::<_, Rejected>(number) });
    let mut service = bulkhead.layer().with_error::<Rejected>().layer(echo);
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    let unasked = service.call(2).await.unwrap_err();
    assert_eq!(unasked.reason(), Reason::NotReady);
}

#[test]
fn a_key_that_was_switched_by_itself_stays_switched() {
    let tenants: KeyedBulkhead<u32> =
        KeyedBulkhead::new(Config::new(slots(1)), slots(4), WhenCrowded::Refuse).unwrap();
    tenants.bulkhead(&7).unwrap().set_mode(Mode::Off);
    assert_eq!(tenants.evict_idle(), 0);
    let both = [(); 2].map(|()| tenants.admit(&7, Ask::default()));
    assert!(both.iter().all(Result::is_ok));
}

#[test]
fn a_new_limit_reaches_who_waits_at_a_key_that_nobody_asks_for() {
    let config = few(1, 4, Order::Fifo, &ManualClock::new());
    let tenants: KeyedBulkhead<u32> =
        KeyedBulkhead::new(config, slots(4), WhenCrowded::Refuse).unwrap();
    let _taken = tenants.admit(&7, Ask::default()).unwrap();
    let Ok(Admission::Waiting(mut waits)) = tenants.admit_or_wait(&7, Ask::default()) else {
        panic!("there is no slot");
    };
    tenants.resize(slots(2));
    assert!(poll(&mut waits, &Arc::default()).is_ready());
}

/// Which calls fail soon, and which after long, where half take 10 ms.
fn soon_and_long(told: &Told, algorithm: impl LimitAlgorithm + 'static) -> Vec<(u64, u64)> {
    let clock = ManualClock::new();
    let limit = adaptive::Config::new(algorithm)
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let call = |takes, outcome| {
        let permit = limit.admit(clock.now()).unwrap();
        clock.advance(takes);
        permit.record(clock.now(), outcome);
    };
    limit.admit(clock.now()).unwrap().cancelled(clock.now());
    (0..10).for_each(|_| call(10 * MILLI, Outcome::Success));
    (0..10).for_each(|_| call(9 * MILLI, Outcome::Transient));
    call(15 * MILLI, Outcome::Transient);
    (0..10).for_each(|_| call(25 * MILLI, Outcome::Transient));
    let samples = told.0.lock().unwrap();
    let counts = samples.iter().map(|sample| (sample.failed, sample.dropped));
    counts.collect()
}

#[test]
fn long_is_the_median_and_nothing_is_while_nobody_knows() {
    let told = Told::default();
    let counted = soon_and_long(&told, told.clone());
    assert_eq!(counted, [(0, 0), (10, 1), (0, 10)]);
}

/// What calls take that meet nobody is known to some algorithms. Where calls
/// queue, twice that is a better word for long than any median.
#[derive(Debug)]
struct Knowing(Told);

impl LimitAlgorithm for Knowing {
    fn initial(&self) -> u32 {
        self.0.initial()
    }

    fn step(&mut self, sample: &Sample) -> Step {
        self.0.step(sample)
    }

    fn baseline(&self) -> Option<Duration> {
        Some(12 * MILLI)
    }
}

#[test]
fn long_is_twice_what_a_call_takes_that_meets_nobody_where_that_is_known() {
    let told = Told::default();
    let counted = soon_and_long(&told, Knowing(told.clone()));
    assert_eq!(counted, [(0, 0), (11, 0), (0, 10)]);
}

#[test]
fn in_shadow_too_an_algorithm_is_told_who_would_be_turned_away() {
    let told = Told::default();
    let clock = ManualClock::new();
    let limit = adaptive::Config::new(told.clone())
        .mode(Mode::Shadow)
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let all: Vec<_> = (0..10).map(|_| limit.admit(clock.now()).unwrap()).collect();
    clock.advance(SECOND);
    for permit in all {
        permit.record(clock.now(), Outcome::Success);
    }
    let samples = told.0.lock().unwrap();
    let sample = samples.last().unwrap();
    assert_eq!((sample.turned_away, sample.most_in_flight), (5, 5));
}

#[tokio::test]
async fn where_no_instance_becomes_ready_the_slot_is_given_back_at_once() {
    #[derive(Clone)]
    struct Failed;
    impl Service<()> for Failed {
        type Response = ();
        type Error = Box<dyn std::error::Error + Send + Sync>;
        type Future = std::future::Ready<Result<(), Self::Error>>;

        fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Err("no".into()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            unreachable!("it is never ready")
        }
    }
    let bulkhead = still(1, Order::Fifo);
    let mut service = bulkhead.queued_layer().layer(Failed);
    let mut call = std::pin::pin!(service.ready().await.unwrap().call(()));
    assert!(call.as_mut().await.is_err());
    // The future is still there.
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

/// Or the timer would wake a task that is out of budget, again and again.
#[tokio::test(start_paused = true)]
async fn one_who_waits_is_not_woken_for_a_budget_that_is_spent() {
    let bulkhead = Config::new(slots(1))
        .when_full(waiting(Order::Fifo))
        .build()
        .unwrap();
    let _taken = bulkhead.admit().unwrap();
    let echo = service_fn(|number: u32| async move { Ok::<_, Rejected>(number) });
    let mut service = bulkhead.queued_layer().with_error::<Rejected>().layer(echo);
    let mut call = Box::pin(service.ready().await.unwrap().call(1));
    while futures::poll!(std::pin::pin!(tokio::task::coop::consume_budget())).is_ready() {}
    let wakes = Arc::<Wakes>::default();
    assert!(poll(&mut call, &wakes).is_pending());
    // The runtime wakes such a task when this one yields.
    tokio::task::yield_now().await;
    assert_eq!(wakes.count(), 0);
}
