//! What is known of one action and its undo.

use bytes::Bytes;

use super::graph::Work;
use super::standing::Standing;
use crate::Timestamp;

/// One action and its undo.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) standing: Standing,
    /// How often its action was begun.
    pub(crate) attempts: u32,
    /// How often its undo was.
    pub(crate) undo_attempts: u32,
    /// How many of its attempts were before an operator had it tried again:
    /// those do not count when it is asked whether it is to be tried still.
    pub(super) forgiven: u32,
    /// How many of its undo's.
    pub(super) undo_forgiven: u32,
    /// When its last line was written.
    pub(crate) at: Timestamp,
    pub(crate) output: Option<Bytes>,
    /// What was said of its last attempt, or its undo's, that left it in doubt:
    /// JSON.
    pub(crate) fault: Option<Bytes>,
    /// Its action is known not to have happened.
    pub(crate) has_failed: bool,
    /// Somebody here is doing what was begun.
    pub(crate) in_flight: bool,
    /// In which round its action was begun first: its key follows from that.
    pub(crate) round: u32,
}

impl Slot {
    pub(super) const NEW: Slot = Slot {
        standing: Standing::Waiting,
        attempts: 0,
        undo_attempts: 0,
        forgiven: 0,
        undo_forgiven: 0,
        at: Timestamp::from_micros(0),
        output: None,
        fault: None,
        has_failed: false,
        in_flight: false,
        round: 0,
    };

    /// Why it, or its undo, is not tried again.
    pub(crate) fn why_no_more(&self, work: Work) -> String {
        let undoes = self.standing.is_of_undo();
        if matches!(work, Work::Signal(_)) && !undoes {
            return NO_SIGNAL.to_owned();
        }
        let times = match undoes {
            false => self.attempts,
            true => self.undo_attempts,
        };
        let last = self.fault.as_deref().map(|fault| {
            let said = serde_json::from_slice(fault);
            said.unwrap_or_else(|_| String::from_utf8_lossy(fault).into_owned())
        });
        match (times, last) {
            (1, Some(last)) => format!("it was tried once: {last}"),
            (1, None) => String::from("it was tried once, and nothing is known of it"),
            (_, Some(last)) => format!("it was tried {times} times, the last: {last}"),
            (_, None) => format!("it was tried {times} times, and nothing is known of the last"),
        }
    }

    /// Something of it is left, and the saga goes forward again.
    pub(super) fn go_forward_again(&mut self, work: Work) {
        self.standing = match (self.standing, &self.output) {
            // It waits still, and has since.
            (Standing::Running, _) if work.only_waits() => Standing::Running,
            (_, Some(_)) => Standing::Done,
            (_, None) => Standing::InDoubt,
        };
        self.forgive();
        self.forgive_undo();
    }

    /// An operator has its action tried as often again as at first. Attempts
    /// are counted on: what may have happened was tried before.
    pub(super) fn forgive(&mut self) {
        self.forgiven = self.attempts;
    }

    /// The same of its undo.
    pub(super) fn forgive_undo(&mut self) {
        self.undo_forgiven = self.undo_attempts;
    }

    /// How many attempts count.
    pub(super) fn counted(&self) -> u32 {
        self.attempts.saturating_sub(self.forgiven)
    }

    /// How many of its undo's.
    pub(super) fn undo_counted(&self) -> u32 {
        self.undo_attempts.saturating_sub(self.undo_forgiven)
    }
}

/// A step, or the items of a step for each of many.
#[derive(Clone, Debug)]
pub(super) enum Slots {
    One(Slot),
    /// How many there are is known when the list is.
    Many {
        slots: Vec<Slot>,
        are_all: bool,
    },
}

impl Slots {
    pub(super) fn all(&self) -> &[Slot] {
        match self {
            Slots::One(slot) => std::slice::from_ref(slot),
            Slots::Many { slots, .. } => slots,
        }
    }

    pub(super) fn all_mut(&mut self) -> &mut [Slot] {
        match self {
            Slots::One(slot) => std::slice::from_mut(slot),
            Slots::Many { slots, .. } => slots,
        }
    }
}

/// Why a step is not done that waited for a signal.
pub(crate) const NO_SIGNAL: &str = "no signal came in time";

/// How many items a step can be for.
pub(crate) const MOST_ITEMS: usize = 1000;
