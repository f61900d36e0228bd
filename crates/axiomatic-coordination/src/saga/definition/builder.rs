//! How a saga is declared.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::action::{Action, LocalAction};
use super::context::Context;
use super::declaring::is_name;
use super::error::DefinitionError;
use super::handle::{Handle, Inputs, Source};
use super::phase::{Committed, Phase, Undoable};
use super::saga::Saga;
use super::step::Step;
use crate::MessageId;
use crate::saga::fault::Fault;
use crate::saga::machine::{Class, Graph, Spec, StepNo, Work};
use crate::saga::store::Store;

/// Declares the steps of a saga, each behind what it depends on.
///
/// What can be undone is declared first; then, if there is one, the
/// [pivot](Builder::pivot), which comes after all of them, and after which
/// there is no way back; then what is tried until it is done. The builder's
/// type is another behind the pivot, so that nothing that would have to be
/// undone can follow it.
#[must_use = "it is built by `returns` or `build`"]
pub struct Builder<S: Store, In, P = Undoable> {
    pub(super) name: Arc<str>,
    pub(super) version: u32,
    pub(super) graph: Graph,
    pub(super) actions: Vec<Action<S>>,
    /// Which builder this is; handles know it.
    pub(super) id: u64,
    pub(super) prefix: String,
    output_limit: usize,
    deadline: Option<Duration>,
    pub(super) pivot: Option<StepNo>,
    pub(super) error: Option<DefinitionError>,
    types: PhantomData<fn(In) -> P>,
}

impl<S: Store, In> Builder<S, In, Undoable>
where
    In: Serialize + DeserializeOwned + Send + 'static,
{
    /// Begins the definition of sagas of this name and version.
    ///
    /// Whoever changes the steps of a definition of which sagas are under way
    /// counts the version up; see [`Saga::also_runs`].
    pub fn new(name: &str, version: u32) -> Self {
        Builder {
            name: name.into(),
            version,
            graph: Graph::default(),
            actions: Vec::new(),
            id: MessageId::unique().as_u128() as u64,
            prefix: String::new(),
            output_limit: 64 * 1024,
            deadline: None,
            pivot: None,
            error: (!is_name(name)).then(|| DefinitionError::Name(name.into())),
            types: PhantomData,
        }
    }

    /// The step behind which there is no way back: it comes after all steps
    /// declared so far, and before all that are declared later. If it fails,
    /// all is undone; once it is done, nothing is.
    pub fn pivot<I, O, F, Fut>(mut self, name: &str, inputs: I, action: F) -> Step<Self, S, I, O>
    where
        I: Inputs,
        O: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Context, I::Values) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        let mut spec = self.spec(name, &inputs, Class::Pivot, Work::Foreign);
        self.put_behind_all(&mut spec);
        Step::foreign(self, spec, inputs, action)
    }

    /// As [`pivot`](Self::pivot), in the saga's own database.
    pub fn local_pivot<I, O, A>(mut self, name: &str, inputs: I, action: A) -> Step<Self, S, I, O>
    where
        I: Inputs,
        O: Serialize + DeserializeOwned + Send + 'static,
        A: LocalAction<S, I::Values, O>,
    {
        let mut spec = self.spec(name, &inputs, Class::Pivot, Work::Local);
        self.put_behind_all(&mut spec);
        Step::local(self, spec, inputs, action)
    }

    /// Waits for a signal as [`signal`](Builder::signal), and turns if none
    /// has come so long after the step began.
    pub fn signal_within<T, I>(&mut self, name: &str, after: I, within: Duration) -> Handle<T>
    where
        I: Inputs,
        T: DeserializeOwned + Send + 'static,
    {
        self.wait(name, &after, Work::Signal(Some(within)))
    }

    fn put_behind_all(&mut self, spec: &mut Spec) {
        for step in self.graph.numbers() {
            let is_last = self.graph.spec(step).before.is_empty();
            if is_last && !spec.after.contains(&step) {
                spec.after.push(step);
            }
        }
    }

    pub(super) fn commit(self, pivot: StepNo) -> Builder<S, In, Committed> {
        Builder {
            name: self.name,
            version: self.version,
            graph: self.graph,
            actions: self.actions,
            id: self.id,
            prefix: self.prefix,
            output_limit: self.output_limit,
            deadline: self.deadline,
            pivot: Some(pivot),
            error: self.error,
            types: PhantomData,
        }
    }
}

impl<S: Store, In, P: Phase> Builder<S, In, P> {
    /// What the saga is given when it begins.
    pub fn input(&self) -> Handle<In> {
        Handle::new(Source::Input, self.id)
    }

