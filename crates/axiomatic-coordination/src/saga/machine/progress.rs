//! How far a saga is, as its log tells.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::super::record::{Kind, Record, Stage};
use super::graph::{Class, Graph, StepNo};
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

/// A step, or the items of a step for each of many.
#[derive(Clone, Debug)]
enum Slots {
    One(Slot),
    /// How many there are is known when the list is.
    Many {
        slots: Vec<Slot>,
        are_all: bool,
    },
}

/// One action and its undo.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) standing: Standing,
    /// How often its action was begun.
    pub(crate) attempts: u32,
    /// How often its undo was.
    pub(crate) undo_attempts: u32,
    /// When its last line was written.
    pub(crate) at: Timestamp,
    pub(crate) output: Option<Bytes>,
    /// Its action is known not to have happened.
    pub(crate) has_failed: bool,
    /// Somebody here is doing what was begun.
    pub(crate) in_flight: bool,
    /// In which round its action was begun first: its key follows from that.
    pub(crate) round: u32,
}

impl Slot {
    const NEW: Slot = Slot {
        standing: Standing::Waiting,
        attempts: 0,
        undo_attempts: 0,
        at: Timestamp::from_micros(0),
        output: None,
        has_failed: false,
        in_flight: false,
        round: 0,
    };
}

impl Slots {
    fn all(&self) -> &[Slot] {
        match self {
            Slots::One(slot) => std::slice::from_ref(slot),
            Slots::Many { slots, .. } => slots,
        }
    }

    fn all_mut(&mut self) -> &mut [Slot] {
        match self {
            Slots::One(slot) => std::slice::from_mut(slot),
            Slots::Many { slots, .. } => slots,
        }
    }
}

impl Progress {
    /// That of a saga of which nothing is written.
    pub(crate) fn new(graph: &Graph) -> Self {
        let slots = |spec: &super::graph::Spec| match spec.work {
            super::graph::Work::Each(_) => Slots::Many {
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
            Kind::Turned if self.direction == Direction::Forward && !self.is_committed(graph) => {
                self.direction = Direction::Back;
                self.why = Some((record.step.clone(), record.data.clone()));
                return Ok(());
            }
            Kind::Turned => return Err(illegal("it cannot turn here")),
            Kind::Resumed if record.step.is_empty() => {
                return self.go_forward_again().map_err(illegal);
            }
            _ => {}
        }
        let step = graph.find(&record.step);
        let step = step.ok_or_else(|| illegal("there is no such step"))?;
        let slot = self.slot_mut(step, record.item);
        let slot = slot.ok_or_else(|| illegal("there is no such item"))?;
        let standing = next(slot.standing, record.kind);
        let standing = standing.ok_or_else(|| illegal("it does not follow"))?;
        if standing == Standing::Failed && graph.spec(step).class == Class::Retriable {
            return Err(illegal("such a step is tried until it is done"));
        }
        slot.standing = standing;
        slot.at = at;
        slot.in_flight = false;
        match record.kind {
            Kind::Began => slot.attempts = record.attempt,
            Kind::Doubted => slot.attempts = slot.attempts.max(record.attempt),
            Kind::UndoBegan => slot.undo_attempts = record.attempt,
            Kind::UndoDoubted => slot.undo_attempts = slot.undo_attempts.max(record.attempt),
            Kind::Done => slot.output = Some(record.data.clone()),
            Kind::UndoRetried => slot.undo_attempts = 0,
            Kind::Resumed => slot.attempts = 0,
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

    /// A saga that was stuck while it was unwound goes forward again: what
    /// could not be undone is as done as it was, what was undone is done anew.
    fn go_forward_again(&mut self) -> Result<(), &'static str> {
        let slots = || self.steps.iter().flat_map(Slots::all);
        if self.direction != Direction::Back {
            return Err("it goes forward already");
        }
        // What was begun and is not done here is in doubt, or waits for what
        // may never come.
        let is_under_way = |slot: &Slot| match slot.standing {
            Standing::Undoing | Standing::UndoInDoubt => true,
            _ => slot.in_flight,
        };
        if slots().any(is_under_way) {
            return Err("something is being undone");
        }
        self.direction = Direction::Forward;
        self.round += 1;
        for slot in self.steps.iter_mut().flat_map(Slots::all_mut) {
            let is_left = slot.standing.may_be_left();
            slot.standing = match (is_left, &slot.output) {
                (true, Some(_)) => Standing::Done,
                (true, None) => Standing::InDoubt,
                (false, _) => Standing::Waiting,
            };
            if !is_left {
                *slot = Slot {
                    round: self.round,
                    ..Slot::NEW
                };
            }
            (slot.attempts, slot.undo_attempts) = (0, 0);
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

    fn slot_mut(&mut self, step: StepNo, item: u32) -> Option<&mut Slot> {
        let round = self.round;
        let slots = &mut self.steps[step.index()];
        if let Slots::Many { slots, .. } = slots {
            // The list is known again before the step goes on.
            let needed = item as usize + 1;
            if needed > slots.len() && needed <= MOST_ITEMS {
                slots.resize(needed, Slot { round, ..Slot::NEW });
            }
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

    /// Whether the pivot was begun: whether there is a way back is not known
    /// until it ends.
    pub(crate) fn is_committing(&self, graph: &Graph) -> bool {
        let mut pivots = graph
            .numbers()
            .filter(|step| graph.spec(*step).class == Class::Pivot);
        pivots.any(|pivot| {
            let standing = self.slots(pivot)[0].standing;
            standing != Standing::Waiting && standing != Standing::Failed
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

/// How many items a step can be for.
pub(crate) const MOST_ITEMS: usize = 1000;

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
