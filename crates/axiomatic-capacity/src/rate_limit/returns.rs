//! What was granted and is not used, put back, or taken away.

use std::sync::PoisonError;

use axiomatic_core::sync::MutexGuard;
use axiomatic_core::time::Instant;

use super::core::{Core, Taken};
use super::holes::Holes;
use super::line::{self, Grant};
use super::rule::{Ask, Rule};
use super::terms::Terms;
use super::word_cell::Step;

impl Core {
    /// What was granted and is not used. The last in line leaves no place
    /// behind; of others it is kept for who comes next.
    pub(crate) fn give_back(&self, now: Instant, taken: Taken) {
        let Some(granted) = taken.generation else {
            return;
        };
        let mut holes = self.lock_holes();
        self.enter(&mut holes);
        let end = taken.grant.end;
        let start = taken.grant.start();
        let kept = self.word.decide(|generation, terms, state| {
            if generation != granted {
                return Step::Stay(None);
            }
            match self.rule.line_at(terms, now) {
                None if self.rule.is_over(terms, state, now) => Step::Stay(None),
                None => Step::To(self.rule.uncount(terms, state, now, taken.grant), None),
                Some(_) if state == end => Step::To(start, None),
                // Behind the end, where somebody put back more than that.
                Some(time) => Step::Stay((state > end).then_some(time)),
            }
        });
        match kept {
            Some(time) => holes.add(start, end, time),
            None => self.retreat(&mut holes, granted, start),
        }
        self.has_holes.store(u64::from(!holes.is_empty()));
    }

    /// Cuts off the place that the line now ends with, if there is one.
    fn retreat(&self, holes: &mut Holes, of: u8, end: u64) {
        let start = holes.retreat(end);
        if start == end {
            return;
        }
        let is_cut = self.word.decide(|generation, _, state| {
            if generation == of && state == end {
                Step::To(start, true)
            } else {
                Step::Stay(false)
            }
        });
        if !is_cut {
            // Somebody came behind it meanwhile.
            holes.add(start, end, 0);
        }
    }

    /// Nothing that was given up is left.
    fn forget_holes(&self) {
        if self.has_holes.load() > 0 {
            self.lock_holes().clear();
            self.has_holes.store(0);
        }
    }

    /// Puts so many back.
    pub(crate) fn refund(&self, now: Instant, cells: u32) {
        if self.rule == Rule::Sliding {
            self.put(now, |terms, state| {
                self.rule.refund(terms, state, now, cells)
            });
            return;
        }
        // What was given up is free already, and what the line no longer
        // reaches is not kept besides.
        let mut holes = self.lock_holes();
        let (entered, _) = self.enter(&mut holes);
        let end = self.word.decide(|generation, terms, state| {
            let mut units = terms.units_of(cells);
            if generation == entered {
                units = holes.behind(state, units);
            }
            let end = match self.rule.line_at(terms, now) {
                Some(time) => line::refund(state, time, units),
                None => state,
            };
            Step::To(end, end)
        });
        holes.cut(end);
        self.has_holes.store(u64::from(!holes.is_empty()));
    }

    /// Leaves at most so many.
    pub(crate) fn leave(&self, now: Instant, cells: u32) {
        self.forget_holes();
        self.put(now, |terms, state| {
            self.rule.leave(terms, state, now, cells)
        });
    }

    /// Changes the state, under terms that have room for what it becomes.
    fn put(&self, now: Instant, state_of: impl Fn(&Terms, u64) -> u64) {
        loop {
            let is_put = self.word.decide(|_, terms, state| {
                if self.rule.is_over(terms, state, now) {
                    Step::Stay(false)
                } else {
                    Step::To(state_of(terms, state), true)
                }
            });
            if is_put {
                return;
            }
            self.renew(now);
        }
    }

    /// Takes a place that somebody gave up.
    pub(super) fn fill(&self, now: Instant, ask: &Ask) -> Option<Taken> {
        if self.has_holes.load() == 0 {
            return None;
        }
        let mut holes = self.lock_holes();
        let (generation, terms) = self.enter(&mut holes);
        let time = self.rule.line_at(&terms, now)?;
        let units = terms.units_of(ask.cells);
        if units > terms.burst {
            return None;
        }
        let mut due = now;
        let end = holes.take(units, time, |end| {
            let grant = Grant { end, units };
            due = self.rule.due(&terms, now, grant);
            let ahead = grant.ready(terms.burst).saturating_sub(time);
            due <= ask.until && ahead <= terms.units_of(ask.most_ahead)
        });
        self.has_holes.store(u64::from(!holes.is_empty()));
        Some(Taken {
            grant: Grant { end: end?, units },
            due,
            cells: ask.cells,
            generation: Some(generation),
        })
    }

    fn lock_holes(&self) -> MutexGuard<'_, Holes> {
        self.holes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The terms under which these are places from now on.
    fn enter(&self, holes: &mut Holes) -> (u8, Terms) {
        let entered = self
            .word
            .decide(|generation, terms, _| Step::Stay((generation, *terms)));
        holes.enter(entered.0);
        entered
    }
}