    /// The most bytes that an output may have as JSON, and so what is written
    /// and loaded again of each step: 64 KiB unless this is said. An output
    /// that has more is a [`Fault::Unknown`].
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// A saga turns if its pivot has not begun, or it has not ended, so long
    /// after it began. There is no deadline unless this is said.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// A step elsewhere. Its name is written down, and what keys follow from.
    ///
    /// The action may run several times, in several processes, and be dropped
    /// anywhere: its [`key`](Context::key) is what makes it one.
    pub fn step<I, O, F, Fut>(
        &mut self,
        name: &str,
        inputs: I,
        action: F,
    ) -> Step<&mut Self, S, I, O>
    where
        I: Inputs,
        O: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Context, I::Values) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        let spec = self.spec(name, &inputs, P::CLASS, Work::Foreign);
        Step::foreign(self, spec, inputs, action)
    }

    /// A step in the saga's own database: its effect commits with the line of
    /// the log that says so, exactly once.
    pub fn local_step<I, O, A>(
        &mut self,
        name: &str,
        inputs: I,
        action: A,
    ) -> Step<&mut Self, S, I, O>
    where
        I: Inputs,
        O: Serialize + DeserializeOwned + Send + 'static,
        A: LocalAction<S, I::Values, O>,
    {
        let spec = self.spec(name, &inputs, P::CLASS, Work::Local);
        Step::local(self, spec, inputs, action)
    }

    /// A step elsewhere for each item of a list, at most so many at once: each
    /// has its own key, attempts, undo and lines of the log, by its number.
    /// The list has at most 1000 items. The output is the list of outputs.
    pub fn for_each<T, I, O, F, Fut>(
        &mut self,
        name: &str,
        list: Handle<Vec<T>>,
        at_once: u32,
        inputs: I,
        action: F,
    ) -> Step<&mut Self, S, super::each::Each<T, I>, O>
    where
        T: DeserializeOwned + Send + 'static,
        I: Inputs,
        O: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Context, (T, I::Values)) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Fault>> + Send + 'static,
    {
        let inputs = super::each::Each { list, inputs };
        let spec = self.spec(name, &inputs, P::CLASS, Work::Each(at_once));
        if at_once == 0 {
            self.refuse(DefinitionError::NoneAtOnce(spec.name.clone()));
        }
        Step::each(self, spec, inputs, action)
    }

    /// Does nothing for so long, whichever executors come and go meanwhile.
    pub fn sleep<I: Inputs>(&mut self, name: &str, after: I, time: Duration) -> Handle<()> {
        self.wait(name, &after, Work::Sleep(time))
    }

    /// Waits for a [signal](crate::saga::Client::signal) of this name; its
    /// payload is the output. The first one counts, also if it came before the
    /// step begins.
    pub fn signal<T, I>(&mut self, name: &str, after: I) -> Handle<T>
    where
        I: Inputs,
        T: DeserializeOwned + Send + 'static,
    {
        self.wait(name, &after, Work::Signal(None))
    }

    /// Steps that are declared together, under names that begin with this one
    /// and a slash: what several definitions share is a function that declares
    /// it.
    pub fn sub_saga<T>(&mut self, name: &str, declare: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.prefix.len();
        self.prefix.push_str(name);
        self.prefix.push('/');
        let declared = declare(self);
        self.prefix.truncate(before);
        declared
    }

    /// The definition; a saga of it has this step's output as its result.
    ///
    /// # Errors
    ///
    /// [`DefinitionError`].
    pub fn returns<O>(self, output: Handle<O>) -> Result<Saga<S, In, O>, DefinitionError> {
        self.finish(Some(output))
    }

    /// The definition of sagas that have no result.
    ///
    /// # Errors
    ///
    /// [`DefinitionError`].
    pub fn build(self) -> Result<Saga<S, In, ()>, DefinitionError> {
        self.finish(None)
    }

    fn finish<O>(self, output: Option<Handle<O>>) -> Result<Saga<S, In, O>, DefinitionError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.graph.steps.is_empty() {
            return Err(DefinitionError::Empty);
        }
        if output.is_some_and(|output| output.builder != self.id) {
            return Err(DefinitionError::Foreign(self.name));
        }
        let output = output.map(|output| output.source);
        let Builder {
            name,
            version,
            graph,
            actions,
            output_limit,
            deadline,
            ..
        } = self;
        Ok(Saga::new(
            (name, version),
            graph,
            actions,
            output,
            output_limit,
            deadline,
        ))
    }
}

impl<S: Store, In, P> std::fmt::Debug for Builder<S, In, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("graph", &self.graph)
            .finish_non_exhaustive()
    }
}
