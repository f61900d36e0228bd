//! A definition that is complete.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use serde::Serialize;

use super::action::{Action, to_json};
use super::describe::Description;
use super::handle::Source;
use crate::saga::client::StartError;
use crate::saga::id::SagaId;
use crate::saga::machine::{Graph, StepNo};
use crate::saga::store::{self, Store};

/// A definition of sagas: their steps, and what each does. Cheap to clone.
///
/// `In` is what a saga is given, `Out` its result.
pub struct Saga<S: Store, In, Out> {
    pub(crate) plan: Arc<Plan<S>>,
    types: PhantomData<fn(In) -> Out>,
}

/// A definition without the types of its input and result.
pub(crate) struct Plan<S: Store> {
    pub(crate) definition: store::Definition,
    /// Of which others it runs sagas, too.
    pub(crate) also_runs: Vec<(u32, u64)>,
    pub(crate) graph: Graph,
    pub(crate) actions: Vec<Action<S>>,
    pub(crate) output: Option<Source>,
    pub(crate) output_limit: usize,
    /// It turns if it has not come to its pivot so long after it began.
    pub(crate) deadline: Option<Duration>,
    /// What is next depends on what time it is, though nothing has failed.
    pub(crate) minds_time: bool,
}

impl<S: Store, In, Out> Saga<S, In, Out> {
    pub(super) fn new(
        (name, version): (Arc<str>, u32),
        graph: Graph,
        actions: Vec<Action<S>>,
        output: Option<Source>,
        output_limit: usize,
        deadline: Option<Duration>,
    ) -> Self {
        let text = Description::new(&name, version, &graph).to_string();
        let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
        let definition = store::Definition {
            name,
            version,
            hash: hasher.hash(text.as_bytes()),
        };
        let minds_time = graph.steps.iter().any(|spec| spec.work.minds_time());
        Saga {
            plan: Arc::new(Plan {
                minds_time,
                definition,
                also_runs: Vec::new(),
                graph,
                actions,
                output,
                output_limit,
                deadline,
            }),
            types: PhantomData,
        }
    }

    /// Its name, version and hash.
    pub fn definition(&self) -> &store::Definition {
        &self.plan.definition
    }

    /// Its steps, to be shown, or compared with what they were.
    pub fn describe(&self) -> Description {
        let definition = &self.plan.definition;
        Description::new(&definition.name, definition.version, &self.plan.graph)
    }

    /// A saga of this definition, to be begun by a store: what
    /// [`Client::start`](crate::saga::Client::start) does, and what an engine
    /// takes that begins one in a transaction of its user.
    ///
    /// # Errors
    ///
    /// [`StartError::Value`] if the input cannot be written.
    pub fn start(&self, saga: SagaId, input: &In) -> Result<store::Start, StartError>
    where
        In: Serialize,
    {
        match to_json(input) {
            Ok(input) => Ok(store::Start {
                saga,
                definition: self.plan.definition.clone(),
                input,
                deadline: self.plan.deadline,
                held: None,
            }),
            Err(error) => Err(StartError::Value(error.into())),
        }
    }

    /// Sagas of this older version are run by this definition, too. Its author
    /// says that it works for them: that each step which one of them may have
    /// begun is here, under its name, and takes and returns what it did; and
    /// that no step was added before the pivot of a saga that may be past it.
    /// One that is, and has not done all that is before its pivot here, is
    /// parked: such a step, if it failed, would have it turn behind its pivot
    /// (`a_saga_that_is_past_its_pivot_is_not_run_with_a_step_more_before_it`).
    ///
    /// # Panics
    ///
    /// If the definition was cloned before.
    #[must_use]
    pub fn also_runs(mut self, version: u32, hash: u64) -> Self {
        let plan = Arc::get_mut(&mut self.plan).expect("said before the definition is cloned");
        plan.also_runs.push((version, hash));
        self
    }
}

impl<S: Store> Plan<S> {
    /// Whether it runs sagas of this definition.
    pub(crate) fn runs(&self, other: &store::Definition) -> bool {
        let own = &self.definition;
        let is_own = (own.version, own.hash) == (other.version, other.hash);
        let others = (other.version, other.hash);
        own.name == other.name && (is_own || self.also_runs.contains(&others))
    }

    /// Whether this step's output is the result.
    pub(crate) fn output_is(&self, step: StepNo) -> bool {
        self.output == Some(Source::Step(step))
    }
}

impl<S: Store, In, Out> Clone for Saga<S, In, Out> {
    fn clone(&self) -> Self {
        Saga {
            plan: Arc::clone(&self.plan),
            types: PhantomData,
        }
    }
}

impl<S: Store, In, Out> fmt::Debug for Saga<S, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saga")
            .field("definition", &self.plan.definition)
            .finish_non_exhaustive()
    }
}
