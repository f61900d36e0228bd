//! Queues that stand: for how long, who leaves them, who is served.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axiomatic_capacity::adaptive::{self, AdaptiveLimit};
use axiomatic_capacity::bulkhead::{
    Admission, Ask, Bulkhead, CoDel, Config, ConfigError, Order, OwnedPermit, Partitions, Sharing,
    Waiting, WhenFull,
};
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Context, Ratio, Reason, Rejected};
use proptest::prelude::*;
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Carried, Held, MILLI, SECOND, Wakes, place, poll, slots, waiting};

/// Overloaded after 50 ms with a wait of 10 ms, and then left after 20 ms.
fn codel() -> CoDel {
    CoDel::new(10 * MILLI, 50 * MILLI)
}

fn config(order: Order) -> Config {
    Config::new(slots(1))
        .named("pool")
        .when_full(waiting(order))
        .codel(codel())
}

/// One whose clock is moved by hand.
fn by_hand(order: Order) -> (Bulkhead, ManualClock) {
    let clock = ManualClock::new();
    let config = config(order).clock(Clock::Manual(clock.clone()));
    (config.build().unwrap(), clock)
}

/// What became of one that waits, if that is known.
fn told(waiting: &mut Waiting) -> Option<Result<OwnedPermit, Reason>> {
    match poll(waiting, &Arc::default()) {
        Poll::Ready(settled) => Some(settled.map_err(|rejected| rejected.reason())),
        Poll::Pending => None,
    }
}

fn is_shed(waiting: &mut Waiting) -> bool {
    matches!(told(waiting), Some(Err(Reason::Shed)))
}

/// How a call went.
#[derive(Clone, Copy, Debug)]
struct Went {
    priority: Priority,
    /// How long it waited until it was served or refused.
    waited: Duration,
    became: Result<(), Reason>,
}

type Log = Rc<RefCell<Vec<Went>>>;

/// Calls that take 2 ms each, one at a time, and how each of them went.
struct Traffic {
    bulkhead: Bulkhead,
    calls: tokio::task::LocalSet,
    log: Log,
}

impl Traffic {
    fn through(bulkhead: Bulkhead) -> Self {
        Traffic {
            bulkhead,
            calls: tokio::task::LocalSet::new(),
            log: Log::default(),
        }
    }

    fn call(&self, priority: Priority) {
        let came = tokio::time::Instant::now();
        let (served, log) = (Rc::clone(&self.log), Rc::clone(&self.log));
        let inner = service_fn(move |_: Context| {
            served.borrow_mut().push(Went {
                priority,
                waited: came.elapsed(),
                became: Ok(()),
            });
            async {
                sleep(2 * MILLI).await;
                Ok::<_, Rejected>(())
            }
        });
        let layer = self.bulkhead.queued_layer();
        let service = layer.with_error().with_binding(Carried).layer(inner);
        let call = service.oneshot(Context::default().with_priority(priority));
        self.calls.spawn_local(async move {
            if let Err(rejected) = call.await {
                log.borrow_mut().push(Went {
                    priority,
                    waited: came.elapsed(),
                    became: Err(rejected.reason()),
                });
            }
        });
    }

    /// A call in each millisecond of so many: twice what can be served.
    async fn overload(&self, millis: u32) {
        for _ in 0..millis {
            self.call(Priority::CRITICAL);
            self.calls.run_until(sleep(MILLI)).await;
        }
    }

    fn take_log(&self) -> Vec<Went> {
        self.log.take()
    }
}

fn waits_of_served(log: &[Went]) -> Vec<Duration> {
    let served = log.iter().filter(|one| one.became.is_ok());
    let mut waits: Vec<_> = served.map(|one| one.waited).collect();
    waits.sort();
    waits
}

fn refused(log: &[Went]) -> Vec<Went> {
    let refused = log.iter().filter(|one| one.became.is_err());
    refused.copied().collect()
}

#[tokio::test(start_paused = true)]
async fn in_an_overload_nobody_is_served_who_has_waited_longer_than_the_drop_age() {
    let traffic = Traffic::through(config(Order::Fifo).build().unwrap());
    traffic.overload(100).await;
    let begin = waits_of_served(&traffic.take_log());
    assert!(*begin.last().unwrap() < 60 * MILLI, "{begin:?}");
    assert!(traffic.bulkhead.snapshot().is_overloaded());

    traffic.overload(1_000).await;
    let log = traffic.take_log();
    let waits = waits_of_served(&log);
    assert!(*waits.last().unwrap() < 20 * MILLI, "{waits:?}");
    // Nothing that could be served was left undone.
    assert!((499..=501).contains(&waits.len()), "{}", waits.len());
    let refused = refused(&log);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert!(refused.iter().all(|one| one.waited <= 21 * MILLI));
    assert!(refused.len() >= 490);
}

