//! What is said of one step.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::action::{Action, LocalAction, Run, UndoRun, encode_foreign};
use super::builder::Builder;
use super::context::{Context, Probed, Was};
use super::each::Each;
use super::handle::{Handle, Inputs};
use super::phase::{Committed, Undoable};
use crate::saga::fault::Fault;
use crate::saga::machine::{Spec, Undo};
use crate::saga::store::Store;

/// A step that is being declared: what becomes of it is still to be said, with
/// [`compensate_with`](Step::compensate_with),
/// [`without_undo`](Step::without_undo), [`commit`](Step::commit) or
/// [`retriable`](Step::retriable).
#[must_use = "a step is declared when it is said how it is undone, or that it is not"]
pub struct Step<B, S: Store, I, O> {
    builder: B,
    spec: Spec,
    action: Action<S>,
    inputs: I,
    output: PhantomData<fn() -> O>,
}

impl<B, S, I, O> Step<B, S, I, O>
where
    S: Store,
    I: Inputs,
    O: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn foreign<F, Fut>(builder: B, spec: Spec, inputs: I, action: F) -> Self
    where
        F: Fn(Context, I::Values) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        let given = inputs;
        // Called where it is awaited: behind the probe, and where a panic is
        // an error of the action.
        let action = Arc::new(action);
        let run = Run::Foreign(Box::new(move |context, outputs| {
            let (action, values) = (Arc::clone(&action), given.read(outputs)?);
            Ok(Box::pin(async move {
                encode_foreign(&action(context, values).await?)
            }))
        }));
        Step::new(builder, spec, run, inputs)
    }

    pub(super) fn local<A>(builder: B, spec: Spec, inputs: I, action: A) -> Self
    where
        A: LocalAction<S, I::Values, O>,
    {
        let given = inputs;
        let run = Run::Local(Box::new(move |context, outputs, then| {
            Ok(action.work(context, given.read(outputs)?, then))
        }));
        Step::new(builder, spec, run, inputs)
    }

    fn new(builder: B, spec: Spec, run: Run<S>, inputs: I) -> Self {
        Step {
            builder,
            spec,
            action: Action {
                run,
                undo: None,
                probe: None,
                count: None,
            },
            inputs,
            output: PhantomData,
        }
    }

    /// How long an attempt of the action or of its undo may take: 30 seconds,
    /// unless this is said. What takes longer is dropped, and may have
    /// happened.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout = timeout;
        self
    }

    /// How often the action is tried while it is not known to have happened,
    /// 0 being for ever, and how long is waited in between. If it was tried so
    /// often, the saga turns; or, from its pivot on, is stuck and
    /// waits for an operator. Five times, and for ever from the pivot on,
    /// unless this is said.
    pub fn attempts(mut self, attempts: u32, backoff: Backoff) -> Self {
        self.spec.retry.attempts = attempts;
        self.spec.retry.backoff = backoff;
        self
    }

    /// Asks the other side whether an action that may have happened did,
    /// before it is tried again.
    pub fn probe<F, Fut>(mut self, probe: F) -> Self
    where
        F: Fn(Context, I::Values) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Probed<O>, Fault>> + Send + 'static,
    {
        let given = self.inputs;
        let probe = Arc::new(probe);
        self.spec.has_probe = true;
        self.action.probe = Some(Box::new(move |context, outputs| {
            let (probe, item) = (Arc::clone(&probe), context.item);
            let values = given.read_item(outputs, item)?;
            Ok(Box::pin(async move {
                Ok(match probe(context, values).await? {
                    Probed::Done(output) => Some(encode_foreign(&output)?),
                    Probed::Not => None,
                })
            }))
        }));
        self
    }
}

impl<B, S, T, I, O> Step<B, S, Each<T, I>, O>
where
    S: Store,
    T: DeserializeOwned + Send + 'static,
    I: Inputs,
    O: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn each<F, Fut>(builder: B, spec: Spec, inputs: Each<T, I>, action: F) -> Self
    where
        F: Fn(Context, (T, I::Values)) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        let (given, counted) = (inputs, inputs);
        let action = Arc::new(action);
        let run = Run::Foreign(Box::new(move |context, outputs| {
            let values = given.item(outputs, context.item)?;
            let action = Arc::clone(&action);
            Ok(Box::pin(async move {
                encode_foreign(&action(context, values).await?)
            }))
        }));
        let mut step = Step::new(builder, spec, run, inputs);
        step.action.count = Some(Box::new(move |outputs| counted.count(outputs)));
        step
    }
}

