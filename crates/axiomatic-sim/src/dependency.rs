use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use axiomatic_core::time::saturating_nanos;
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
    restarts: Option<Restarts>,
}

/// How a dependency restarts.
///
/// ```
/// use axiomatic_core::Outcome;
/// use axiomatic_sim::{Dependency, Random, Restart, ServiceTime};
/// use std::time::Duration;
///
/// let second = Duration::from_secs;
/// let restart = Restart { down_for: second(5), slower: 10, warm_after: second(20) };
/// let mut search = Dependency::new(ServiceTime::Constant(Duration::from_millis(50)))
///     .with_workers(2)
///     .restarting(second(60), restart);
/// let mut random = Random::new(1);
///
/// assert_eq!(search.call(second(62), &mut random).outcome, Outcome::Transient);
/// let cold = search.call(second(65), &mut random);
/// assert_eq!(cold.after, Some(Duration::from_millis(500)));
/// let warm = search.call(second(85), &mut random);
/// assert_eq!(warm.after, Some(Duration::from_millis(50)));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// How long it is down. Calls fail at once meanwhile.
    pub down_for: Duration,
    /// How many times as long as usual it takes for a request at first.
    pub slower: u32,
    /// When it is as fast as usual, on a straight line.
    pub warm_after: Duration,
}

/// When a dependency is down.
#[derive(Clone, Debug)]
struct Restarts {
    restart: Restart,
    /// From when on it is down.
    planned: Option<Duration>,
    /// When it last started, or will.
    started: Option<Duration>,
}

