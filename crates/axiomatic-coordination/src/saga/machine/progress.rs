//! How far a saga is, as its log tells.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::super::record::{Kind, Record, Stage};
use super::graph::{Class, Graph, Spec, StepNo, Work};
use super::slots::{MOST_ITEMS, Slot, Slots};
use super::standing::{Standing, next};
use crate::Timestamp;

/// How far a saga is: what all its lines, one after the other, have made of
/// it. Nothing else is known when an executor takes it over.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    steps: Vec<Slots>,
    direction: Direction,
    signals: Vec<(Arc<str>, Bytes)>,
    /// How often an operator had it go forward again: actions done anew have
    /// other keys.
    round: u32,
    /// What it turned for, or is stuck for: the step and what was said of it.
    why: Option<(Arc<str>, Bytes)>,
}

/// Which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// Steps are done.
    Forward,
    /// Steps are undone.
    Back,
    /// Nowhere: an operator gave it up.
    Nowhere,
}

impl Progress {
    /// That of a saga of which nothing is written.
    pub(crate) fn new(graph: &Graph) -> Self {
        let slots = |spec: &Spec| match spec.work {
            Work::Each(_) => Slots::Many {
                slots: Vec::new(),
                are_all: false,
            },
            _ => Slots::One(Slot::NEW),
        };
        Progress {
            steps: graph.steps.iter().map(slots).collect(),
            direction: Direction::Forward,
            signals: Vec::new(),
            round: 0,
            why: None,
        }
    }

    /// Goes on by a line of the log that was written then.
    ///
    /// # Errors
    ///
    /// [`Illegal`] if no executor writes such a line here; nothing is changed.
    pub(crate) fn apply(
        &mut self,
        graph: &Graph,
        record: &Record,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        let illegal = |why| Illegal {
            kind: record.kind,
            step: record.step.clone(),
            why,
        };
        // An end: what was in flight then is not heard of.
        if self.direction == Direction::Nowhere
            && !matches!(record.kind, Kind::Signalled | Kind::Refused)
        {
            return Err(illegal("it was given up"));
        }
        match record.kind {
            Kind::Signalled => {
                self.signals
                    .push((record.step.clone(), record.data.clone()));
                return Ok(());
            }
            Kind::Refused => return Ok(()),
            Kind::Abandoned => {
                self.direction = Direction::Nowhere;
                self.why = Some((record.step.clone(), record.data.clone()));
                return Ok(());
            }
            // A pivot of which it is not known whether it was done has nothing
            // that undoes it.
            Kind::Turned if self.direction == Direction::Forward && !self.is_committing(graph) => {
                self.direction = Direction::Back;
                self.why = Some((record.step.clone(), record.data.clone()));
                return Ok(());
            }
            Kind::Turned => return Err(illegal("it cannot turn here")),
            // It was put aside, and is run again as it is.
            Kind::Resumed if record.step.is_empty() && !self.is_stuck() => return Ok(()),
            Kind::Resumed if record.step.is_empty() => {
                return self.go_forward_again(graph).map_err(illegal);
            }
            _ => {}
        }
        let step = graph.find(&record.step);
        let step = step.ok_or_else(|| illegal("there is no such step"))?;
        let before = self.standing(step, record.item);
        let before = before.ok_or_else(|| illegal("there is no such item"))?;
        let standing = next(before, record.kind);
        let standing = standing.ok_or_else(|| illegal("it does not follow"))?;
        if standing == Standing::Failed && graph.spec(step).class == Class::Retriable {
            return Err(illegal("such a step is tried until it is done"));
        }
        if !goes(self.direction, before, record.kind) {
            return Err(illegal("it goes the other way"));
        }
        let spec = graph.spec(step);
        // A builder puts all that can be undone before the pivot: a log that
        // has it otherwise is that of another definition.
        if spec.class == Class::Compensatable && self.is_committing(graph) {
            return Err(illegal("its pivot was begun without this step"));
        }
        let commits = matches!(record.kind, Kind::Began | Kind::Done | Kind::Doubted);
        if spec.class == Class::Pivot && commits && !self.may_commit(graph) {
            return Err(illegal("a step before this pivot is not done"));
        }
        if standing.is_of_undo() && !before.is_to_undo(spec.undo) {
            return Err(illegal("there is nothing to undo"));
        }
        let slot = self.slot_mut(step, record.item);
        let slot = slot.ok_or_else(|| illegal("there is no such item"))?;
        slot.standing = standing;
        slot.at = at;
        slot.in_flight = false;
        match record.kind {
            // Older logs begin to count anew when an operator has it tried.
            Kind::Began => {
                slot.attempts = slot.attempts.max(record.attempt);
                slot.fault = None;
            }
            Kind::Doubted => {
                slot.attempts = slot.attempts.max(record.attempt);
                slot.fault = Some(record.data.clone());
            }
            Kind::UndoBegan => {
                slot.undo_attempts = slot.undo_attempts.max(record.attempt);
                slot.fault = None;
            }
            Kind::UndoDoubted => {
                slot.undo_attempts = slot.undo_attempts.max(record.attempt);
                slot.fault = Some(record.data.clone());
            }
            Kind::Done => slot.output = Some(record.data.clone()),
            Kind::UndoRetried => slot.forgive_undo(),
            Kind::Resumed => slot.forgive(),
            Kind::Failed => {
                slot.has_failed = true;
                self.direction = Direction::Back;
            }
            _ => {}
        }
        if matches!(record.kind, Kind::Failed | Kind::Stuck) {
            self.why = Some((record.step.clone(), record.data.clone()));
        }
        Ok(())
    }

