//! What anybody says to a saga, whoever runs it.

use bytes::Bytes;
use uuid::Uuid;

/// A letter to a saga. It is kept until whoever runs the saga has read it,
/// which is written to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What it is known again by: posted twice, it is one.
    pub id: Uuid,
    /// What it asks for.
    pub subject: Subject,
    /// The signal's name, or the step that the command is about, or nothing.
    pub name: Box<str>,
    /// The signal's payload, JSON; or who gives the command, and why, JSON.
    pub data: Bytes,
}

/// What a letter asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Somebody signals.
    Signal,
    /// The saga shall turn, and be unwound.
    Cancel,
    /// An undo that is stuck shall be tried again.
    RetryUndo,
    /// An undo that is stuck shall be left out.
    SkipUndo,
    /// A step that is stuck shall be tried again.
    Resume,
    /// The saga shall end as it is.
    Abandon,
}

impl Subject {
    /// All of them.
    pub const ALL: [Subject; 6] = [
        Subject::Signal,
        Subject::Cancel,
        Subject::RetryUndo,
        Subject::SkipUndo,
        Subject::Resume,
        Subject::Abandon,
    ];

    /// As stores write it. Frozen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Signal => "signal",
            Subject::Cancel => "cancel",
            Subject::RetryUndo => "retry undo",
            Subject::SkipUndo => "skip undo",
            Subject::Resume => "resume",
            Subject::Abandon => "abandon",
        }
    }

    /// From what a store has written.
    pub fn from_stored(stored: &str) -> Option<Subject> {
        Subject::ALL
            .into_iter()
            .find(|subject| subject.as_str() == stored)
    }
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It waits to be read, or was read: now, or when it was posted before.
    Accepted,
    /// There is no such saga.
    Missing,
    /// The saga has ended, and did not know the letter.
    Ended,
}
