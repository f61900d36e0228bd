//! Queues that stand: for how long, and who is told to leave them.

mod calls;
mod ledger;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axiomatic_capacity::adaptive::{self, AdaptiveLimit};
use axiomatic_capacity::bulkhead::{
    Ask, Bulkhead, CoDel, Config, ConfigError, Order, OwnedPermit, Partitions, Sharing, Waiting,
    WhenFull,
};
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Ratio, Reason};

use crate::support::{MILLI, SECOND, Wakes, place, poll, slots, waiting};

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
