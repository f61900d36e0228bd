//! What an action is told of where it stands.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::outbox::Epoch;
use crate::saga::id::SagaId;

/// What an action, an undo or a probe is told beside its values.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) saga: SagaId,
    pub(crate) step: Arc<str>,
    pub(crate) item: u32,
    pub(crate) attempt: u32,
    pub(crate) round: u32,
    pub(crate) epoch: Epoch,
    pub(crate) undoes: bool,
}

impl Context {
    /// The saga.
    pub fn saga(&self) -> SagaId {
        self.saga
    }

    /// The step's name.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// Which item of a step for each of many, the first being 0.
    pub fn item(&self) -> u32 {
        self.item
    }

    /// How often this was begun, this time included: more than 1 if it may
    /// have happened before.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The key by which the other side knows this again: the same in every
    /// attempt and by whichever executor, that of no other step, and another
    /// for the undo than for the action. An action that is done anew after it
    /// was undone has another, too.
    pub fn key(&self) -> StepKey {
        match self.undoes {
            false => self.action_key(),
            true => self.derive("undo"),
        }
    }

    /// In an undo: the key which the action had, to name what is undone.
    pub fn action_key(&self) -> StepKey {
        self.derive("do")
    }

    /// A number that grows when another executor takes the saga over. The
    /// other side refuses what comes with a smaller one than it has seen of
    /// this saga, and so what an executor does that has lost its lease without
    /// knowing.
    pub fn fence(&self) -> u64 {
        self.epoch.0
    }

    fn derive(&self, purpose: &str) -> StepKey {
        let Context {
            step, item, round, ..
        } = self;
        let name = format!("{purpose}\0{step}\0{item}\0{round}");
        StepKey(Uuid::new_v5(&self.saga.0, name.as_bytes()))
    }
}

/// An idempotency key for the other side (UUIDv5 of the saga's id and the
/// step's name, RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepKey(pub Uuid);

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an undo is told of the action that it undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Was<O> {
    /// It was done, with this output.
    Done(O),
    /// It may have happened, or not: whatever there is of it is to be undone,
    /// and if there is nothing, that is fine.
    InDoubt,
    /// It is known not to have happened; undone only if the step
    /// [says so](super::Step::undo_even_if_failed).
    Failed,
}

impl<O> Was<O> {
    /// The output, if there is one.
    pub fn output(self) -> Option<O> {
        match self {
            Was::Done(output) => Some(output),
            Was::InDoubt | Was::Failed => None,
        }
    }
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Probed<O> {
    /// It happened, and this is its output.
    Done(O),
    /// It did not, and will not from an earlier attempt: it is begun again.
    Not,
}
