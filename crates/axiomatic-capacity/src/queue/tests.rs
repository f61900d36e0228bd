//! The queue beside a list that is sorted anew for each question.

use std::task::Waker;
use std::time::Duration;

use axiomatic_core::Reason;
use axiomatic_core::time::Instant;
use proptest::prelude::*;

use super::{CoDel, Left, Lines, Order, Queue, Ticket, Waiter};

const LINES: u16 = 3;
const STANDING: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
enum Op {
    Join {
        line: u16,
        level: u8,
    },
    /// Who is next outside these lines is given something.
    Grant {
        blocked: u8,
    },
    /// One of those that have a place leaves.
    Leave(usize),
    /// One of those that have a place asks.
    Ask(usize),
    /// Those who are overdue are told so.
    Shed,
    Pass(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..LINES, prop_oneof![Just(128), any::<u8>()])
            .prop_map(|(line, level)| Op::Join { line, level }),
        3 => (0..8u8).prop_map(|blocked| Op::Grant { blocked }),
        2 => (0..40usize).prop_map(Op::Leave),
        2 => (0..40usize).prop_map(Op::Ask),
        1 => Just(Op::Shed),
        2 => (0..60u64).prop_map(Op::Pass),
    ];
    proptest::collection::vec(op, 1..200)
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![
        Just(Order::Fifo),
        Just(Order::Lifo),
        Just(Order::Adaptive { standing: STANDING }),
    ]
}

fn codels() -> impl Strategy<Value = Option<CoDel>> {
    let millis = Duration::from_millis;
    let codel = (1..40u64, 0..100u64, 0..60u64).prop_map(move |(target, more, later)| {
        CoDel::new(millis(target), millis(target + more)).dropping_after(millis(target + later))
    });
    proptest::option::weighted(0.9, codel)
}

/// One that has a place, in the list.
#[derive(Debug)]
struct Known {
    ticket: Option<Ticket>,
    line: u16,
    level: u8,
    number: u64,
    came: Instant,
    /// When it was to be looked for.
    overdue_from: Option<Instant>,
    /// What it is given is the number of the grant.
    settled: Option<Result<u64, Reason>>,
}

#[derive(Default)]
struct List {
    known: Vec<Known>,
    number: u64,
    grants: u64,
    stood_since: Option<Instant>,
    /// From when on which one was the oldest, and when it had come; none if
    /// nobody waited.
    oldest: Vec<(Instant, Option<Instant>)>,
    last_grant: Option<Instant>,
    /// Nanoseconds between grants, on the average.
    pace: Option<f64>,
}

impl List {
    fn newest_first(&self, order: Order, now: Instant) -> bool {
        match order {
            Order::Fifo => false,
            Order::Lifo => true,
            Order::Adaptive { standing } => {
                let stood = self.stood_since.map_or(Duration::ZERO, |since| now - since);
                stood >= standing
            }
        }
    }

    /// Those that wait, the next first.
    fn sorted(&self, newest_first: bool) -> Vec<usize> {
        let mut waiting: Vec<usize> = (0..self.known.len())
            .filter(|at| self.known[*at].settled.is_none())
            .collect();
        waiting.sort_by_key(|at| {
            let known = &self.known[*at];
            let number = if newest_first {
                u64::MAX - known.number
            } else {
                known.number
            };
            (u8::MAX - known.level, number)
        });
        waiting
    }

    fn note(&mut self, now: Instant) {
        let waiting = self.known.iter().filter(|known| known.settled.is_none());
        let oldest = waiting.map(|known| known.came).min();
        self.oldest.push((now, oldest));
        if oldest.is_none() {
            self.stood_since = None;
            self.last_grant = None;
        } else {
            self.stood_since.get_or_insert(now);
        }
    }

    /// Whether the oldest one was old at each moment of the interval up to
    /// `then`, if nothing happens from now on: gone through one after the
    /// other.
    fn is_overloaded(&self, codel: CoDel, then: Instant) -> bool {
        let begin = then.as_nanos() - codel.interval().as_nanos() as u64;
        let mut end = then;
        for (since, came) in self.oldest.iter().rev() {
            // The youngest that it was in what is left of the interval.
            let first = since.as_nanos().max(begin);
            let age = came.map_or(0, |came| first.saturating_sub(came.as_nanos()));
            if u128::from(age) < codel.target().as_nanos() {
                return false;
            }
            end = *since;
            if end.as_nanos() < begin {
                return true;
            }
        }
        panic!("nobody waited at first, which was after {end:?}");
    }

