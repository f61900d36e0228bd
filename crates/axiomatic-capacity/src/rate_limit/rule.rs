//! What an algorithm makes of the state: which functions decide.

use axiomatic_core::time::Instant;

use super::line::{self, Grant};
use super::sliding::{self, Window};
use super::terms::{FURTHEST, Flow, LATEST, Ramp, Terms};
use super::word_cell::Bid;
use super::{ConfigError, Inheritance, Quota};

/// How a quota is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A line in virtual time.
    Line(Flow),
    /// A bucket that is filled up in each period, which is a line in steps of
    /// all that it holds.
    Fixed,
    /// Counts of windows.
    Sliding,
}

/// What is asked for.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) cells: u32,
    /// Until when it may be put off, in nanoseconds; not at all, if that has
    /// passed.
    pub(crate) until: Instant,
    /// How many cells may be ahead that are not due yet, its own included.
    pub(crate) most_ahead: u32,
}

impl Ask {
    /// What is not put off at all.
    #[inline(always)]
    pub(crate) fn at_once(now: Instant, cells: u32) -> Self {
        Ask {
            cells,
            until: now,
            most_ahead: 0,
        }
    }
}

/// What is decided.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The state with the grant, which is good from then on.
    Granted(u64, Grant, Instant),
    /// Not before then, if nobody else comes.
    Spent(Instant),
    /// Never: it costs more than a burst.
    TooMuch,
    /// The terms have to begin anew.
    Renew,
}

/// What is bid for at once on a steady line: the one decision that has to be
/// fast. It grants what [`Rule::take`] does.
#[inline(always)]
pub(crate) fn steady(terms: &Terms, now: Instant, cells: u32) -> Option<Bid> {
    let time = terms.at(&Flow::Steady, now);
    let units = terms.units_of(cells);
    let is_possible = time <= LATEST && units <= terms.burst;
    is_possible.then(|| Bid {
        time,
        units,
        latest: time + terms.burst,
    })
}

impl Rule {
    /// Whether a quota can be kept so.
    pub(crate) fn check(self, quota: &Quota) -> Result<(), ConfigError> {
        quota.check()?;
        if self.is_window() && quota.at_once() != quota.count() {
            return Err(ConfigError::WindowBurst(*quota));
        }
        if self == Rule::Sliding && u64::from(quota.count().get()) > sliding::MOST {
            return Err(ConfigError::WindowCount(*quota));
        }
        Ok(())
    }

    /// Whether it has no burst but its count.
    pub(crate) fn is_window(self) -> bool {
        matches!(self, Rule::Fixed | Rule::Sliding)
    }

    #[inline(always)]
    fn flow(self) -> Flow {
        match self {
            Rule::Line(flow) => flow,
            Rule::Fixed | Rule::Sliding => Flow::Stepped,
        }
    }

    /// The terms of a limiter that was not asked yet.
    pub(crate) fn first_terms(self, quota: &Quota) -> Terms {
        match self {
            Rule::Line(Flow::Warming(_)) => Terms::asleep(quota),
            _ => Terms::of(quota, self.flow(), Instant::from_nanos(0)),
        }
    }

    /// Whether there is something for a call that does not wait.
    #[inline(always)]
    pub(crate) fn take(self, terms: &Terms, state: u64, now: Instant, cells: u32) -> Verdict {
        let flow = match self {
            Rule::Line(flow) => flow,
            Rule::Fixed => Flow::Stepped,
            Rule::Sliding => return slide(terms, state, now, cells),
        };
        let time = terms.at(&flow, now);
        if time > LATEST || self.is_cold(terms, state, time) {
            return Verdict::Renew;
        }
        let grant = line::next(state, time, terms.units_of(cells));
        if grant.end <= time + terms.burst {
            return Verdict::Granted(grant.end, grant, now);
        }
        if grant.units > terms.burst {
            return Verdict::TooMuch;
        }
        Verdict::Spent(terms.when(&flow, grant.ready(terms.burst)))
    }