    /// Whether something waits for an operator.
    pub(crate) fn is_stuck(&self) -> bool {
        let stuck = match self.direction {
            Direction::Forward => Standing::Stuck,
            Direction::Back => Standing::UndoStuck,
            Direction::Nowhere => return false,
        };
        let mut slots = self.steps.iter().flat_map(Slots::all);
        slots.any(|slot| slot.standing == stuck)
    }

    /// A saga that was stuck while it was unwound goes forward again: what
    /// could not be undone is as done as it was, what was undone is done anew,
    /// and so is what was done with what that put out.
    fn go_forward_again(&mut self, graph: &Graph) -> Result<(), &'static str> {
        if self.direction != Direction::Back {
            return Err("it goes forward already");
        }
        let mut slots = self.steps.iter().flat_map(Slots::all);
        let is_under_way = |slot: &Slot| {
            let is_undone_now = matches!(slot.standing, Standing::Undoing | Standing::UndoInDoubt);
            is_undone_now || slot.in_flight
        };
        if slots.any(is_under_way) {
            return Err("something is being undone");
        }
        self.direction = Direction::Forward;
        self.round += 1;
        // Which steps have something that is done anew.
        let mut anew = vec![false; self.steps.len()];
        for step in graph.numbers() {
            let spec = graph.spec(step);
            let is_behind = spec.after.iter().any(|before| anew[before.index()]);
            anew[step.index()] = is_behind;
            let slots = &mut self.steps[step.index()];
            for slot in slots.all_mut() {
                // What is behind a step that was undone is left only if it has
                // no undo.
                let is_left = slot.standing.may_be_left() && !is_behind;
                if is_left {
                    slot.go_forward_again(spec.work);
                } else {
                    let round = self.round;
                    *slot = Slot { round, ..Slot::NEW };
                }
                anew[step.index()] |= !is_left;
            }
            if let Slots::Many { slots, are_all } = slots {
                // The list may be another when what is before is done anew.
                if slots.iter().all(|slot| slot.standing == Standing::Waiting) {
                    slots.clear();
                    *are_all = false;
                }
            }
        }
        Ok(())
    }

    /// What was begun is being done here.
    pub(crate) fn fly(&mut self, step: StepNo, item: u32) {
        if let Some(slot) = self.slot_mut(step, item) {
            slot.in_flight = true;
        }
    }

    /// This step is for each of so many.
    pub(crate) fn expand(&mut self, step: StepNo, items: usize) {
        let round = self.round;
        if let Slots::Many { slots, are_all } = &mut self.steps[step.index()] {
            slots.resize(slots.len().max(items), Slot { round, ..Slot::NEW });
            *are_all = true;
        }
    }

    /// Whether it is known for how many this step is.
    pub(crate) fn is_expanded(&self, step: StepNo) -> bool {
        match &self.steps[step.index()] {
            Slots::One(_) => true,
            Slots::Many { are_all, .. } => *are_all,
        }
    }

    /// How an item stands. Of one that the list, as far as it is known, does
    /// not have there is nothing to say.
    fn standing(&self, step: StepNo, item: u32) -> Option<Standing> {
        let slots = &self.steps[step.index()];
        let slot = slots.all().get(item as usize);
        match (slot, slots) {
            (Some(slot), _) => Some(slot.standing),
            // The list is known again before the step goes on.
            (None, Slots::Many { are_all: false, .. }) if (item as usize) < MOST_ITEMS => {
                Some(Standing::Waiting)
            }
            (None, _) => None,
        }
    }

    fn slot_mut(&mut self, step: StepNo, item: u32) -> Option<&mut Slot> {
        self.standing(step, item)?;
        let round = self.round;
        let slots = &mut self.steps[step.index()];
        if let Slots::Many { slots, .. } = slots {
            let needed = slots.len().max(item as usize + 1);
            slots.resize(needed, Slot { round, ..Slot::NEW });
        }
        slots.all_mut().get_mut(item as usize)
    }

    /// The items of a step; one, unless it is for each of many.
    pub(crate) fn slots(&self, step: StepNo) -> &[Slot] {
        self.steps[step.index()].all()
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    /// The payload of the first signal of this name.
    pub(crate) fn signal(&self, name: &str) -> Option<&Bytes> {
        let found = self.signals.iter().find(|(signal, _)| &**signal == name);
        found.map(|(_, payload)| payload)
    }

    /// Whether all of a step is done.
    pub(crate) fn is_done(&self, step: StepNo) -> bool {
        let mut slots = self.slots(step).iter();
        self.is_expanded(step) && slots.all(|slot| slot.standing == Standing::Done)
    }

    /// Whether there is no way back.
    pub(crate) fn is_committed(&self, graph: &Graph) -> bool {
        let mut pivots = graph
            .numbers()
            .filter(|step| graph.spec(*step).class == Class::Pivot);
        pivots.any(|pivot| self.is_done(pivot))
    }

    /// Whether it turns when its deadline has passed. An operator who has it go
    /// forward again has decided that it is not too late.
    pub(crate) fn heeds_deadline(&self, graph: &Graph) -> bool {
        self.round == 0 && !self.is_committing(graph)
    }

    /// Whether all before the pivot is done, as far as it is known. Of a list
    /// that was not read there is nothing to say.
    fn may_commit(&self, graph: &Graph) -> bool {
        let mut before = graph
            .numbers()
            .filter(|step| graph.spec(*step).class == Class::Compensatable);
        before.all(|step| {
            let mut slots = self.slots(step).iter();
            slots.all(|slot| slot.standing == Standing::Done)
        })
    }

    /// Whether the pivot was begun: whether there is a way back is not known
    /// until it ends.
    pub(crate) fn is_committing(&self, graph: &Graph) -> bool {
        let mut pivots = graph
            .numbers()
            .filter(|step| graph.spec(*step).class == Class::Pivot);
        pivots.any(|pivot| {
            // One that only waits has done nothing before it passes.
            let waits = graph.spec(pivot).work.only_waits();
            let mut slots = self.slots(pivot).iter();
            slots.any(|slot| match slot.standing {
                standing if waits => standing == Standing::Done,
                // One in the saga's own database is not said to have begun.
                Standing::Waiting => slot.in_flight,
                standing => standing != Standing::Failed,
            })
        })
    }

    /// Why it turned, or is stuck, as JSON; nothing, if it never did.
    pub(crate) fn why(&self) -> Option<Bytes> {
        let (step, said) = self.why.as_ref()?;
        let said: serde_json::Value = serde_json::from_slice(said).unwrap_or_default();
        let why = serde_json::json!({ "step": &**step, "why": said });
        Some(why.to_string().into())
    }

    /// How far it is, if it has not ended.
    pub(crate) fn stage(&self) -> Stage {
        match self.direction {
            Direction::Forward => Stage::Running,
            Direction::Back => Stage::Unwinding,
            Direction::Nowhere => Stage::Abandoned,
        }
    }
}

/// Whether a line of a step that stood so is written while it goes this way.
///
/// An action that was begun before the saga turned may end after.
fn goes(direction: Direction, from: Standing, kind: Kind) -> bool {
    match kind {
        Kind::Began | Kind::Resumed => direction == Direction::Forward,
        Kind::Stuck if !from.is_of_undo() => direction == Direction::Forward,
        Kind::Stuck
        | Kind::UndoBegan
        | Kind::Undone
        | Kind::UndoDoubted
        | Kind::UndoRetried
        | Kind::UndoSkipped => direction == Direction::Back,
        _ => true,
    }
}

/// A line that cannot follow those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Illegal {
    kind: Kind,
    step: Arc<str>,
    why: &'static str,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Illegal { kind, step, why } = self;
        write!(
            f,
            "the log says {:?} of step {step:?}: {why}",
            kind.as_str()
        )
    }
}

impl Error for Illegal {}