    fn is_overdue(&self, at: usize, codel: CoDel, then: Instant) -> bool {
        then - self.known[at].came >= codel.drop_age() && self.is_overloaded(codel, then)
    }

    /// Who is told that the load is shed.
    fn shed(&mut self, codel: CoDel, now: Instant) -> usize {
        let mut count = 0;
        loop {
            let by_number = |at: &usize| self.known[*at].number;
            let Some(oldest) = self.sorted(false).into_iter().min_by_key(by_number) else {
                return count;
            };
            if !self.is_overdue(oldest, codel, now) {
                return count;
            }
            self.known[oldest].settled = Some(Err(Reason::Shed));
            self.note(now);
            count += 1;
        }
    }

    fn granted(&mut self, now: Instant) {
        if let Some(last) = self.last_grant.replace(now) {
            let gap = (now - last).as_nanos() as f64;
            self.pace = Some(self.pace.map_or(gap, |pace| pace + (gap - pace) / 8.0));
        }
    }
}

fn waiter(line: u16, level: u8) -> Waiter {
    Waiter {
        line,
        level,
        weight: 1,
        until: Instant::from_nanos(u64::MAX),
        too_late: Reason::WaitedTooLong,
    }
}

/// What the documentation says: each that may wait has two.
#[test]
fn a_place_is_eighty_bytes() {
    assert_eq!(size_of::<super::places::Place<crate::slots::Taken>>(), 80);
}

/// Two threads that read the clock and then take the lock the other way round.
#[test]
fn who_stands_before_others_is_never_younger() {
    let millis = |millis: u64| Instant::from_nanos(1_000_000_000 + millis * 1_000_000);
    let codel = CoDel::new(Duration::from_millis(5), Duration::from_millis(10));
    let mut queue: Queue<()> = Queue::new(1, 10, Order::Fifo, Some(codel));
    let (first, _) = queue.join(waiter(0, 128), millis(3)).unwrap();
    let (_second, _) = queue.join(waiter(0, 128), millis(1)).unwrap();
    let (_third, _) = queue.join(waiter(0, 128), millis(2)).unwrap();
    drop(queue.leave(first, millis(3)));
    assert_eq!(queue.oldest_age(millis(3)), Duration::ZERO);
    assert!(!queue.is_overloaded(millis(17)));
    assert!(queue.is_overloaded(millis(18)));
}