    /// The same for one that may be put off.
    pub(crate) fn reserve(self, terms: &Terms, state: u64, now: Instant, ask: &Ask) -> Verdict {
        let due = match self.take(terms, state, now, ask.cells) {
            Verdict::Spent(due) if self != Rule::Sliding => due,
            decided => return decided,
        };
        let time = terms.at(&self.flow(), now);
        let grant = line::next(state, time, terms.units_of(ask.cells));
        let ahead = grant.ready(terms.burst) - time;
        if due > ask.until || ahead > terms.units_of(ask.most_ahead).min(FURTHEST) {
            return Verdict::Spent(due);
        }
        Verdict::Granted(grant.end, grant, due)
    }

    /// Virtual time, where there is a line that ends in it.
    pub(crate) fn line_at(self, terms: &Terms, now: Instant) -> Option<u64> {
        (self != Rule::Sliding).then(|| terms.at(&self.flow(), now))
    }

    /// From when on a grant is good that ends there.
    pub(crate) fn due(self, terms: &Terms, now: Instant, grant: Grant) -> Instant {
        terms.when(&self.flow(), grant.ready(terms.burst)).max(now)
    }

    /// The state once so many cells are put back that a sliding window counted.
    pub(crate) fn refund(self, terms: &Terms, state: u64, now: Instant, cells: u32) -> u64 {
        window(terms).refund(state, now, u64::from(cells))
    }

    /// The state without a grant of a sliding window.
    pub(crate) fn uncount(self, terms: &Terms, state: u64, now: Instant, grant: Grant) -> u64 {
        window(terms).uncount(state, now, grant.end, grant.units)
    }

    /// The state in which at most so many cells are available.
    pub(crate) fn leave(self, terms: &Terms, state: u64, now: Instant, cells: u32) -> u64 {
        match self.line_at(terms, now) {
            Some(time) => line::leave(state, time, terms.burst, terms.units_of(cells)),
            None => window(terms).leave(state, now, u64::from(cells)),
        }
    }

    /// The state in which the next one is due then, or later. A sliding window
    /// knows no later, and is emptied.
    pub(crate) fn pause(self, terms: &Terms, state: u64, now: Instant, until: Instant) -> u64 {
        if self == Rule::Sliding {
            return window(terms).leave(state, now, 0);
        }
        let now = terms.at(&self.flow(), now);
        let time = terms.by(&self.flow(), until).min(now + FURTHEST);
        state.max(time + terms.burst - terms.units_of(1))
    }

    /// How many cells could be had at once.
    pub(crate) fn available(self, terms: &Terms, state: u64, now: Instant) -> u64 {
        if self == Rule::Sliding {
            return window(terms).available(state, now);
        }
        let time = terms.at(&self.flow(), now);
        line::available(state, time, terms.burst) >> terms.shift
    }

    /// When there is one more than is available: of a limit at rest, when the
    /// first would come back that is taken now.
    pub(crate) fn more_at(self, terms: &Terms, state: u64, now: Instant) -> Instant {
        let available = self.available(terms, state, now);
        let Some(time) = self.line_at(terms, now) else {
            return window(terms).more_at(state, now, available);
        };
        let more = (available + 1) << terms.shift;
        let at = if more > terms.burst {
            time + terms.units_of(1)
        } else {
            state.saturating_sub(terms.burst - more)
        };
        terms.when(&self.flow(), at).max(now)
    }

    /// By when all of it is available again, if nobody else comes.
    pub(crate) fn full_at(self, terms: &Terms, state: u64, now: Instant) -> Instant {
        if self == Rule::Sliding {
            return window(terms).full_at(state, now);
        }
        terms.when(&self.flow(), state).max(now)
    }

    /// Whether it was idle for so long that it has to get warm.
    #[inline(always)]
    fn is_cold(self, terms: &Terms, state: u64, time: u64) -> bool {
        let Rule::Line(Flow::Warming(Ramp { cools_after, .. })) = self else {
            return false;
        };
        // Even if it cools at once, it is warm while it has something to do.
        terms.is_asleep() || time.saturating_sub(state) >= terms.span(cools_after).max(1)
    }

    /// Whether it has to get warm, at an instant.
    pub(crate) fn is_cold_at(self, terms: &Terms, state: u64, now: Instant) -> bool {
        self.is_cold(terms, state, terms.at(&self.flow(), now))
    }