/// Workers, and who waits for one. The end of each request is known when it
/// comes, since nobody leaves the line: so there is nothing to schedule.
#[derive(Clone, Debug)]
struct Line {
    /// When each of those that are or will be worked on is done.
    done_at: BinaryHeap<Reverse<Duration>>,
    workers: Timeline<usize>,
    /// When the latest began or will: nobody overtakes.
    last_begin: Duration,
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
            restarts: None,
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
    /// wait in line. Who is being worked on when there are fewer workers is
    /// finished, and the others wait until no more than those are busy.
    ///
    /// ```
    /// use axiomatic_sim::{Dependency, Random, ServiceTime, Timeline};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs;
    /// let mut search = Dependency::new(ServiceTime::Constant(second(1)))
    ///     .with_workers(Timeline::always(1).then(second(60), 2));
    /// let mut random = Random::new(1);
    /// let mut after = |at| search.call(second(at), &mut random).after;
    /// assert_eq!([after(10), after(10)], [Some(second(1)), Some(second(2))]);
    /// assert_eq!([after(60), after(60)], [Some(second(1)), Some(second(1))]);
    /// ```
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Timeline<usize>>) -> Self {
        let places = self.line.map_or(usize::MAX, |line| line.places);
        self.line = Some(Line {
            done_at: BinaryHeap::new(),
            workers: workers.into(),
            last_begin: Duration::ZERO,
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

    /// It restarts at this time; and whenever somebody comes to a full line,
    /// since it does not say no but falls over. It finishes what it has begun
    /// or has in line, since the end of each request is known when it comes.
    #[must_use]
    pub fn restarting(mut self, at: Duration, restart: Restart) -> Self {
        self.restarts = Some(Restarts {
            restart,
            planned: Some(at),
            started: None,
        });
        self
    }

    /// Takes a call. Calls come in the order of their times; health and
    /// service time are those of the moment in which the work begins.
    ///
    /// A call that hangs takes no worker for ever: what holds a worker is a
    /// long service time.
    pub fn call(&mut self, elapsed: Duration, random: &mut Random) -> Answer {
        let at_once = |outcome| Answer {
            after: Some(Duration::ZERO),
            outcome,
        };
        if self.restarts.as_mut().is_some_and(|it| it.is_down(elapsed)) {
            return at_once(Outcome::Transient);
        }
        let Some(begin) = self.begin(elapsed) else {
            return at_once(match &mut self.restarts {
                None => Outcome::Throttled { retry_after: None },
                Some(restarts) => restarts.fall_over(elapsed),
            });
        };
        // Both are drawn always, so that the one does not shift the other.
        let fails = random.chance(self.errors.at(begin));
        let takes = self.takes.at(begin).draw(random);
        let takes = match &self.restarts {
            None => takes,
            Some(restarts) => takes.map(|takes| restarts.slowed(takes, begin)),
        };
        let end = takes.map(|takes| begin + takes);
        if let Some(line) = &mut self.line {
            line.done_at.push(Reverse(end.unwrap_or(begin)));
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
        match &mut self.line {
            Some(line) => line.begin(elapsed),
            None => Some(elapsed),
        }
    }
}

impl Restarts {
    fn is_down(&mut self, elapsed: Duration) -> bool {
        if let Some(planned) = self.planned.filter(|planned| *planned <= elapsed) {
            self.planned = None;
            self.started = Some(planned + self.restart.down_for);
        }
        self.started.is_some_and(|started| elapsed < started)
    }

    fn fall_over(&mut self, elapsed: Duration) -> Outcome {
        self.started = Some(elapsed + self.restart.down_for);
        Outcome::Transient
    }

    /// What takes so long when it is warm.
    fn slowed(&self, takes: Duration, begin: Duration) -> Duration {
        let Some(started) = self.started else {
            return takes;
        };
        let warm_after = self.restart.warm_after;
        let cold_for = warm_after.saturating_sub(begin.saturating_sub(started));
        let [cold_for, warm_after, takes] =
            [cold_for, warm_after, takes].map(|time| u128::from(saturating_nanos(time)));
        let more = u128::from(self.restart.slower.saturating_sub(1));
        let longer = takes * more * cold_for / warm_after.max(1);
        Duration::from_nanos(u64::try_from(takes + longer).unwrap_or(u64::MAX))
    }
}

impl Line {
    fn begin(&mut self, elapsed: Duration) -> Option<Duration> {
        let waiting = self.waiting(elapsed);
        let mut begin = elapsed.max(self.last_begin);
        if begin > elapsed || !self.has_a_worker(begin) {
            if waiting >= self.places {
                return None;
            }
            // There is always one worker at least, so somebody is busy.
            while !self.has_a_worker(begin) {
                let Reverse(done_at) = *self.done_at.peek()?;
                let changes = self.workers.stays_until(begin);
                begin = changes.map_or(done_at, |at| at.min(done_at));
            }
            if begin > elapsed {
                self.begins.push_back(begin);
            }
        }
        self.last_begin = begin;
        Some(begin)
    }

    /// Forgets who is done by then, since nobody begins earlier any more.
    fn has_a_worker(&mut self, at: Duration) -> bool {
        while self.done_at.peek().is_some_and(|done| done.0 <= at) {
            self.done_at.pop();
        }
        self.done_at.len() < self.workers.at(at).max(1)
    }

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
    fn fewer_workers_finish_what_was_begun_and_more_take_from_the_line() {
        let mut random = Random::new(1);
        let workers = Timeline::always(2)
            .then(SECOND / 2, 1)
            .then(SECOND * 5 / 2, 3);
        let mut server = Dependency::new(ServiceTime::Constant(SECOND)).with_workers(workers);
        // Two at once, then one at a time, and three from 2.5 s on.
        for halves in [2, 2, 4, 6, 7, 7] {
            let after = server.call(Duration::ZERO, &mut random).after;
            assert_eq!(after, Some(SECOND * halves / 2));
        }
        assert_eq!(server.waiting(SECOND), 3);
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
    fn who_comes_to_a_full_line_may_find_that_it_falls_over() {
        let mut random = Random::new(1);
        let restart = Restart {
            down_for: 2 * SECOND,
            slower: 3,
            warm_after: 10 * SECOND,
        };
        let mut server = busy(1).with_places(1).restarting(60 * SECOND, restart);
        let mut call = |seconds: u32| {
            let answer = server.call(seconds * SECOND, &mut random);
            (answer.outcome, answer.after.expect("it answers"))
        };
        assert_eq!(call(0), (Outcome::Success, SECOND));
        assert_eq!(call(0), (Outcome::Success, 2 * SECOND));
        assert_eq!(call(0), (Outcome::Transient, Duration::ZERO));
        assert_eq!(call(1), (Outcome::Transient, Duration::ZERO), "down");
        assert_eq!(call(2), (Outcome::Success, 3 * SECOND), "cold");
        assert_eq!(call(7), (Outcome::Success, 2 * SECOND), "lukewarm");
        assert_eq!(call(12), (Outcome::Success, SECOND), "warm");
        assert_eq!(call(61), (Outcome::Transient, Duration::ZERO), "planned");
        assert_eq!(call(62), (Outcome::Success, 3 * SECOND));
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
