//! How a step stands, and the table of what may follow.

use super::super::record::Kind;
use super::graph::Undo;

/// How one step stands, or one item of a step for each of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// Not begun.
    Waiting,
    /// Its action was begun, and nothing was written since.
    Running,
    /// Whether its action happened is not known.
    InDoubt,
    /// Done.
    Done,
    /// Known not to have happened.
    Failed,
    /// Its action was tried as often as it may be: an operator decides.
    Stuck,
    /// Its undo was begun, and nothing was written since.
    Undoing,
    /// Whether its undo happened is not known, or it did not.
    UndoInDoubt,
    /// Its undo was tried as often as it may be: an operator decides.
    UndoStuck,
    /// Nothing of it is left.
    Undone,
}

/// How a step stands after a line of the log; `None` if such a line cannot be.
///
/// Each line of this table is a transition, and what is not in it is a log
/// that no executor has written. An action may begin again from `Running`: a
/// process died, and wrote nothing. A step in the saga's own database is not
/// begun: its end is written with its effect.
pub(crate) const fn next(from: Standing, kind: Kind) -> Option<Standing> {
    use Kind as K;
    use Standing as S;
    Some(match (from, kind) {
        (S::Waiting | S::Running | S::InDoubt, K::Began) => S::Running,
        (S::Waiting | S::Running | S::InDoubt, K::Done) => S::Done,
        (S::Waiting | S::Running | S::InDoubt, K::Failed) => S::Failed,
        (S::Waiting | S::Running | S::InDoubt, K::Doubted) => S::InDoubt,
        (S::Running | S::InDoubt, K::Stuck) => S::Stuck,
        (S::Stuck, K::Resumed) => S::InDoubt,
        // An operator says so.
        (S::Stuck, K::Failed) => S::Failed,

        (S::Done | S::Failed | S::Stuck, K::UndoBegan) => S::Undoing,
        (S::Running | S::InDoubt, K::UndoBegan) => S::Undoing,
        (S::Undoing | S::UndoInDoubt, K::UndoBegan) => S::Undoing,
        (S::Done | S::Failed | S::Stuck, K::Undone) => S::Undone,
        (S::Running | S::InDoubt, K::Undone) => S::Undone,
        (S::Undoing | S::UndoInDoubt, K::Undone) => S::Undone,
        (S::Done | S::Failed | S::Stuck, K::UndoDoubted) => S::UndoInDoubt,
        (S::Running | S::InDoubt, K::UndoDoubted) => S::UndoInDoubt,
        (S::Undoing | S::UndoInDoubt, K::UndoDoubted) => S::UndoInDoubt,
        (S::Undoing | S::UndoInDoubt, K::Stuck) => S::UndoStuck,
        (S::UndoStuck, K::UndoRetried) => S::UndoInDoubt,
        (S::UndoStuck | S::UndoInDoubt, K::UndoSkipped) => S::Undone,
        _ => return None,
    })
}

impl Standing {
    /// Something of it may be left when the saga is unwound.
    pub(crate) const fn may_be_left(self) -> bool {
        !matches!(
            self,
            Standing::Waiting | Standing::Failed | Standing::Undone
        )
    }

    /// Whether something of a step that stands so may be left that its undo
    /// takes away.
    pub(crate) const fn is_to_undo(self, undo: Undo) -> bool {
        match (undo, self) {
            (_, Standing::Undoing | Standing::UndoInDoubt | Standing::UndoStuck) => true,
            (Undo::Nothing, _) => false,
            (Undo::EvenFailed, Standing::Failed) => true,
            (_, standing) => standing.may_be_left(),
        }
    }

    /// Its undo was begun, at least.
    pub(crate) const fn is_of_undo(self) -> bool {
        matches!(
            self,
            Standing::Undoing | Standing::UndoInDoubt | Standing::UndoStuck | Standing::Undone
        )
    }
}