    /// Whether the terms have to begin anew before the state is changed.
    pub(crate) fn is_over(self, terms: &Terms, state: u64, now: Instant) -> bool {
        if self == Rule::Sliding {
            return window(terms).is_late(now);
        }
        let time = terms.at(&self.flow(), now);
        time > LATEST || self.is_cold(terms, state, time)
    }

    /// Terms that begin anew, and the state in them; none, if they need not.
    pub(crate) fn renewed(
        self,
        quota: &Quota,
        terms: &Terms,
        state: u64,
        now: Instant,
    ) -> Option<(Terms, u64)> {
        if self == Rule::Sliding {
            let window = window(terms);
            return window.is_late(now).then(|| {
                let (window, state) = window.renewed(state, now);
                let since = window.since;
                (Terms { since, ..*terms }, state)
            });
        }
        let flow = self.flow();
        let time = terms.at(&flow, now);
        if self.is_cold(terms, state, time) {
            let cold = Terms::of(quota, flow, now);
            // One may come, and then one at a time.
            let time = cold.at(&flow, now);
            return Some((cold, time + cold.burst - cold.units_of(1)));
        }
        (time > LATEST).then(|| {
            let mut anew = Terms::of(quota, flow, now);
            if let Flow::Warming(ramp) = flow {
                anew.since = ramp.warm_since(now);
            }
            let taken = state.saturating_sub(time);
            (anew, anew.at(&flow, now) + taken)
        })
    }

    /// The terms of another quota from an instant on.
    pub(crate) fn changed(self, terms: &Terms, quota: &Quota, now: Instant) -> Terms {
        match self {
            // Neither since when virtual time runs nor how warm it is depends
            // on the quota.
            Rule::Line(Flow::Steady | Flow::Warming(_)) => Terms {
                since: terms.since,
                ..Terms::of(quota, Flow::Steady, now)
            },
            Rule::Sliding | Rule::Fixed | Rule::Line(Flow::Stepped) => {
                let anew = Terms::of(quota, Flow::Stepped, now);
                let since = if anew.inverse == terms.inverse {
                    terms.since
                } else {
                    anew.since
                };
                Terms { since, ..anew }
            }
        }
    }

    /// The state under other terms.
    pub(crate) fn inherited(
        self,
        (old, state): (&Terms, u64),
        new: &Terms,
        inheritance: Inheritance,
        now: Instant,
    ) -> u64 {
        if self == Rule::Sliding {
            let (before, after) = (window(old), window(new));
            let is_same = old.since == new.since && before.period == after.period;
            if is_same && inheritance == Inheritance::Additive {
                return state;
            }
            let available = i128::from(before.available(state, now));
            let available = inheritance.of(available, (before.limit, 0), (after.limit, 0));
            return after.with(after.limit - available.max(0) as u64, now);
        }
        let flow = self.flow();
        let ahead = state.saturating_sub(old.at(&flow, now));
        let available = i128::from(old.burst) - i128::from(ahead);
        let available = inheritance.of(available, (old.burst, old.shift), (new.burst, new.shift));
        // At most a burst is available, and what is reserved has its bounds.
        let ahead = i128::from(new.burst) - available;
        let most = new.burst + FURTHEST;
        new.at(&flow, now) + u64::try_from(ahead).unwrap_or(most).min(most)
    }
}

#[inline(always)]
fn window(terms: &Terms) -> Window {
    Window {
        since: terms.since,
        period: terms.inverse,
        limit: terms.pace,
    }
}

fn slide(terms: &Terms, state: u64, now: Instant, cells: u32) -> Verdict {
    let window = window(terms);
    if window.is_late(now) {
        return Verdict::Renew;
    }
    let units = u64::from(cells);
    if units > window.limit {
        return Verdict::TooMuch;
    }
    match window.take(state, now, units) {
        Ok(state) => {
            // Its place is the window that counts it.
            let end = sliding::number(state);
            Verdict::Granted(state, Grant { end, units }, now)
        }
        Err(due) => Verdict::Spent(due),
    }
}
