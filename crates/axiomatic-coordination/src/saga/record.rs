//! What is written down of a saga, one line after the other.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::Timestamp;

/// A line of a saga's log. The log is only ever appended to; all that is known
/// of a saga follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub kind: Kind,
    /// To which step; empty if to the saga.
    pub step: Arc<str>,
    /// To which item, if the step is [for each](super::Builder) of many; else
    /// 0.
    pub item: u32,
    /// In which attempt, the first being 1; 0 where there are none.
    pub attempt: u32,
    /// The output, the error, the payload: JSON, empty where there is none.
    pub data: Bytes,
    /// The [mail](super::Mail) that it was, by its id.
    pub mail: Option<Uuid>,
}

/// A line as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What was written.
    pub record: Record,
    /// When, by the store's clock.
    pub at: Timestamp,
}

/// What a line of the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The step's action is about to run: written before it does.
    Began,
    /// The action was done; data is its output.
    Done,
    /// The action is known not to have happened; data says why.
    Failed,
    /// Whether the action happened is not known; data says why.
    Doubted,
    /// The step's undo is about to run.
    UndoBegan,
    /// The step is undone, or was found not to have happened.
    Undone,
    /// Whether the undo happened is not known, or it did not; it is tried
    /// again. Data says why.
    UndoDoubted,
    /// The step waits for an operator; data says why.
    Stuck,
    /// The saga turned, and is being unwound, for another reason than a step
    /// that failed; data says which. If a step was tried as often as it may be,
    /// it is named.
    Turned,
    /// A signal came: step is the signal's name, data its payload.
    Signalled,
    /// An operator has the undo tried again; data says who and why.
    UndoRetried,
    /// An operator has the undo skipped; data says who and why.
    UndoSkipped,
    /// An operator has a step that is stuck tried again; or, with no step
    /// named, the saga go forward again, of which an undo is stuck; or, if
    /// nothing is, a saga that was [parked](Stage::Parked) run again as it is.
    /// Data says who and why.
    Resumed,
    /// An operator gave the saga up; data says who and why.
    Abandoned,
    /// A letter that came too late or asked for what cannot be; data says what
    /// it was, and why nothing was done.
    Refused,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 15] = [
        Kind::Began,
        Kind::Done,
        Kind::Failed,
        Kind::Doubted,
        Kind::UndoBegan,
        Kind::Undone,
        Kind::UndoDoubted,
        Kind::Stuck,
        Kind::Turned,
        Kind::Signalled,
        Kind::UndoRetried,
        Kind::UndoSkipped,
        Kind::Resumed,
        Kind::Abandoned,
        Kind::Refused,
    ];

    /// As stores write it. Frozen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Began => "began",
            Kind::Done => "done",
            Kind::Failed => "failed",
            Kind::Doubted => "doubted",
            Kind::UndoBegan => "undo began",
            Kind::Undone => "undone",
            Kind::UndoDoubted => "undo doubted",
            Kind::Stuck => "stuck",
            Kind::Turned => "turned",
            Kind::Signalled => "signalled",
            Kind::UndoRetried => "undo retried",
            Kind::UndoSkipped => "undo skipped",
            Kind::Resumed => "resumed",
            Kind::Abandoned => "abandoned",
            Kind::Refused => "refused",
        }
    }

    /// From what a store has written.
    pub fn from_stored(stored: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == stored)
    }
}

/// How far a saga is: a column beside the log, so that sagas can be found and
/// counted without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Steps are done.
    Running,
    /// Steps are undone.
    Unwinding,
    /// Nothing goes on until an operator decides.
    Stuck,
    /// No executor that has tried can run it: its definition is not there, or
    /// is another, or loading it failed too often. It is tried again.
    Parked,
    /// All steps are done: the end.
    Done,
    /// What was done is undone: the end.
    Compensated,
    /// An operator gave it up: the end.
    Abandoned,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 7] = [
        Stage::Running,
        Stage::Unwinding,
        Stage::Stuck,
        Stage::Parked,
        Stage::Done,
        Stage::Compensated,
        Stage::Abandoned,
    ];

    /// Whether nothing follows.
    pub const fn is_end(self) -> bool {
        matches!(self, Stage::Done | Stage::Compensated | Stage::Abandoned)
    }

    /// As stores write it. Frozen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Running => "running",
            Stage::Unwinding => "unwinding",
            Stage::Stuck => "stuck",
            Stage::Parked => "parked",
            Stage::Done => "done",
            Stage::Compensated => "compensated",
            Stage::Abandoned => "abandoned",
        }
    }

    /// From what a store has written.
    pub fn from_stored(stored: &str) -> Option<Stage> {
        Stage::ALL
            .into_iter()
            .find(|stage| stage.as_str() == stored)
    }
}
