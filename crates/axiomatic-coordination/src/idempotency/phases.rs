//! A request in phases, each with a recovery point behind it.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axiomatic_core::BoxError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::claim::{Fence, Lease, Mine};
use super::key::Name;
use super::step::{Kind, Step};
use super::store::Store;
use crate::StoreError;

/// What was done of a request, and what is done next. Cheap to clone; all
/// clones are one.
#[derive(Clone, Debug)]
pub struct Phases<S>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    store: S,
    name: Name,
    lease: Lease,
    attempts: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    steps: Vec<Step>,
    /// The names of this run's phases so far.
    begun: Vec<&'static str>,
}

impl<S: Store> Phases<S> {
    /// Those of a request that is ours.
    pub fn new(store: S, name: Name, mine: Mine) -> Self {
        Phases(Arc::new(Shared {
            store,
            name,
            lease: mine.lease,
            attempts: mine.attempts,
            state: Mutex::new(State {
                steps: mine.steps,
                begun: Vec::new(),
            }),
        }))
    }

    /// The phase of this name, which the code that handles the request uses
    /// once. Its name is written down: it must not change while requests are
    /// under way.
    pub fn phase(&self, name: &'static str) -> Phase<'_, S> {
        Phase { phases: self, name }
    }

    /// The key of the request.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// What is written is fenced by.
    pub fn lease(&self) -> &Lease {
        &self.0.lease
    }

    /// How often the request was claimed: more than 1 if it is run again.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Where it is written.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// What was done so far.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().steps.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One phase of a request.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a, S> {
    phases: &'a Phases<S>,
    name: &'static str,
}

impl<'a, S: Store> Phase<'a, S> {
    /// Does something elsewhere, once as far as the other side knows this key
    /// again: the key is the same each time the request is run, and that of no
    /// other phase and no other request. What it returns is written down.
    ///
    /// # Errors
    ///
    /// [`PhaseError`]. If the work fails nothing is written down, and it is
    /// done again when the request is run again.
    pub async fn foreign<T, E, F>(
        self,
        work: impl FnOnce(DerivedKey) -> F,
    ) -> Result<T, PhaseError<E>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, E>>,
    {
        if let Begun::Before(value) = self.begin(Kind::Foreign)? {
            return Ok(value);
        }
        let done = work(self.derived_key()).await.map_err(PhaseError::Work)?;
        let step = self.step(Kind::Foreign, &done)?;
        let lease = self.phases.lease();
        match self.phases.store().record(lease, &step).await {
            Ok(Fence::Held) => self.finish(step),
            Ok(Fence::Lost) => return Err(PhaseError::Lost),
            Err(error) => return Err(PhaseError::Store(error)),
        }
        Ok(done)
    }

    /// The phase's key for the other side.
    pub fn derived_key(&self) -> DerivedKey {
        let record = &self.phases.lease().record;
        DerivedKey(Uuid::new_v5(record, self.name.as_bytes()))
    }

    /// For engines: whether the phase was done before.
    ///
    /// # Errors
    ///
    /// [`PhaseError::Twice`], [`PhaseError::Value`].
    pub fn begin<T: DeserializeOwned, E>(&self, kind: Kind) -> Result<Begun<T>, PhaseError<E>> {
        let mut state = self.phases.lock();
        if state.begun.contains(&self.name) {
            return Err(PhaseError::Twice(self.name));
        }
        let before = state.steps.iter().find(|step| &*step.name == self.name);
        let begun = match before {
            Some(step) if step.kind == kind => {
                let value = T::deserialize(&step.value);
                Begun::Before(value.map_err(|error| PhaseError::Value(self.name, error.into()))?)
            }
            Some(_) => {
                return Err(PhaseError::Value(
                    self.name,
                    "it was of another kind".into(),
                ));
            }
            None => Begun::Now,
        };
        state.begun.push(self.name);
        Ok(begun)
    }

    /// For engines: the step with which the phase ends.
    ///
    /// # Errors
    ///
    /// [`PhaseError::Value`] if the result cannot be written down.
    pub fn step<T: Serialize, E>(&self, kind: Kind, value: &T) -> Result<Step, PhaseError<E>> {
        let value = serde_json::to_value(value);
        let value = value.map_err(|error| PhaseError::Value(self.name, error.into()))?;
        Ok(Step {
            name: self.name.into(),
            kind,
            value,
        })
    }

    /// For engines: the step is written.
    pub fn finish(&self, step: Step) {
        self.phases.lock().steps.push(step);
    }

    /// For engines: its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The request that it is a phase of.
    pub fn phases(&self) -> &'a Phases<S> {
        self.phases
    }
}

/// Whether a phase was done before.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun<T> {
    /// It is done now.
    Now,
    /// It was, with this result.
    Before(T),
}

/// A key for the other side of a foreign phase (UUIDv5 of the record and the
/// phase's name, RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DerivedKey(pub Uuid);

impl fmt::Display for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a phase did not end.
#[derive(Debug)]
#[non_exhaustive]
pub enum PhaseError<E> {
    /// Its work failed; nothing of it is written.
    Work(E),
    /// Another runs the request by now; nothing of this phase is written.
    Lost,
    /// The store could not do it, or it is not known whether it has.
    Store(StoreError),
    /// Two phases of the request have this name.
    Twice(&'static str),
    /// What is written of this phase is not its result.
    Value(&'static str, BoxError),
}

impl<E: fmt::Display> fmt::Display for PhaseError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PhaseError::Work(error) => error.fmt(f),
            PhaseError::Lost => f.write_str("another runs the request by now"),
            PhaseError::Store(error) => error.fmt(f),
            PhaseError::Twice(name) => write!(f, "two phases are named {name}"),
            PhaseError::Value(name, error) => write!(f, "the result of phase {name}: {error}"),
        }
    }
}

impl<E: Error + 'static> Error for PhaseError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PhaseError::Work(error) => error.source(),
            PhaseError::Store(error) => error.source(),
            PhaseError::Value(_, error) => Some(&**error),
            PhaseError::Lost | PhaseError::Twice(_) => None,
        }
    }
}