proptest! {
    #[test]
    fn does_what_a_sorted_list_does(
        ops in ops(),
        order in orders(),
        codel in codels(),
        most in 1..6u32,
    ) {
        let mut queue: Queue<u64> = Queue::new(usize::from(LINES), most, order, codel);
        let mut list = List::default();
        let mut now = Instant::from_nanos(1_000_000_000);
        list.oldest.push((Instant::from_nanos(0), None));
        for op in ops {
            let newest_first = list.newest_first(order, now);
            match op {
                Op::Pass(millis) => now = now + Duration::from_millis(millis),
                Op::Join { line, level } => {
                    // A place of the slab is taken until it is asked about,
                    // unless who was in it gave way.
                    let has_place = |known: &&Known| {
                        known.line == line && known.settled != Some(Err(Reason::QueueFull))
                    };
                    let places = list.known.iter().filter(has_place).count();
                    let has_room = places < most as usize * 2;
                    let in_line: Vec<usize> = list.sorted(newest_first).into_iter()
                        .filter(|at| list.known[*at].line == line).collect();
                    let last = in_line.last().copied();
                    let is_full = in_line.len() == most as usize;
                    let gives_way = last.filter(|_| is_full).filter(|last| {
                        let last = list.known[*last].level;
                        last < level || last == level && newest_first
                    });
                    let joined = queue.join(waiter(line, level), now);
                    let is_expected = if is_full { gives_way.is_some() } else { has_room };
                    prop_assert_eq!(joined.is_some(), is_expected);
                    if let Some((ticket, woken)) = joined {
                        if let Some(last) = gives_way {
                            list.known[last].settled = Some(Err(Reason::QueueFull));
                        }
                        prop_assert_eq!(woken.is_some(), gives_way.is_some());
                        prop_assert!(queue.set_waker(&ticket, Waker::noop().clone()).is_none());
                        list.number += 1;
                        list.known.push(Known {
                            ticket: Some(ticket), line, level, number: list.number, came: now,
                            overdue_from: None, settled: None,
                        });
                    }
                }
                Op::Grant { blocked } => {
                    let mut lines = Lines::default();
                    (0..LINES).filter(|line| blocked >> line & 1 == 1).for_each(|line| lines.insert(line));
                    let expected = list.sorted(newest_first).into_iter()
                        .find(|at| !lines.has(list.known[*at].line));
                    let next = queue.next(now, lines);
                    prop_assert_eq!(next.is_some(), expected.is_some());
                    if let (Some(next), Some(expected)) = (next, expected) {
                        list.grants += 1;
                        let woken = queue.settle(next, Ok(list.grants), now);
                        prop_assert!(woken.is_some());
                        list.granted(now);
                        list.known[expected].settled = Some(Ok(list.grants));
                    }
                }
                Op::Leave(at) if at < list.known.len() => {
                    let mut known = list.known.swap_remove(at);
                    let left = queue.leave(known.ticket.take().unwrap(), now);
                    match left {
                        Left::Waited(waker) => {
                            prop_assert!(known.settled.is_none() && waker.is_some());
                        }
                        Left::Settled(settled) => prop_assert_eq!(Some(settled), known.settled),
                    }
                }
                Op::Ask(at) if at < list.known.len() => {
                    let told = queue.collect(list.known[at].ticket.as_ref().unwrap());
                    prop_assert_eq!(told, list.known[at].settled);
                    if told.is_some() {
                        list.known.swap_remove(at);
                    }
                }
                Op::Shed => {
                    let mut count = 0;
                    while let Some(overdue) = queue.overdue(now) {
                        prop_assert!(queue.settle(overdue, Err(Reason::Shed), now).is_some());
                        count += 1;
                    }
                    let expected = codel.map_or(0, |codel| list.shed(codel, now));
                    prop_assert_eq!(count, expected);
                }
                Op::Leave(_) | Op::Ask(_) => {}
            }
            list.note(now);
            let waiting = list.sorted(false);
            prop_assert_eq!(queue.waiting() as usize, waiting.len());
            for line in 0..LINES {
                let is_empty = !waiting.iter().any(|at| list.known[*at].line == line);
                prop_assert_eq!(queue.is_line_empty(line), is_empty);
            }
            let stood = list.stood_since.map_or(Duration::ZERO, |since| now - since);
            prop_assert_eq!(queue.has_stood(now), stood);

            let came = list.oldest.last().unwrap().1;
            prop_assert_eq!(queue.oldest_age(now), came.map_or(Duration::ZERO, |came| now - came));
            let is_overloaded = codel.is_some_and(|codel| list.is_overloaded(codel, now));
            prop_assert_eq!(queue.is_overloaded(now), is_overloaded);
            for known in list.known.iter().filter(|known| known.settled.is_some()) {
                prop_assert_eq!(queue.overdue_from(known.ticket.as_ref().unwrap()), None);
            }
            for at in waiting {
                let overdue_from = queue.overdue_from(list.known[at].ticket.as_ref().unwrap());
                prop_assert_eq!(overdue_from.is_some(), codel.is_some());
                let (Some(from), Some(codel)) = (overdue_from, codel) else { continue };
                let just_before = Instant::from_nanos(from.as_nanos() - 1);
                prop_assert!(list.is_overdue(at, codel, from.max(now)));
                prop_assert!(just_before < now || !list.is_overdue(at, codel, just_before));
                prop_assert!(list.known[at].overdue_from.is_none_or(|before| before <= from));
                list.known[at].overdue_from = Some(from);
                let longest = (codel.target() + codel.interval()).max(codel.drop_age());
                prop_assert!(from <= list.known[at].came + longest);
            }
            for level in [0, 1, 127, 128, 129, 255] {
                let known = list.known.iter().filter(|known| known.settled.is_none());
                let before_it = known.filter(|known| known.level >= level).count();
                let since = list.last_grant.or(list.stood_since);
                let open = since.map_or(0.0, |since| (now - since).as_nanos() as f64);
                let each = list.pace.map_or(0.0, |pace| pace.max(open));
                let expected = each * (before_it + 1) as f64;
                let estimated = queue.estimated_wait(level, now).as_nanos() as f64;
                let difference = (estimated - expected).abs();
                prop_assert!(difference < 1_000.0, "{estimated} ns and not {expected}");
            }
        }
    }
}
