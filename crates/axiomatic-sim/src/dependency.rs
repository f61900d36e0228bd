use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use axiomatic_core::{Outcome, Ratio};

use crate::{Random, ServiceTime, Timeline};

/// What is called: how long it takes and how often it fails, over time, and
/// how much it can do at once.
///
/// Unless it is given workers, it works on any number of requests at once.
/// With workers, requests wait in line for one, first come, first served, and
/// whoever called has no say any more: a request whose caller has given up is
/// still worked on, which is what keeps an overloaded server overloaded.
///
/// ```
/// use axiomatic_core::{Outcome, Ratio};
/// use axiomatic_sim::{Dependency, Random, ServiceTime, Timeline};
/// use std::time::Duration;
///
/// let second = Duration::from_secs;
/// let mut payment = Dependency::new(ServiceTime::Constant(Duration::from_millis(50)))
///     .failing(Timeline::always(Ratio::ZERO).during(second(20)..second(40), Ratio::ONE))
///     .with_workers(1);
/// let mut random = Random::new(1);
///
/// let first = payment.call(second(10), &mut random);
/// let second_in_line = payment.call(second(10), &mut random);
/// assert_eq!(first.outcome, Outcome::Success);
/// assert_eq!(first.after, Some(Duration::from_millis(50)));
/// assert_eq!(second_in_line.after, Some(Duration::from_millis(100)));
/// assert_eq!(payment.call(second(30), &mut random).outcome, Outcome::Transient);
/// ```
#[derive(Clone, Debug)]
pub struct Dependency {
    takes: Timeline<ServiceTime>,
    errors: Timeline<Ratio>,
    line: Option<Line>,
}

/// Workers, and who waits for one. The end of each request is known when it
/// comes, since nobody leaves the line: so there is nothing to schedule.
#[derive(Clone, Debug)]
struct Line {
    /// When each of the workers is free; a worker that is not in here has
    /// never worked.
    free_at: BinaryHeap<Reverse<Duration>>,
    workers: usize,
    /// When those who wait will begin, in order.
    begins: VecDeque<Duration>,
    places: usize,
}

/// What will come of a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In how long; never, if the dependency hangs.
    pub after: Option<Duration>,
    /// What it says.
    pub outcome: Outcome,
}

impl Dependency {
    /// One that works, with these service times.
    pub fn new(takes: impl Into<Timeline<ServiceTime>>) -> Self {
        Dependency {
            takes: takes.into(),
            errors: Timeline::always(Ratio::ZERO),
            line: None,
        }
    }

    /// This share of the answers are errors. An error takes as long as a good
    /// answer.
    #[must_use]
    pub fn failing(mut self, errors: impl Into<Timeline<Ratio>>) -> Self {
        self.errors = errors.into();
        self
    }

    /// It works on so many requests at once, and at least on one; the others
    /// wait in line.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        let places = self.line.map_or(usize::MAX, |line| line.places);
        self.line = Some(Line {
            free_at: BinaryHeap::new(),
            workers: workers.max(1),
            begins: VecDeque::new(),
            places,
        });
        self
    }

    /// So many can wait in line; who comes to a full line is throttled at
    /// once. Without workers it has no effect, for nobody waits.
    #[must_use]
    pub fn with_places(mut self, places: usize) -> Self {
        if let Some(line) = &mut self.line {
            line.places = places;
        }
        self
    }

    /// Takes a call. Calls come in the order of their times; health and
    /// service time are those of the moment in which the work begins.
    ///
    /// A call that hangs takes no worker for ever: what holds a worker is a
    /// long service time.
    pub fn call(&mut self, elapsed: Duration, random: &mut Random) -> Answer {
        let Some(begin) = self.begin(elapsed) else {
            return Answer {
                after: Some(Duration::ZERO),
                outcome: Outcome::Throttled { retry_after: None },
            };
        };
        // Both are drawn always, so that the one does not shift the other.
        let fails = random.chance(self.errors.at(begin));
        let takes = self.takes.at(begin).draw(random);
        let end = takes.map(|takes| begin + takes);
        if let Some(line) = &mut self.line {
            line.free_at.push(Reverse(end.unwrap_or(begin)));
        }
        Answer {
            after: end.map(|end| end - elapsed),
            outcome: if fails {
                Outcome::Transient
            } else {
                Outcome::Success
            },
        }
    }

    /// How many wait in line.
    pub fn waiting(&mut self, elapsed: Duration) -> usize {
        self.line.as_mut().map_or(0, |line| line.waiting(elapsed))
    }

    /// When work on a call of this time begins, unless the line is full.
    fn begin(&mut self, elapsed: Duration) -> Option<Duration> {
        let Some(line) = &mut self.line else {
            return Some(elapsed);
        };
        let waiting = line.waiting(elapsed);
        if line.free_at.len() < line.workers {
            return Some(elapsed);
        }
        let Reverse(free_at) = *line.free_at.peek()?;
        if free_at > elapsed {
            if waiting >= line.places {
                return None;
            }
            line.begins.push_back(free_at);
        }
        line.free_at.pop();
        Some(free_at.max(elapsed))
    }
}

impl Line {
    fn waiting(&mut self, elapsed: Duration) -> usize {
        while self.begins.front().is_some_and(|begin| *begin <= elapsed) {
            self.begins.pop_front();
        }
        self.begins.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn busy(workers: usize) -> Dependency {
        Dependency::new(ServiceTime::Constant(SECOND)).with_workers(workers)
    }

    #[test]
    fn workers_are_taken_first_come_first_served() {
        let mut random = Random::new(1);
        let mut server = busy(2);
        let after = [1, 1, 2, 2, 3].map(|seconds| Some(seconds * SECOND));
        for expected in after {
            assert_eq!(server.call(Duration::ZERO, &mut random).after, expected);
        }
        assert_eq!(server.waiting(Duration::ZERO), 3);
        assert_eq!(server.waiting(SECOND), 1);
        assert_eq!(server.waiting(2 * SECOND), 0);
        // At 2.5 s one of the two is free.
        let late = server.call(SECOND * 5 / 2, &mut random);
        assert_eq!(late.after, Some(SECOND));
    }

    #[test]
    fn a_full_line_throttles_at_once() {
        let mut random = Random::new(1);
        let mut server = busy(1).with_places(1);
        let outcomes = [(); 3].map(|()| server.call(Duration::ZERO, &mut random).outcome);
        let throttled = Outcome::Throttled { retry_after: None };
        assert_eq!(outcomes, [Outcome::Success, Outcome::Success, throttled]);
    }

    #[test]
    fn work_that_begins_after_a_fault_does_not_suffer_from_it() {
        let mut random = Random::new(1);
        let errors = Timeline::always(Ratio::ONE).then(SECOND, Ratio::ZERO);
        let mut server = busy(1).failing(errors);
        let outcomes = [(); 2].map(|()| server.call(Duration::ZERO, &mut random).outcome);
        assert_eq!(outcomes, [Outcome::Transient, Outcome::Success]);
    }

    #[test]
    fn a_hung_call_has_no_answer_and_holds_no_worker() {
        let mut random = Random::new(1);
        let takes = Timeline::always(ServiceTime::Constant(SECOND))
            .during(Duration::ZERO..SECOND, ServiceTime::Never);
        let mut server = Dependency::new(takes).with_workers(1);
        assert_eq!(server.call(Duration::ZERO, &mut random).after, None);
        assert_eq!(server.call(SECOND, &mut random).after, Some(SECOND));
    }
}
