//! What is to be done next.

use super::super::record::Stage;
use super::graph::{Class, Graph, Spec, StepNo, Work};
use super::progress::{Direction, Progress};
use super::slots::Slot;
use super::standing::Standing;
use crate::Timestamp;

/// What an executor does next, what it waits for, and how far the saga is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) moves: Vec<Move>,
    /// When there may be something to do next, though nothing happens.
    pub(crate) wake: Option<Timestamp>,
    /// How far it is, if nothing of this was done.
    pub(crate) stage: Stage,
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// Begin an action, for the so manieth time.
    Begin {
        step: StepNo,
        item: u32,
        attempt: u32,
    },
    /// Begin an undo.
    Undo {
        step: StepNo,
        item: u32,
        attempt: u32,
    },
    /// A step that waited is done: its time or its signal has come.
    Pass { step: StepNo },
    /// A step has waited too long for its signal: it failed, and it turns. One
    /// that may not fail is [stuck](Move::Stick).
    Expire { step: StepNo },
    /// It has not come to its pivot in time: it turns.
    TurnLate,
    /// This step was tried as often as it may be, and it turns.
    Turn { step: StepNo, item: u32 },
    /// This step, or its undo, was tried as often as it may be: an operator
    /// decides.
    Stick { step: StepNo, item: u32 },
}

/// What the outlook follows from, beside the saga's log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: Timestamp,
    /// It turns then, unless it is committed.
    pub(crate) deadline: Option<Timestamp>,
    /// What pauses are drawn from.
    pub(crate) seed: u64,
}

/// What is to be done next; moves are found into this list, which is empty.
pub(crate) fn outlook(
    graph: &Graph,
    progress: &Progress,
    now: Circumstances,
    moves: Vec<Move>,
) -> Outlook {
    let mut looking = Looking {
        graph,
        progress,
        now,
        found: Outlook {
            moves,
            wake: None,
            stage: progress.stage(),
        },
        is_stuck: false,
        is_busy: false,
    };
    let ended = match progress.direction() {
        Direction::Forward => looking.forward(),
        Direction::Back => looking.back(),
        Direction::Nowhere => None,
    };
    let is_idle = looking.found.moves.is_empty() && !looking.is_busy;
    if let (Some(end), true) = (ended, is_idle) {
        looking.found.stage = end;
    } else if looking.is_stuck && is_idle && looking.found.wake.is_none() {
        looking.found.stage = Stage::Stuck;
    }
    looking.found
}

struct Looking<'a> {
    graph: &'a Graph,
    progress: &'a Progress,
    now: Circumstances,
    found: Outlook,
    is_stuck: bool,
    /// Something is being done.
    is_busy: bool,
}