impl<S, In, I, O> Step<&mut Builder<S, In, Undoable>, S, I, O>
where
    S: Store,
    In: Serialize + DeserializeOwned + Send + 'static,
    I: Inputs,
    O: Serialize + DeserializeOwned + Send + 'static,
{
    /// Undoes the step, if the saga turns and the action was done or may have
    /// been. Like the action, it may run several times, and has a key of its
    /// own.
    pub fn compensate_with<F, Fut>(mut self, undo: F) -> Handle<I::Output<O>>
    where
        F: Fn(Context, I::Values, Was<O>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let given = self.inputs;
        let undo = Arc::new(undo);
        self.action.undo = Some(UndoRun::Foreign(Box::new(move |context, outputs, was| {
            let values = given.read_item(outputs, context.item)?;
            let (undo, was) = (Arc::clone(&undo), was.decode()?);
            Ok(Box::pin(async move { undo(context, values, was).await }))
        })));
        self.add_undoable()
    }

    /// As [`compensate_with`](Self::compensate_with), in the saga's own
    /// database, exactly once.
    pub fn compensate_with_local<A>(mut self, undo: A) -> Handle<I::Output<O>>
    where
        A: LocalAction<S, (I::Values, Was<O>), ()>,
    {
        let given = self.inputs;
        self.action.undo = Some(UndoRun::Local(Box::new(
            move |context, outputs, was, then| {
                let values = given.read_item(outputs, context.item)?;
                Ok(undo.work(context, (values, was.decode()?), then))
            },
        )));
        self.add_undoable()
    }

    /// The step leaves nothing that would have to be undone: it only reads.
    pub fn without_undo(self) -> Handle<I::Output<O>> {
        self.builder.add(self.spec, self.action)
    }

    fn add_undoable(mut self) -> Handle<I::Output<O>> {
        if self.spec.undo == Undo::Nothing {
            self.spec.undo = Undo::Effects;
        }
        self.builder.add(self.spec, self.action)
    }

    /// Runs the undo also if the action is known to have failed, for an action
    /// whose failure can leave something behind.
    pub fn undo_even_if_failed(mut self) -> Self {
        self.spec.undo = Undo::EvenFailed;
        self
    }

    /// How often the undo is tried, 0 being for ever, and how long is waited in
    /// between; then an operator decides. For ever, unless this is said.
    pub fn undo_attempts(mut self, attempts: u32, backoff: Backoff) -> Self {
        self.spec.undo_retry.attempts = attempts;
        self.spec.undo_retry.backoff = backoff;
        self
    }
}

impl<S, In, I, O> Step<Builder<S, In, Undoable>, S, I, O>
where
    S: Store,
    In: Serialize + DeserializeOwned + Send + 'static,
    I: Inputs,
    O: Serialize + DeserializeOwned + Send + 'static,
{
    /// The pivot is declared; what follows is tried until it is done.
    pub fn commit(mut self) -> (Builder<S, In, Committed>, Handle<O>) {
        let pivot = self.builder.next_step();
        let handle = self.builder.add(self.spec, self.action);
        (self.builder.commit(pivot), handle)
    }
}

impl<S, In, I, O> Step<&mut Builder<S, In, Committed>, S, I, O>
where
    S: Store,
    I: Inputs,
    O: Serialize + DeserializeOwned + Send + 'static,
{
    /// The step is tried until it is done; also if it says that it failed.
    pub fn retriable(self) -> Handle<I::Output<O>> {
        self.builder.add(self.spec, self.action)
    }
}

impl Was<Bytes> {
    fn decode<O: DeserializeOwned>(self) -> Result<Was<O>, serde_json::Error> {
        Ok(match self {
            Was::Done(json) => Was::Done(serde_json::from_slice(&json)?),
            Was::InDoubt => Was::InDoubt,
            Was::Failed => Was::Failed,
        })
    }
}

impl<B: std::fmt::Debug, S: Store, I, O> std::fmt::Debug for Step<B, S, I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}
