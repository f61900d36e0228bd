//! Who waits, who is next, and who leaves.

use std::sync::Arc;
use std::task::Poll;

use axiomatic_capacity::bulkhead::{Admission, Ask, Barging, Bulkhead, Config, Order, WhenFull};
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Mode, Reason};

use crate::support::{MILLI, SECOND, Wakes, place, poll, slots, still, waiting};

/// In which order those are served that come after each other.
fn served(bulkhead: &Bulkhead, asks: impl IntoIterator<Item = Ask>) -> Vec<usize> {
    let wakes = Arc::<Wakes>::default();
    let mut taken = Some(bulkhead.admit_owned(Ask::default()).unwrap());
    let mut places: Vec<_> = asks
        .into_iter()
        .map(|ask| Some(place(bulkhead, ask)))
        .collect();
    let mut order = Vec::new();
    while order.len() < places.len() {
        drop(taken.take());
        for (number, place) in places.iter_mut().enumerate() {
            let Some(waiting) = place else { continue };
            if let Poll::Ready(permit) = poll(waiting, &wakes) {
                *place = None;
                taken = Some(permit.unwrap());
                order.push(number);
            }
        }
        assert!(taken.is_some(), "nobody was served");
    }
    order
}

#[test]
fn who_came_first_is_served_first_or_last_as_was_said() {
    let three = || [Ask::default(); 3];
    assert_eq!(served(&still(1, Order::Fifo), three()), [0, 1, 2]);
    assert_eq!(served(&still(1, Order::Lifo), three()), [2, 1, 0]);
}

#[test]
fn what_matters_more_is_served_first() {
    let asks = [
        Priority::SHEDDABLE,
        Priority::CRITICAL,
        Priority::CRITICAL_PLUS,
        Priority::CRITICAL,
        Priority::CRITICAL.with_level(1),
    ]
    .map(|priority| Ask::default().with_priority(priority));
    assert_eq!(served(&still(1, Order::Fifo), asks), [2, 4, 1, 3, 0]);
    assert_eq!(served(&still(1, Order::Lifo), asks), [2, 4, 3, 1, 0]);
}

#[test]
fn a_queue_that_has_stood_serves_who_came_last_until_it_is_empty() {
    let clock = ManualClock::new();
    let order = Order::Adaptive {
        standing: 100 * MILLI,
    };
    let bulkhead = Config::new(slots(1))
        .when_full(waiting(order))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let wakes = Arc::<Wakes>::default();
    let taken = bulkhead.admit_owned(Ask::default()).unwrap();
    let mut places: Vec<_> = (0..4).map(|_| place(&bulkhead, Ask::default())).collect();
    clock.advance(99 * MILLI);
    drop(taken);
    let Poll::Ready(first) = poll(&mut places[0], &wakes) else {
        panic!("a burst is served in order");
    };
    clock.advance(MILLI);
    drop(first);
    let Poll::Ready(last) = poll(&mut places[3], &wakes) else {
        panic!("it has stood for 100 ms");
    };
    // It is empty once, and then a burst again.
    places.truncate(3);
    drop(places.remove(0));
    drop(places);
    let mut places = [(); 2].map(|()| place(&bulkhead, Ask::default()));
    drop(last);
    assert!(poll(&mut places[0], &wakes).is_ready());
}

#[test]
fn who_would_be_served_last_gives_way_in_a_full_queue() {
    let clock = ManualClock::new();
    let of = |order| {
        Config::new(slots(1))
            .when_full(WhenFull::Wait {
                max_waiting: 2,
                max_wait: SECOND,
                order,
            })
            .clock(Clock::Manual(clock.clone()))
            .build()
            .unwrap()
    };
    let wakes = Arc::<Wakes>::default();
    let critical = Ask::default().with_priority(Priority::CRITICAL_PLUS);
    let told = |waiting: &mut axiomatic_capacity::bulkhead::Waiting| match poll(waiting, &wakes) {
        Poll::Ready(Err(rejected)) => Some(rejected.reason()),
        Poll::Ready(Ok(_)) => panic!("there is no slot"),
        Poll::Pending => None,
    };

    let fifo = of(Order::Fifo);
    let _taken = fifo.admit().unwrap();
    let [mut first, mut second] = [(); 2].map(|()| place(&fifo, Ask::default()));
    let refused = fifo.admit_or_wait(Ask::default()).unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull);
    let _matters = place(&fifo, critical);
    assert_eq!(told(&mut first), None);
    assert_eq!(told(&mut second), Some(Reason::QueueFull));

    let lifo = of(Order::Lifo);
    let _taken = lifo.admit().unwrap();
    let [mut first, mut second] = [(); 2].map(|()| place(&lifo, Ask::default()));
    let mut third = place(&lifo, Ask::default());
    assert_eq!(told(&mut first), Some(Reason::QueueFull));
    assert_eq!((told(&mut second), told(&mut third)), (None, None));
}

#[test]
fn one_who_waits_is_woken_once_and_the_slot_is_nobody_elses() {
    let bulkhead = still(1, Order::Fifo);
    let taken = bulkhead.admit().unwrap();
    let wakes = Arc::<Wakes>::default();
    let mut waiting = place(&bulkhead, Ask::default());
    for _ in 0..3 {
        assert!(poll(&mut waiting, &wakes).is_pending());
    }
    drop(taken);
    assert_eq!(wakes.count(), 1);
    // It has not heard yet, and the slot is its all the same.
    assert_eq!(bulkhead.admit().unwrap_err().reason(), Reason::Full);
    assert!(poll(&mut waiting, &wakes).is_ready());
    assert_eq!(wakes.count(), 1);
}