impl Looking<'_> {
    /// Returns how the saga has ended, if it has.
    fn forward(&mut self) -> Option<Stage> {
        let mut is_done = true;
        for step in self.graph.numbers() {
            if self.progress.is_done(step) {
                continue;
            }
            is_done = false;
            let spec = self.graph.spec(step);
            if spec
                .after
                .iter()
                .all(|before| self.progress.is_done(*before))
            {
                self.step_forward(step, spec);
            }
        }
        // Nothing begins with what has it turn.
        let turns = |next: &&Move| matches!(next, Move::Turn { .. } | Move::Expire { .. });
        if let Some(turn) = self.found.moves.iter().find(turns).copied() {
            self.found.moves = vec![turn];
        }
        let is_undecided = !is_done && self.progress.heeds_deadline(self.graph);
        if let (Some(deadline), true) = (self.now.deadline, is_undecided) {
            if self.now.now < deadline {
                self.wake_at(deadline);
            } else {
                self.found.moves = vec![Move::TurnLate];
            }
        }
        is_done.then_some(Stage::Done)
    }

    fn step_forward(&mut self, step: StepNo, spec: &Spec) {
        let slots = self.progress.slots(step);
        let mut free = match spec.work {
            Work::Each(at_once) => {
                let busy = |slot: &&Slot| slot.in_flight;
                (at_once as usize).saturating_sub(slots.iter().filter(busy).count())
            }
            _ => 1,
        };
        for (item, slot) in (0u32..).zip(slots) {
            self.is_busy |= slot.in_flight;
            if slot.in_flight || slot.standing == Standing::Done {
                continue;
            }
            if slot.standing == Standing::Stuck {
                self.is_stuck = true;
            } else if free > 0 && self.slot_forward(step, spec, item, slot) {
                free -= 1;
            }
        }
    }

    /// Returns whether it begins.
    fn slot_forward(&mut self, step: StepNo, spec: &Spec, item: u32, slot: &Slot) -> bool {
        match (spec.work, slot.standing) {
            (Work::Signal(_), _) if self.progress.signal(&spec.name).is_some() => {
                self.found.moves.push(Move::Pass { step });
                return false;
            }
            (Work::Sleep(time), Standing::Running) => {
                self.when(slot.at.saturating_add(time), Move::Pass { step });
                return false;
            }
            (Work::Signal(Some(time)), Standing::Running) => {
                let expire = match spec.class {
                    Class::Retriable => Move::Stick { step, item },
                    Class::Compensatable | Class::Pivot => Move::Expire { step },
                };
                self.when(slot.at.saturating_add(time), expire);
                return false;
            }
            (Work::Signal(None), Standing::Running) => return false,
            _ => {}
        }
        let is_exhausted =
            slot.standing != Standing::Waiting && spec.retry.is_exhausted(slot.counted());
        if is_exhausted {
            self.found.moves.push(match spec.class {
                Class::Compensatable => Move::Turn { step, item },
                Class::Pivot | Class::Retriable => Move::Stick { step, item },
            });
            return false;
        }
        let begin = Move::Begin {
            step,
            item,
            attempt: slot.attempts + 1,
        };
        match slot.standing {
            Standing::InDoubt if slot.counted() > 0 => {
                let pause = spec.retry.pause(slot.counted(), self.seed(step, item));
                self.when(slot.at.saturating_add(pause), begin)
            }
            _ => {
                self.found.moves.push(begin);
                true
            }
        }
    }

    /// Returns how the saga has ended, if it has.
    fn back(&mut self) -> Option<Stage> {
        // Whether nothing is left of a step and of all that came behind it.
        let mut settled = vec![false; self.graph.steps.len()];
        for step in self.graph.numbers().rev() {
            let spec = self.graph.spec(step);
            let may_undo = spec.before.iter().all(|behind| settled[behind.index()]);
            let mut is_settled = may_undo;
            for (item, slot) in (0u32..).zip(self.progress.slots(step)) {
                self.is_busy |= slot.in_flight;
                self.is_stuck |= slot.standing == Standing::UndoStuck;
                let is_left = slot.in_flight || slot.standing.is_to_undo(spec.undo);
                is_settled &= !is_left;
                if may_undo && is_left && !slot.in_flight {
                    self.slot_back(step, spec, item, slot);
                }
            }
            settled[step.index()] = is_settled;
        }
        settled
            .iter()
            .all(|settled| *settled)
            .then_some(Stage::Compensated)
    }

    fn slot_back(&mut self, step: StepNo, spec: &Spec, item: u32, slot: &Slot) {
        let undo = Move::Undo {
            step,
            item,
            attempt: slot.undo_attempts + 1,
        };
        let is_begun = matches!(slot.standing, Standing::Undoing | Standing::UndoInDoubt);
        if slot.standing == Standing::UndoStuck {
        } else if is_begun && spec.undo_retry.is_exhausted(slot.undo_counted()) {
            self.found.moves.push(Move::Stick { step, item });
        } else if slot.standing == Standing::UndoInDoubt && slot.undo_counted() > 0 {
            let pause = spec
                .undo_retry
                .pause(slot.undo_counted(), self.seed(step, item));
            self.when(slot.at.saturating_add(pause), undo);
        } else {
            self.found.moves.push(undo);
        }
    }

    /// Does something then. Returns whether that is now.
    fn when(&mut self, then: Timestamp, what: Move) -> bool {
        let is_due = then <= self.now.now;
        if is_due {
            self.found.moves.push(what);
        } else {
            self.wake_at(then);
        }
        is_due
    }

    fn wake_at(&mut self, then: Timestamp) {
        let wake = self.found.wake.get_or_insert(then);
        *wake = then.min(*wake);
    }

    fn seed(&self, step: StepNo, item: u32) -> u64 {
        self.now.seed ^ (u64::from(step.0) << 32) ^ u64::from(item)
    }
}
