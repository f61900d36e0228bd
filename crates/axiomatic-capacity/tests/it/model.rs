//! The bulkhead beside a ledger that is kept in the plainest way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use axiomatic_capacity::bulkhead::{
    Admission, Ask, Bulkhead, Config, Order, OwnedPermit, Partitions, Sharing, Waiting, WhenFull,
};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Ratio, Reason};
use proptest::prelude::*;

use crate::support::{SECOND, Wakes, poll, slots};

#[derive(Clone, Debug)]
enum Op {
    Admit { line: usize, weight: u32 },
    Wait { weight: u32 },
    End(usize),
    Leave(usize),
    Resize(u32),
}

fn ops(waits: bool) -> impl Strategy<Value = Vec<Op>> {
    let waits = u32::from(waits) * 4;
    let op = prop_oneof![
        5 => (0..3usize, 1..4u32).prop_map(|(line, weight)| Op::Admit { line, weight }),
        waits => (1..4u32).prop_map(|weight| Op::Wait { weight }),
        5 => (0..20usize).prop_map(Op::End),
        waits / 2 => (0..20usize).prop_map(Op::Leave),
        1 => (1..16u32).prop_map(Op::Resize),
    ];
    proptest::collection::vec(op, 1..150)
}

const SHARES: [u32; 2] = [50, 20];

/// How many slots each line has in use, the common one first.
struct Ledger {
    limit: u32,
    taken: [u32; 3],
    sharing: Sharing,
}

impl Ledger {
    fn guarantee(&self, line: usize) -> u32 {
        if line == 0 {
            0
        } else {
            self.limit * SHARES[line - 1] / 100
        }
    }

    /// What is taken of what is for all.
    fn common(&self, taken: [u32; 3]) -> u32 {
        (0..3)
            .map(|line| taken[line].saturating_sub(self.guarantee(line)))
            .sum()
    }

    fn admits(&self, line: usize, weight: u32) -> bool {
        let mut after = self.taken;
        after[line] += weight;
        if after[line] <= self.guarantee(line) {
            return true;
        }
        match self.sharing {
            Sharing::Reserved => {
                let common = self.limit - self.guarantee(1) - self.guarantee(2);
                self.common(after) <= common
            }
            Sharing::Borrowing => after.iter().sum::<u32>() <= self.limit,
        }
    }
}

fn build(limit: u32, sharing: Option<Sharing>, order: Order) -> Bulkhead {
    let shares = Partitions::new(sharing.unwrap_or_default());
    let shares = match sharing {
        None => shares,
        Some(_) => shares
            .with("a", Ratio::percent(SHARES[0] as u16))
            .with("b", Ratio::percent(SHARES[1] as u16)),
    };
    Config::new(slots(limit))
        .partitions(shares)
        .when_full(WhenFull::Wait {
            max_waiting: 1_000,
            max_wait: SECOND,
            order,
        })
        .clock(Clock::Manual(ManualClock::new()))
        .build()
        .unwrap()
}

