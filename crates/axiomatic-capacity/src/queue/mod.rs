//! Who waits for a slot, and who is next: the queue of everything here that
//! has somebody wait.
//!
//! It is a plain value, which whoever has it puts behind a lock: it knows no
//! slots, reads no clock, calls no waker. What it hands out is to be woken and
//! dropped once the lock is released. All its memory is there from the
//! beginning, and each of its operations takes the same few steps however many
//! wait, but for the lines of partitions, which are looked at one by one.

mod ages;
mod codel;
mod crowd;
mod line;
mod order;
mod pace;
mod places;

use std::task::Waker;
use std::time::Duration;

use axiomatic_core::Reason;
use axiomatic_core::time::Instant;

use ages::Ages;
use crowd::Crowd;
use line::{End, Line};
use pace::Pace;
use places::{Places, State};

pub use codel::CoDel;
pub use order::Order;

/// The lines of the partitions, over one slab of places. `G` is what a waiter
/// is given.
pub(crate) struct Queue<G> {
    places: Places<G>,
    lines: Box<[Line]>,
    order: Order,
    /// How many may wait in a line: so no partition takes another's places.
    most: u32,
    waiting: u32,
    ages: Ages,
    crowd: Crowd,
    pace: Pace,
    /// When somebody came who found nobody waiting.
    standing_since: Instant,
    arrivals: u64,
}

/// Who waits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    /// In which line.
    pub(crate) line: u16,
    /// How much it matters; more goes first.
    pub(crate) level: u8,
    /// What it waits for.
    pub(crate) weight: u32,
    /// Until when that is worth anything to it.
    pub(crate) until: Instant,
    /// What it is told after that.
    pub(crate) too_late: Reason,
}

/// A place in the queue. It belongs to whoever has this, and is given back by
/// [`Queue::collect`] or [`Queue::leave`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    at: u32,
    /// Of a place that has another number, or none, the owner gave way.
    number: u64,
}

/// One that waits, as the queue knows it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next(u32);

/// What was in a place that was given back.
pub(crate) enum Left<G> {
    /// Nothing yet; its waker is to be dropped.
    Waited(Option<Waker>),
    /// What it was given or told, and never heard of.
    Settled(Result<G, Reason>),
}

