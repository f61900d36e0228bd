//! What sagas and the other side say happened, and whether it is what a saga
//! promises.
//!
//! A harness lets processes run sagas and die, and has what the steps do
//! written down where it is done: elsewhere in a [`Ledger`], which knows keys
//! and fencing tokens as a good service does; in the sagas' database in a
//! table of the harness. When all is over, [`check`] holds each saga to the
//! promise:
//!
//! | Promise | Otherwise |
//! |---|---|
//! | it ends, or an operator is asked | [`Complaint::NotEnded`] |
//! | if it is done, all of its steps are, once | [`Complaint::Missing`], [`Complaint::Twice`] |
//! | if it is compensated, nothing is left | [`Complaint::Left`] |
//! | nothing is called of which it is not written that it begins | [`Complaint::NotBegun`] |
//! | an action has one key | [`Complaint::Keys`] |
//! | nothing is undone before what came behind it | [`Complaint::UndoneEarly`] |
//! | no executor is heard after its successor | [`Complaint::FenceFell`] |
//! | local work and its line are one | [`Complaint::Parted`] |
//!
//! It is meant for sagas in which each action and each undo tells the other
//! side so, once in each attempt. What an operator has resumed, skipped or
//! given up is held to less: its effects are not counted.

mod checks;
mod ledger;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::definition::{Context, Description};
use super::id::SagaId;
use super::record::Stage;
use super::store::Found;

pub(crate) use checks::{Shape, StepShape};
pub use ledger::{Ledger, NoCall};

/// That an action, or an undo, told the other side to do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whose.
    pub saga: SagaId,
    /// The step's name.
    pub step: Arc<str>,
    /// Which item of it.
    pub item: u32,
    /// In which attempt.
    pub attempt: u32,
    /// Whether it is the undo.
    pub undoes: bool,
    /// The key by which it is known again.
    pub key: Uuid,
    /// The key of the action; of an undo, the one that it undoes.
    pub action_key: Uuid,
    /// The fencing token.
    pub fence: u64,
    /// What else was said; has no tabs and no line ends.
    pub data: String,
    /// What the other side did.
    pub answer: Answer,
}

impl Call {
    /// One of a step that is told where it stands.
    pub fn of(context: &Context, data: impl Into<String>, answer: Answer) -> Self {
        Call {
            saga: context.saga(),
            step: context.step().into(),
            item: context.item(),
            attempt: context.attempt(),
            undoes: context.undoes,
            key: context.key().0,
            action_key: context.action_key().0,
            fence: context.fence(),
            data: data.into(),
            answer,
        }
    }
}

/// What the other side did with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What it says. Once for each key.
    Happened,
    /// Nothing: it had done so before.
    Again,
    /// Nothing: there was nothing to undo. The action, should it come later,
    /// will be too late.
    Nothing,
    /// Nothing: it came with a smaller token than one before, or was undone.
    TooLate,
}

/// What was done by one saga: elsewhere, and in the sagas' database, each in
/// its order.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// By a [`Ledger`], or another that knows keys and tokens.
    pub elsewhere: &'a [Call],
    /// In transactions of local steps.
    pub local: &'a [Call],
}

/// What is wrong with a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// It has not ended, and no operator was asked.
    NotEnded(Stage),
    /// It is done without this.
    Missing(Which),
    /// This happened twice, and was not undone in between.
    Twice(Which),
    /// It is compensated, and this is left.
    Left(Which),
    /// Of this attempt it is written so often that it begins, and it was heard
    /// of more often.
    NotBegun {
        /// What.
        which: Which,
        /// Which attempt.
        attempt: u32,
        /// How often it was heard of.
        calls: usize,
        /// How often it was written that it begins.
        begun: usize,
    },
    /// It had more than one key.
    Keys(Which),
    /// It was undone while this, which came behind it, was not.
    UndoneEarly {
        /// What was undone.
        which: Which,
        /// What was left.
        left: Which,
    },
    /// It was heard with a smaller token than one before.
    FenceFell {
        /// What.
        which: Which,
        /// The token before.
        from: u64,
        /// Its token.
        to: u64,
    },
    /// Local work has no line in the log, or the line has no work.
    Parted(Which),
}

/// An action, or an undo.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Which {
    /// The step's name.
    pub step: Arc<str>,
    /// Which item of it.
    pub item: u32,
    /// Whether it is the undo.
    pub undoes: bool,
}

impl fmt::Debug for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.undoes { "undo of " } else { "" };
        write!(f, "{what}{}[{}]", self.step, self.item)
    }
}

/// What is wrong with a saga of this definition; nothing, if it kept its
/// promise.
pub fn check(description: &Description, found: &Found, seen: Seen<'_>) -> Vec<Complaint> {
    checks::check(&description.shape(), found, seen)
}
