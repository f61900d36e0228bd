use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::time::Duration;

use axiomatic_core::time::{Instant, ManualClock};

/// Virtual time, and what is to happen in it: the heart of a simulation.
///
/// An event is a value of yours, not a closure: it can be printed and
/// compared, and the world it changes is borrowed by nobody. Events come in
/// the order of their times, and those of one time in the order in which they
/// were scheduled, so that a run depends on nothing but what is put in.
///
/// ```
/// use axiomatic_sim::Agenda;
/// use std::time::Duration;
///
/// let mut agenda = Agenda::new();
/// agenda.after(Duration::from_secs(2), "later");
/// agenda.after(Duration::from_secs(1), "sooner");
/// let clock = agenda.clock(); // for `Clock::Manual` of what is under test
///
/// assert_eq!(agenda.next_event(), Some("sooner"));
/// assert_eq!(agenda.elapsed(), Duration::from_secs(1));
/// assert_eq!(agenda.next_event(), Some("later"));
/// assert_eq!(clock.now(), agenda.now());
/// assert_eq!(agenda.next_event(), None);
/// ```
pub struct Agenda<E> {
    clock: ManualClock,
    start: Instant,
    entries: BinaryHeap<Reverse<Entry<E>>>,
    scheduled: u64,
}

struct Entry<E> {
    at: Instant,
    /// Breaks ties.
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// An empty agenda; the clock shows an hour, like a live one at its first
    /// use.
    pub fn new() -> Self {
        let clock = ManualClock::new();
        Agenda {
            start: clock.now(),
            clock,
            entries: BinaryHeap::new(),
            scheduled: 0,
        }
    }

    /// The clock, to be given to what is under test. Only the agenda moves
    /// it.
    pub fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    /// What the clock shows: the time of the latest event.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.now() - self.start
    }

    /// Schedules an event. What would lie in the past happens now.
    pub fn at(&mut self, at: Instant, event: E) {
        let entry = Entry {
            at: at.max(self.now()),
            number: self.scheduled,
            event,
        };
        self.scheduled += 1;
        self.entries.push(Reverse(entry));
    }

    /// Schedules an event so long from now.
    pub fn after(&mut self, wait: Duration, event: E) {
        self.at(self.now() + wait, event);
    }

    /// Moves the clock to the next event and hands it out.
    pub fn next_event(&mut self) -> Option<E> {
        let Reverse(entry) = self.entries.pop()?;
        self.clock.set(entry.at);
        Some(entry.event)
    }

    /// Hands each event before `end` to `happen`, which may schedule more,
    /// and moves the clock to `end`. Later events stay.
    pub fn run_until(&mut self, end: Duration, mut happen: impl FnMut(&mut Self, E)) {
        let end = self.start + end;
        while self.entries.peek().is_some_and(|next| next.0.at < end) {
            if let Some(event) = self.next_event() {
                happen(self, event);
            }
        }
        self.clock.set(end.max(self.now()));
    }

    /// Hands each event to `happen` until none is left.
    pub fn run(&mut self, mut happen: impl FnMut(&mut Self, E)) {
        while let Some(event) = self.next_event() {
            happen(self, event);
        }
    }

    /// How many events are to come.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is to come.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Agenda<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agenda")
            .field("elapsed", &self.elapsed())
            .field("to_come", &self.len())
            .finish_non_exhaustive()
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}