#[test]
fn one_who_leaves_passes_on_what_it_was_given() {
    let bulkhead = still(1, Order::Fifo);
    let taken = bulkhead.admit().unwrap();
    let wakes = Arc::<Wakes>::default();
    let [mut first, mut second, mut third] = [(); 3].map(|()| place(&bulkhead, Ask::default()));
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(poll(waiting, &wakes).is_pending());
    }
    drop(second);
    drop(taken);
    drop(first);
    assert!(poll(&mut third, &wakes).is_ready());
    assert_eq!(bulkhead.snapshot().in_flight(), 0);
}

#[test]
fn what_is_heavy_is_not_passed_by_and_lets_others_by_when_it_leaves() {
    let bulkhead = still(3, Order::Fifo);
    let wakes = Arc::<Wakes>::default();
    let [one, two] = [(); 2].map(|()| bulkhead.admit_owned(Ask::default()).unwrap());
    let heavy = Ask::default().weighing(slots(3));
    let mut heavy_one = place(&bulkhead, heavy);
    // One slot is free, and kept for it.
    let mut light = place(&bulkhead, Ask::default());
    assert!(bulkhead.admit().is_err());
    assert!(poll(&mut light, &wakes).is_pending());
    drop(one);
    assert!(poll(&mut light, &wakes).is_pending());
    drop(two);
    let Poll::Ready(permit) = poll(&mut heavy_one, &wakes) else {
        panic!("all three are free");
    };
    drop(permit);
    assert!(poll(&mut light, &wakes).is_ready());

    let one = bulkhead.admit().unwrap();
    let heavy_one = place(&bulkhead, heavy);
    let mut light = place(&bulkhead, Ask::default());
    drop(heavy_one);
    assert!(poll(&mut light, &wakes).is_ready());
    drop(one);
}

#[test]
fn who_may_barge_takes_what_is_free_and_leaves_the_queue_alone() {
    let bulkhead = Config::new(slots(2))
        .when_full(waiting(Order::Fifo))
        .barging(Barging::Allowed)
        .build()
        .unwrap();
    let wakes = Arc::<Wakes>::default();
    let first = bulkhead.admit().unwrap();
    let mut heavy = place(&bulkhead, Ask::default().weighing(slots(2)));
    let second = bulkhead.admit().unwrap();
    drop(first);
    assert!(poll(&mut heavy, &wakes).is_pending());
    drop(second);
    assert!(poll(&mut heavy, &wakes).is_ready());
}

#[test]
fn more_slots_go_to_who_waits_and_fewer_refuse_who_waits_for_more() {
    let bulkhead = still(2, Order::Fifo);
    let wakes = Arc::<Wakes>::default();
    let taken = bulkhead.admit_weighing(slots(2)).unwrap();
    let mut heavy = place(&bulkhead, Ask::default().weighing(slots(2)));
    let mut light = place(&bulkhead, Ask::default());
    bulkhead.resize(slots(1));
    let Poll::Ready(Err(refused)) = poll(&mut heavy, &wakes) else {
        panic!("there are not so many any more");
    };
    assert_eq!(refused.reason(), Reason::Full);
    let too_heavy = bulkhead.admit_or_wait(Ask::default().weighing(slots(2)));
    assert_eq!(too_heavy.unwrap_err().reason(), Reason::Full);
    assert!(poll(&mut light, &wakes).is_pending());
    bulkhead.resize(slots(3));
    assert!(poll(&mut light, &wakes).is_ready());
    drop(taken);
}

#[test]
fn whose_time_is_over_is_passed_by() {
    let clock = ManualClock::new();
    let bulkhead = Config::new(slots(1))
        .when_full(waiting(Order::Fifo))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let wakes = Arc::<Wakes>::default();
    let taken = bulkhead.admit().unwrap();
    let at = |after| Ask::default().with_deadline(Deadline::at(clock.now() + after));
    let mut expires = place(&bulkhead, at(10 * MILLI));
    let mut waits = place(&bulkhead, at(20 * MILLI));
    clock.advance(10 * MILLI);
    drop(taken);
    let Poll::Ready(Err(expired)) = poll(&mut expires, &wakes) else {
        panic!("nobody waits for it any more");
    };
    assert_eq!(expired.reason(), Reason::Expired);
    // A slot that came in time and was heard of too late is passed on.
    let mut last = place(&bulkhead, Ask::default());
    clock.advance(10 * MILLI);
    let Poll::Ready(Err(expired)) = poll(&mut waits, &wakes) else {
        panic!("nobody waits for it any more");
    };
    assert_eq!(expired.reason(), Reason::Expired);
    let Poll::Ready(Ok(_permit)) = poll(&mut last, &wakes) else {
        panic!("it was passed on");
    };
    // Whose deadline has passed when it comes has no place at all.
    let refused = bulkhead.admit_or_wait(at(std::time::Duration::ZERO));
    assert_eq!(refused.unwrap_err().reason(), Reason::Expired);
    assert_eq!(bulkhead.snapshot().waiting(), 0);
}

#[test]
fn in_shadow_nobody_waits() {
    let bulkhead = still(1, Order::Fifo);
    bulkhead.set_mode(Mode::Shadow);
    let _taken = bulkhead.admit().unwrap();
    let admission = bulkhead.admit_or_wait(Ask::default()).unwrap();
    assert!(matches!(admission, Admission::Admitted(_)));
    assert_eq!(bulkhead.snapshot().would_refuse(), 1);
}