proptest! {
    #[test]
    fn partitions_admit_what_the_ledger_admits(
        ops in ops(false),
        limit in 1..16u32,
        borrows in any::<bool>(),
    ) {
        let sharing = if borrows { Sharing::Borrowing } else { Sharing::Reserved };
        let all = build(limit, Some(sharing), Order::Fifo);
        let lines = [
            all.clone(),
            all.within(all.partition("a").unwrap()),
            all.within(all.partition("b").unwrap()),
        ];
        let mut ledger = Ledger { limit, taken: [0; 3], sharing };
        let mut permits: Vec<(OwnedPermit, usize, u32)> = Vec::new();
        for op in ops {
            match op {
                Op::Admit { line, weight } => {
                    let ask = Ask::default().weighing(slots(weight));
                    let admitted = lines[line].admit_owned(ask);
                    prop_assert_eq!(admitted.is_ok(), ledger.admits(line, weight));
                    if let Ok(permit) = admitted {
                        ledger.taken[line] += weight;
                        permits.push((permit, line, weight));
                    }
                }
                Op::End(at) if at < permits.len() => {
                    let (_permit, line, weight) = permits.swap_remove(at);
                    ledger.taken[line] -= weight;
                }
                Op::Resize(limit) => {
                    all.resize(slots(limit));
                    ledger.limit = limit;
                }
                _ => {}
            }
            let snapshot = all.snapshot();
            prop_assert_eq!(snapshot.limit(), ledger.limit);
            prop_assert_eq!(snapshot.in_flight(), ledger.taken.iter().sum::<u32>());
            for (line, partition) in snapshot.partitions().iter().enumerate() {
                prop_assert_eq!(partition.in_flight, ledger.taken[line + 1]);
            }
        }
        drop(permits);
        all.resize(slots(10));
        let [own, common] = if borrows { [10, 10] } else { [8, 3] };
        prop_assert!(lines[1].admit_weighing(slots(own)).is_ok());
        prop_assert!(lines[0].admit_weighing(slots(common)).is_ok());
    }

    #[test]
    fn who_waits_is_served_as_in_a_list(
        ops in ops(true),
        limit in 1..8u32,
        newest_first in any::<bool>(),
    ) {
        let order = if newest_first { Order::Lifo } else { Order::Fifo };
        let bulkhead = build(limit, None, order);
        let wakes = Arc::<Wakes>::default();
        let mut limit = limit;
        let mut permits: Vec<(OwnedPermit, u32)> = Vec::new();
        let mut places: Vec<(Waiting, u32)> = Vec::new();
        // The list: numbers of those that wait, with what they wait for.
        let mut list: VecDeque<(usize, u32)> = VecDeque::new();
        let mut number = 0;
        let mut numbers: Vec<usize> = Vec::new();
        let in_use = |permits: &[(OwnedPermit, u32)]| permits.iter().map(|one| one.1).sum::<u32>();
        for op in ops {
            match op {
                Op::Admit { weight, .. } => {
                    let ask = Ask::default().weighing(slots(weight));
                    let admitted = bulkhead.admit_owned(ask);
                    let fits = in_use(&permits) + weight <= limit && list.is_empty();
                    prop_assert_eq!(admitted.is_ok(), fits);
                    permits.extend(admitted.ok().map(|permit| (permit, weight)));
                }
                Op::Wait { weight } => {
                    match bulkhead.admit_or_wait(Ask::default().weighing(slots(weight))) {
                        Ok(Admission::Admitted(permit)) => {
                            let is_next = list.is_empty() || newest_first;
                            prop_assert!(is_next && in_use(&permits) + weight <= limit);
                            permits.push((permit, weight));
                        }
                        Ok(Admission::Waiting(waiting)) => {
                            let is_next = list.is_empty() || newest_first;
                            prop_assert!(!is_next || in_use(&permits) + weight > limit);
                            list.push_back((number, weight));
                            places.push((waiting, weight));
                            numbers.push(number);
                            number += 1;
                        }
                        Err(refused) => {
                            prop_assert_eq!(refused.reason(), Reason::Full);
                            prop_assert!(weight > limit);
                        }
                    }
                }
                Op::End(at) if at < permits.len() => drop(permits.swap_remove(at)),
                Op::Leave(at) if at < places.len() => {
                    let left = numbers.swap_remove(at);
                    list.retain(|one| one.0 != left);
                    drop(places.swap_remove(at));
                }
                Op::Resize(to) => {
                    bulkhead.resize(slots(to));
                    limit = to;
                }
                Op::End(_) | Op::Leave(_) => {}
            }
            // Who is next by the list, as long as it fits.
            let mut expected: Vec<(usize, bool)> = Vec::new();
            let mut used = in_use(&permits);
            while let Some((next, weight)) =
                if newest_first { list.back().copied() } else { list.front().copied() }
            {
                let fits = used + weight <= limit;
                if !fits && weight <= limit {
                    break;
                }
                if newest_first { list.pop_back() } else { list.pop_front() };
                used += if fits { weight } else { 0 };
                expected.push((next, fits));
            }
            for (next, fits) in expected {
                let at = numbers.iter().position(|one| *one == next).unwrap();
                let (mut waiting, weight) = places.swap_remove(at);
                numbers.swap_remove(at);
                match poll(&mut waiting, &wakes) {
                    Poll::Ready(Ok(permit)) if fits => permits.push((permit, weight)),
                    Poll::Ready(Err(refused)) if !fits => {
                        prop_assert_eq!(refused.reason(), Reason::Full);
                    }
                    other => prop_assert!(false, "{other:?} where it fits: {fits}"),
                }
            }
            let still = places.iter_mut().all(|one| poll(&mut one.0, &wakes).is_pending());
            prop_assert!(still, "somebody was served out of turn");
            prop_assert_eq!(bulkhead.snapshot().in_flight(), in_use(&permits));
            prop_assert_eq!(bulkhead.snapshot().waiting() as usize, list.len());
        }
    }
}