/// The same without, for comparison.
#[tokio::test(start_paused = true)]
async fn without_controlled_delay_everybody_waits_as_long_as_anybody_can() {
    let bulkhead = Config::new(slots(1)).when_full(waiting(Order::Fifo));
    let traffic = Traffic::through(bulkhead.build().unwrap());
    traffic.overload(1_000).await;
    let waits = waits_of_served(&traffic.take_log());
    assert!(waits[waits.len() / 2] > 80 * MILLI, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_drains_within_the_interval_loses_nobody() {
    // The last of 28 is served after 54 ms: none is old for longer than 44 ms.
    let traffic = Traffic::through(config(Order::Fifo).build().unwrap());
    (0..28).for_each(|_| traffic.call(Priority::CRITICAL));
    traffic.calls.run_until(sleep(200 * MILLI)).await;
    assert_eq!(waits_of_served(&traffic.take_log()).len(), 28);

    // Of 40, those are refused who are there after 60 ms.
    (0..40).for_each(|_| traffic.call(Priority::CRITICAL));
    traffic.calls.run_until(sleep(200 * MILLI)).await;
    let log = traffic.take_log();
    let served = waits_of_served(&log).len();
    assert!((29..=31).contains(&served), "{served}");
    let refused = refused(&log);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert_eq!(refused.len(), 40 - served);
}

#[tokio::test(start_paused = true)]
async fn who_comes_last_is_served_at_once_and_who_came_first_is_not_left_to_wait() {
    let adaptive = Order::Adaptive {
        standing: 30 * MILLI,
    };
    let traffic = Traffic::through(config(adaptive).build().unwrap());
    traffic.overload(100).await;
    traffic.take_log();
    traffic.overload(1_000).await;
    let log = traffic.take_log();
    let waits = waits_of_served(&log);
    assert!(waits[waits.len() * 9 / 10] <= 2 * MILLI, "{waits:?}");
    assert!(*waits.last().unwrap() < 20 * MILLI, "{waits:?}");
    assert!((499..=501).contains(&waits.len()), "{}", waits.len());
    // By the sojourn of those who are served, there would be no overload.
    assert!(traffic.bulkhead.is_overloaded());
    let refused = refused(&log);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert!(refused.iter().all(|one| one.waited <= 21 * MILLI));
    assert!(traffic.bulkhead.snapshot().waiting() <= 22);
}

#[tokio::test(start_paused = true)]
async fn what_matters_least_ages_out_while_what_matters_is_served() {
    let traffic = Traffic::through(config(Order::Fifo).build().unwrap());
    // All that can be served is critical, and batch work comes on top.
    for round in 0..200 {
        traffic.call(Priority::CRITICAL);
        if round % 4 == 0 {
            traffic.call(Priority::SHEDDABLE);
        }
        traffic.calls.run_until(sleep(2 * MILLI)).await;
    }
    assert!(traffic.bulkhead.is_overloaded());
    let log = traffic.take_log();
    let (critical, batch): (Vec<_>, Vec<_>) = log
        .into_iter()
        .partition(|one| one.priority == Priority::CRITICAL);
    let waits = waits_of_served(&critical);
    assert_eq!(waits.len(), critical.len());
    assert!(waits.len() >= 198, "{}", waits.len());
    assert!(*waits.last().unwrap() <= 4 * MILLI, "{waits:?}");
    let refused = refused(&batch);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert!(refused.len() >= 45, "{}", refused.len());
}

/// Nobody comes and nobody goes: the calls' own timers see to it.
#[tokio::test(start_paused = true)]
async fn calls_behind_a_stuck_one_leave_when_they_are_overdue_although_nothing_happens() {
    let bulkhead = config(Order::Fifo).build().unwrap();
    let _stuck = bulkhead.admit().unwrap();
    let layer = bulkhead.queued_layer().with_error::<Rejected>();
    let held = Held::new();
    let service = layer.with_binding(Carried).layer(held.service());
    let begun = tokio::time::Instant::now();
    let after = |comes: u32, deadline: Option<u32>| {
        let service = service.clone();
        async move {
            sleep(comes * MILLI).await;
            let context = match deadline {
                None => Context::default(),
                Some(millis) => Context::default()
                    .with_deadline(Deadline::at(Clock::Precise.now() + millis * MILLI)),
            };
            let refused = service.oneshot(context).await.unwrap_err();
            (refused.reason(), begun.elapsed().as_millis())
        }
    };
    let all = [
        after(0, None),
        after(25, None),
        after(45, None),
        after(57, None),
        after(57, Some(9)),
        after(57, Some(15)),
        after(120, None),
    ];
    assert_eq!(
        futures::future::join_all(all).await,
        [
            // The first is old from 10 ms on, and the queue overloaded from 60
            // ms on. The third is old then, and leaves after 20 ms.
            (Reason::Shed, 60),
            (Reason::Shed, 60),
            (Reason::Shed, 65),
            // After it nobody is old, until the next one is after 67 ms.
            (Reason::Shed, 117),
            (Reason::Expired, 66),
            (Reason::Expired, 72),
            (Reason::Shed, 180),
        ]
    );
    assert_eq!(bulkhead.snapshot().refused(), 7);
    assert_eq!(bulkhead.queue_delay(), Duration::ZERO);
}

/// The timer is the one that is right: asked again by a clock that lags, the
/// call would set the same timer for ever.
#[tokio::test(start_paused = true)]
async fn a_clock_that_lags_by_a_tick_keeps_no_call_in_an_overloaded_queue() {
    fn lagging() -> Instant {
        Instant::from_nanos(Clock::Precise.now().as_nanos() - 4_000_000)
    }
    let config = config(Order::Fifo).clock(Clock::Source(lagging));
    let bulkhead = config.build().unwrap();
    let _stuck = bulkhead.admit().unwrap();
    let layer = bulkhead.queued_layer().with_error::<Rejected>();
    let held = Held::new();
    let begun = tokio::time::Instant::now();
    let call = layer.layer(held.service()).oneshot(());
    assert_eq!(call.await.unwrap_err().reason(), Reason::Shed);
    assert!(begun.elapsed() >= 56 * MILLI);
}

#[test]
fn who_leaves_does_not_age_any_more() {
    let (bulkhead, clock) = by_hand(Order::Fifo);
    let _taken = bulkhead.admit().unwrap();
    let first = place(&bulkhead, Ask::default());
    clock.advance(30 * MILLI);
    let second = place(&bulkhead, Ask::default());
    clock.advance(25 * MILLI);
    let mut third = place(&bulkhead, Ask::default());
    assert_eq!(bulkhead.queue_delay(), 55 * MILLI);
    // 25 ms old is old, so this is no break.
    drop(first);
    assert_eq!(bulkhead.queue_delay(), 25 * MILLI);
    assert!(!bulkhead.is_overloaded());
    clock.advance(5 * MILLI);
    assert!(bulkhead.is_overloaded());
    // But 5 ms are.
    drop(second);
    assert_eq!(bulkhead.queue_delay(), 5 * MILLI);
    assert!(!bulkhead.is_overloaded());
    clock.advance(54 * MILLI);
    assert!(!bulkhead.is_overloaded());
    assert!(told(&mut third).is_none());
    clock.advance(MILLI);
    assert!(bulkhead.is_overloaded());
    drop(third);
    assert_eq!(bulkhead.queue_delay(), Duration::ZERO);
    assert!(!bulkhead.is_overloaded());
    let _fourth = place(&bulkhead, Ask::default());
    assert!(!bulkhead.is_overloaded());
}

#[test]
fn all_who_are_overdue_are_woken_and_none_of_them_gets_the_slot() {
    let (bulkhead, clock) = by_hand(Order::Lifo);
    let taken = bulkhead.admit().unwrap();
    let wakes = Arc::<Wakes>::default();
    let mut overdue: Vec<_> = (0..30).map(|_| place(&bulkhead, Ask::default())).collect();
    for waiting in &mut overdue {
        assert!(poll(waiting, &wakes).is_pending());
    }
    clock.advance(45 * MILLI);
    let mut young = place(&bulkhead, Ask::default());
    clock.advance(15 * MILLI);
    assert_eq!(wakes.count(), 0);
    drop(taken);
    assert_eq!(wakes.count(), 30);
    assert!(overdue.iter_mut().all(is_shed));
    assert!(matches!(told(&mut young), Some(Ok(_))));
    assert_eq!(bulkhead.snapshot().refused(), 30);
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

#[test]
fn who_comes_has_the_place_of_one_who_is_overdue_however_many_are() {
    let clock = ManualClock::new();
    let shares = Partitions::new(Sharing::Reserved).with("a", Ratio::ZERO);
    let bulkhead = Config::new(slots(1))
        .partitions(shares)
        .when_full(WhenFull::Wait {
            max_waiting: 20,
            max_wait: SECOND,
            order: Order::Fifo,
        })
        .codel(codel())
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let within = bulkhead.within(bulkhead.partition("a").unwrap());
    let _taken = bulkhead.admit().unwrap();
    let wakes = Arc::<Wakes>::default();
    let mut all: Vec<_> = [&bulkhead, &within]
        .into_iter()
        .flat_map(|line| (0..20).map(|_| place(line, Ask::default())))
        .collect();
    for waiting in &mut all {
        assert!(poll(waiting, &wakes).is_pending());
    }
    let refused = within.admit_or_wait(Ask::default()).unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull);
    clock.advance(60 * MILLI);
    let mut newcomer = place(&within, Ask::default());
    assert!(told(&mut newcomer).is_none());
    assert_eq!(wakes.count(), 40);
    assert!(all.iter_mut().all(is_shed));
}

#[test]
fn it_is_known_how_soon_one_is_served_after_the_other_and_who_comes_before() {
    let (bulkhead, clock) = by_hand(Order::Fifo);
    let bulkhead = &bulkhead;
    let estimated = |priority| bulkhead.estimated_wait(priority);
    let mut taken = Some(bulkhead.admit_owned(Ask::default()).unwrap());
    let mut places: Vec<_> = (0..4).map(|_| place(bulkhead, Ask::default())).collect();
    let sheddable = Ask::default().with_priority(Priority::SHEDDABLE);
    let _last = [place(bulkhead, sheddable), place(bulkhead, sheddable)];
    assert_eq!(estimated(Priority::CRITICAL), Duration::ZERO);
    let mut serve = |millis: u32| {
        clock.advance(millis * MILLI);
        drop(taken.take());
        taken = Some(told(&mut places.remove(0)).unwrap().unwrap());
    };
    serve(1);
    assert_eq!(estimated(Priority::CRITICAL), Duration::ZERO);
    serve(8);
    assert_eq!(estimated(Priority::CRITICAL), 3 * 8 * MILLI);
    serve(16);
    // 8 ms and an eighth of the difference.
    assert_eq!(estimated(Priority::CRITICAL), 2 * 9 * MILLI);
    assert_eq!(estimated(Priority::SHEDDABLE), 4 * 9 * MILLI);
    assert_eq!(estimated(Priority::CRITICAL_PLUS), 9 * MILLI);
    assert_eq!(bulkhead.queue_delay(), 25 * MILLI);
}

#[test]
fn while_nobody_waits_there_is_no_pace() {
    let (bulkhead, clock) = by_hand(Order::Fifo);
    let mut taken = Some(bulkhead.admit_owned(Ask::default()).unwrap());
    for _ in 0..2 {
        let mut waiting = [(); 3].map(|()| place(&bulkhead, Ask::default()));
        for waiting in &mut waiting[..2] {
            clock.advance(4 * MILLI);
            drop(taken.take());
            taken = Some(told(waiting).unwrap().unwrap());
        }
        // Also after a pause of a second.
        assert_eq!(bulkhead.estimated_wait(Priority::CRITICAL), 8 * MILLI);
        drop(waiting);
        assert_eq!(bulkhead.estimated_wait(Priority::CRITICAL), Duration::ZERO);
        clock.advance(SECOND);
    }
}

#[test]
fn a_snapshot_says_how_old_the_oldest_is_and_whether_it_is_an_overload() {
    let (bulkhead, clock) = by_hand(Order::Fifo);
    let taken = bulkhead.admit().unwrap();
    let _first = place(&bulkhead, Ask::default());
    clock.advance(40 * MILLI);
    let _second = place(&bulkhead, Ask::default());
    assert_eq!(
        bulkhead.snapshot().to_string(),
        "bulkhead pool: 1 of 1 in flight, 2 wait since 40.0ms, the oldest for 40.0ms, 0 refused"
    );
    clock.advance(20 * MILLI);
    let snapshot = bulkhead.snapshot();
    assert!(snapshot.is_overloaded());
    assert_eq!(snapshot.queue_delay(), 60 * MILLI);
    assert_eq!(
        snapshot.to_string(),
        "bulkhead pool: 1 of 1 in flight, 2 wait since 60.0ms, the oldest for 60.0ms, \
         overloaded, 0 refused"
    );
    drop(taken);
    assert_eq!(
        bulkhead.snapshot().to_string(),
        "bulkhead pool: 0 of 1 in flight, 0 refused"
    );
}

#[derive(Debug)]
struct One;

impl adaptive::LimitAlgorithm for One {
    fn initial(&self) -> u32 {
        1
    }

    fn step(&mut self, _: &adaptive::Sample) -> adaptive::Step {
        adaptive::Step {
            limit: 1,
            why: adaptive::Why::Growing,
        }
    }
}

#[test]
fn an_adaptive_limit_sheds_who_is_overdue_too() {
    let clock = ManualClock::new();
    let limit: AdaptiveLimit = adaptive::Config::new(One)
        .when_full(waiting(Order::Fifo))
        .codel(codel())
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let taken = limit.admit(clock.now()).unwrap();
    let asked = limit.admit_or_wait(Ask::default()).unwrap();
    let adaptive::Admission::Waiting(mut waiting) = asked else {
        panic!("there is no slot");
    };
    clock.advance(60 * MILLI);
    assert!(limit.is_overloaded() && limit.snapshot().is_overloaded());
    assert_eq!(limit.queue_delay(), 60 * MILLI);
    assert_eq!(limit.estimated_wait(Priority::CRITICAL), Duration::ZERO);
    drop(taken);
    let Poll::Ready(Err(refused)) = poll(&mut waiting, &Arc::default()) else {
        panic!("it is overdue");
    };
    assert_eq!(refused.reason(), Reason::Shed);
}

#[test]
fn controlled_delay_that_cannot_work_is_refused_by_name() {
    let error = |codel| {
        let config = Config::new(slots(1)).when_full(waiting(Order::Fifo));
        config.codel(codel).build().err()
    };
    assert_eq!(error(CoDel::default()), None);
    assert_eq!(error(CoDel::new(MILLI, MILLI)), None);
    let no_target = CoDel::new(Duration::ZERO, MILLI);
    assert_eq!(error(no_target), Some(ConfigError::Target));
    let short = CoDel::new(2 * MILLI, MILLI);
    assert_eq!(error(short), Some(ConfigError::Interval(short)));
    let early = CoDel::new(2 * MILLI, SECOND).dropping_after(MILLI);
    assert_eq!(error(early), Some(ConfigError::DropAge(early)));
    let nobody_waits = Config::new(slots(1)).codel(codel()).build();
    assert_eq!(nobody_waits.err(), Some(ConfigError::NobodyWaits));
    let nobody_waits = adaptive::Config::new(One).codel(codel()).build();
    assert_eq!(nobody_waits.err(), Some(ConfigError::NobodyWaits));
}

#[derive(Clone, Debug)]
enum Op {
    Come { line: usize, weight: u32, level: u8 },
    End(usize),
    Leave(usize),
    Pass(u32),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let come = (0..2usize, 1..4u32, 0..3u8);
    let op = prop_oneof![
        6 => come.prop_map(|(line, weight, level)| Op::Come { line, weight, level }),
        3 => (0..8usize).prop_map(Op::End),
        1 => (0..20usize).prop_map(Op::Leave),
        3 => (0..40u32).prop_map(Op::Pass),
    ];
    proptest::collection::vec(op, 1..200)
}

struct OneThatWaits {
    waiting: Waiting,
    wakes: Arc<Wakes>,
    weight: u32,
    came: Instant,
}

proptest! {
    /// Slots and places are kept in a ledger, and who is told what is checked
    /// against the definition as far as it says something of each alone; what
    /// it says of all is checked by `does_what_a_sorted_list_does`.
    #[test]
    fn no_slot_is_lost_nobody_is_served_overdue_and_nobody_shed_before(
        ops in ops(),
        order in prop_oneof![
            Just(Order::Fifo),
            Just(Order::Lifo),
            Just(Order::Adaptive { standing: 30 * MILLI }),
        ],
    ) {
        let clock = ManualClock::new();
        let bulkhead = Config::new(slots(4))
            .partitions(Partitions::new(Sharing::Reserved).with("a", Ratio::percent(25)))
            .when_full(WhenFull::Wait { max_waiting: 50, max_wait: 10 * SECOND, order })
            .codel(codel())
            .clock(Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        let lines = [bulkhead.clone(), bulkhead.within(bulkhead.partition("a").unwrap())];
        let mut permits: Vec<(OwnedPermit, u32)> = Vec::new();
        let mut places: Vec<OneThatWaits> = Vec::new();
        for op in ops.into_iter().chain((0..200).map(|_| Op::End(0))) {
            // One may be told later what it was told about.
            let asked = clock.now();
            match op {
                Op::Come { line, weight, level } => {
                    let ask = Ask::default().weighing(slots(weight));
                    let ask = ask.with_priority(Priority::from_u8(level));
                    match lines[line].admit_or_wait(ask) {
                        Ok(Admission::Admitted(permit)) => permits.push((permit, weight)),
                        Ok(Admission::Waiting(waiting)) => places.push(OneThatWaits {
                            waiting,
                            wakes: Arc::default(),
                            weight,
                            came: asked,
                        }),
                        Err(refused) => prop_assert_eq!(refused.reason(), Reason::QueueFull),
                    }
                }
                Op::End(at) if at < permits.len() => drop(permits.swap_remove(at)),
                Op::Leave(at) if at < places.len() => drop(places.swap_remove(at)),
                Op::Pass(millis) => clock.advance(millis * MILLI),
                Op::End(_) | Op::Leave(_) => {}
            }
            let mut still = Vec::new();
            for mut one in places {
                let age = asked - one.came;
                let was_woken = one.wakes.count();
                match poll(&mut one.waiting, &one.wakes) {
                    Poll::Ready(Ok(permit)) => {
                        prop_assert!(age < 60 * MILLI, "served after {age:?}");
                        prop_assert!(was_woken == 1 || age == Duration::ZERO);
                        permits.push((permit, one.weight));
                    }
                    Poll::Ready(Err(refused)) if refused.reason() == Reason::Shed => {
                        prop_assert!(age >= 20 * MILLI, "shed after {age:?}");
                        prop_assert_eq!(was_woken, 1);
                    }
                    Poll::Ready(Err(refused)) => {
                        prop_assert_eq!(refused.reason(), Reason::QueueFull);
                    }
                    Poll::Pending => still.push(one),
                }
            }
            places = still;
            let snapshot = bulkhead.snapshot();
            let in_use: u32 = permits.iter().map(|one| one.1).sum();
            prop_assert!(in_use <= 4);
            prop_assert_eq!(snapshot.in_flight(), in_use);
            prop_assert_eq!(snapshot.waiting() as usize, places.len());
            let oldest = places.iter().map(|one| clock.now() - one.came).max();
            prop_assert_eq!(snapshot.queue_delay(), oldest.unwrap_or_default());
        }
        prop_assert!(places.is_empty() && permits.is_empty());
    }
}

/// As for the other futures of the crate, anybody's timer will do.
#[test]
fn a_waiting_future_says_when_to_look_and_is_told_then_or_when_somebody_comes() {
    let (bulkhead, clock) = by_hand(Order::Fifo);
    let _taken = bulkhead.admit().unwrap();
    let mut first = place(&bulkhead, Ask::default());
    let came = clock.now();
    assert_eq!(first.next_look(), came + 60 * MILLI);
    clock.advance(45 * MILLI);
    let mut second = place(&bulkhead, Ask::default());
    assert_eq!(second.next_look(), came + 65 * MILLI);
    clock.advance(15 * MILLI);
    assert!(told(&mut first).is_none());
    first.look(clock.now());
    assert!(is_shed(&mut first) && told(&mut second).is_none());
    clock.advance(5 * MILLI);
    let third = place(&bulkhead, Ask::default());
    assert!(is_shed(&mut second));
    let deadline = Deadline::at(clock.now() + MILLI);
    let expires = place(&bulkhead, Ask::default().with_deadline(deadline));
    assert_eq!(third.next_look(), clock.now() + 60 * MILLI);
    assert_eq!(expires.next_look(), deadline.instant());

    let clock = ManualClock::new();
    let without = Config::new(slots(1)).when_full(waiting(Order::Fifo));
    let without = without.clock(Clock::Manual(clock.clone())).build().unwrap();
    let _taken = without.admit().unwrap();
    let mut waits = place(&without, Ask::default());
    assert_eq!(waits.next_look(), waits.until());
    clock.advance(500 * MILLI);
    waits.look(clock.now());
    assert!(told(&mut waits).is_none());
}
