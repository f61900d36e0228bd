//! What is taken and who waits, beside a ledger.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axiomatic_capacity::bulkhead::{
    Admission, Ask, Config, Order, OwnedPermit, Partitions, Sharing, Waiting, WhenFull,
};
use axiomatic_core::context::Priority;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Ratio, Reason};
use proptest::prelude::*;

use super::codel;
use crate::support::{MILLI, SECOND, Wakes, poll, slots};

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