impl<G> Queue<G> {
    /// Room for `most` in each of so many lines.
    ///
    /// There are twice as many places, for each line its own: who is settled
    /// keeps its place until it asks, and should not keep others from waiting
    /// meanwhile. Who gives way does not even do that.
    pub(crate) fn new(lines: usize, most: u32, order: Order, codel: Option<CoDel>) -> Self {
        let places = u64::from(most) * 2 * lines as u64;
        Queue {
            places: Places::new(u32::try_from(places).unwrap_or(u32::MAX - 1)),
            lines: (0..if most == 0 { 0 } else { lines })
                .map(|_| Line::new())
                .collect(),
            order,
            most,
            waiting: 0,
            ages: Ages::new(codel),
            crowd: Crowd::new(most > 0),
            pace: Pace::default(),
            standing_since: Instant::from_nanos(0),
            arrivals: 0,
        }
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(crate) fn is_line_empty(&self, line: u16) -> bool {
        self.lines
            .get(usize::from(line))
            .is_none_or(|line| line.waiting == 0)
    }

    /// Takes a place at `now`. Where the line is full, whoever would be served
    /// last gives way, and is told that the queue is full: if that is another,
    /// its waker is handed out, to be woken; if it is the newcomer, there is
    /// no ticket.
    pub(crate) fn join(&mut self, waiter: Waiter, now: Instant) -> Option<(Ticket, Option<Waker>)> {
        let newest_first = self.serves(now) == End::Newest;
        let line = self.lines.get(usize::from(waiter.line))?;
        let stands = self.waiting > 0;
        let mut woken = None;
        if line.waiting >= self.most {
            let last = line.last(self.serves(now).other())?;
            let level = self.places.get(last).waiter.level;
            if level > waiter.level || (level == waiter.level && !newest_first) {
                return None;
            }
            self.unlink(last, now);
            woken = self.free(last).1;
        } else if line.places >= self.most * 2 {
            return None;
        }
        self.arrivals += 1;
        let number = self.arrivals;
        let at = self.places.take(waiter, number)?;
        if !stands {
            self.standing_since = now;
            self.pace.paused();
        }
        let line = &mut self.lines[usize::from(waiter.line)];
        line.push(self.places.all_mut(), at);
        line.places += 1;
        self.ages.push(self.places.all_mut(), at, now);
        self.crowd.enter(waiter.level);
        self.waiting += 1;
        Some((Ticket { at, number }, woken))
    }

    /// Who is next at `now`, leaving out the lines of a set.
    pub(crate) fn next(&self, now: Instant, blocked: Lines) -> Option<Next> {
        let end = self.serves(now);
        if let ([line], false) = (&*self.lines, blocked.has(0)) {
            return line.first(end).map(Next);
        }
        let firsts = self.lines.iter().enumerate().filter_map(|(index, line)| {
            let first = line.first(end)?;
            (!blocked.has(index as u16)).then_some(first)
        });
        let next = firsts.max_by_key(|first| {
            let place = self.places.get(*first);
            let number = match end {
                End::Newest => place.number,
                End::Oldest => u64::MAX - place.number,
            };
            (place.waiter.level, number)
        });
        next.map(Next)
    }

    pub(crate) fn waiter(&self, next: Next) -> Waiter {
        self.places.get(next.0).waiter
    }

    /// One that has waited for too long at `now`, if the queue is overloaded.
    pub(crate) fn overdue(&self, now: Instant) -> Option<Next> {
        self.ages.overdue(self.places.all(), now).map(Next)
    }

    /// Decides at `now` about one that waits. Its waker is to be woken.
    pub(crate) fn settle(
        &mut self,
        next: Next,
        settled: Result<G, Reason>,
        now: Instant,
    ) -> Option<Waker> {
        if settled.is_ok() {
            self.pace.served(now);
        }
        self.unlink(next.0, now);
        let place = &mut self.places.all_mut()[next.0 as usize];
        place.state = State::Settled(settled);
        place.waker.take()
    }

    /// What became of one that waited. It has its place no longer, if that is
    /// known.
    pub(crate) fn collect(&mut self, ticket: &Ticket) -> Option<Result<G, Reason>> {
        if self.gave_way(ticket.at, ticket.number) {
            return Some(Err(Reason::QueueFull));
        }
        match self.places.get(ticket.at).state {
            State::Settled(_) => match self.free(ticket.at).0 {
                State::Settled(settled) => Some(settled),
                State::Waiting | State::Free => unreachable!("it was looked at"),
            },
            State::Waiting => None,
            State::Free => unreachable!("a free place has no number"),
        }
    }

    /// Whether waking it up wakes this task. Of one that waits.
    pub(crate) fn wakes(&self, ticket: &Ticket, waker: &Waker) -> bool {
        let known = self.places.get(ticket.at).waker.as_ref();
        known.is_some_and(|known| known.will_wake(waker))
    }

    /// Whom to wake from now on. The one before is to be dropped. Of one that
    /// waits.
    pub(crate) fn set_waker(&mut self, ticket: &Ticket, waker: Waker) -> Option<Waker> {
        self.places.all_mut()[ticket.at as usize]
            .waker
            .replace(waker)
    }

    /// Gives a place back at `now`, whatever is known of it.
    pub(crate) fn leave(&mut self, Ticket { at, number }: Ticket, now: Instant) -> Left<G> {
        if self.gave_way(at, number) {
            return Left::Settled(Err(Reason::QueueFull));
        }
        if matches!(self.places.get(at).state, State::Waiting) {
            self.unlink(at, now);
        }
        match self.free(at) {
            (State::Settled(settled), _) => Left::Settled(settled),
            (_, waker) => Left::Waited(waker),
        }
    }

    /// For how long the queue has not been empty.
    pub(crate) fn has_stood(&self, now: Instant) -> Duration {
        if self.waiting == 0 {
            Duration::ZERO
        } else {
            now - self.standing_since
        }
    }

    /// For how long the one has waited that has waited longest.
    pub(crate) fn oldest_age(&self, now: Instant) -> Duration {
        let came = self.ages.oldest_came(self.places.all());
        came.map_or(Duration::ZERO, |came| now - came)
    }

    /// Whether somebody has waited for too long at every moment of an interval.
    pub(crate) fn is_overloaded(&self, now: Instant) -> bool {
        self.ages.is_overloaded(now)
    }

    /// When one that waits is [overdue](Queue::overdue), if nothing happens
    /// before: never earlier, whatever happens. None where nobody ever is, and
    /// of one that waits no longer.
    pub(crate) fn overdue_from(&self, ticket: &Ticket) -> Option<Instant> {
        let place = self.places.get(ticket.at);
        let waits = place.number == ticket.number && matches!(place.state, State::Waiting);
        self.ages.overdue_from(place.came).filter(|_| waits)
    }

    /// How long one of this level would wait, who came last of those that
    /// matter as much, at the pace at which who waits was served of late.
    pub(crate) fn estimated_wait(&self, level: u8, now: Instant) -> Duration {
        let count = self.crowd.from(level).saturating_add(1);
        self.pace.of(count, self.has_stood(now), now)
    }

    fn serves(&self, now: Instant) -> End {
        match self.order {
            Order::Fifo => End::Oldest,
            Order::Lifo => End::Newest,
            Order::Adaptive { standing } if self.has_stood(now) >= standing => End::Newest,
            Order::Adaptive { .. } => End::Oldest,
        }
    }

    fn gave_way(&self, at: u32, number: u64) -> bool {
        self.places.get(at).number != number
    }

    fn free(&mut self, at: u32) -> (State<G>, Option<Waker>) {
        let line = self.places.get(at).waiter.line;
        self.lines[usize::from(line)].places -= 1;
        self.places.free(at)
    }

    fn unlink(&mut self, at: u32, now: Instant) {
        let Waiter { line, level, .. } = self.places.get(at).waiter;
        self.lines[usize::from(line)].remove(self.places.all_mut(), at);
        self.ages.remove(self.places.all_mut(), at, now);
        self.crowd.leave(level);
        self.waiting -= 1;
    }
}

/// A set of lines.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines(u64);

impl Lines {
    /// How many lines there can be.
    pub(crate) const MOST: usize = u64::BITS as usize;

    pub(crate) fn has(self, line: u16) -> bool {
        self.0 >> line & 1 == 1
    }

    pub(crate) fn insert(&mut self, line: u16) {
        self.0 |= 1 << line;
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests;
