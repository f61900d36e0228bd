//! What a trial runs a definition in.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Memory;
use crate::saga::{MemorySagas, Saga};

/// A definition, an input for it, and a way to see what it has done: made anew
/// for each run, over the [`Memory`] that the run gives.
pub struct World<In, Out> {
    pub(super) saga: Saga<MemorySagas, In, Out>,
    pub(super) input: In,
    sights: Vec<(String, Sight)>,
    pub(super) signals: Vec<(String, Value)>,
    pub(super) limit: Duration,
}

type Sight = Box<dyn Fn() -> Value>;

impl<In, Out> World<In, Out> {
    /// A world in which a saga of this definition can be done: with this input,
    /// if nothing goes wrong, all of its steps are.
    pub fn new(saga: Saga<MemorySagas, In, Out>, input: In) -> Self {
        World {
            saga,
            input,
            sights: Vec::new(),
            signals: Vec::new(),
            limit: Duration::from_secs(10),
        }
    }

    /// What can be seen of the saga's effects at another service: asked before
    /// the saga begins and when it has ended. All that a [`Memory`] holds is
    /// seen without it.
    ///
    /// Show how things stand, and not how they came to be so: a balance and
    /// not the calls, a map and not a list in the order of arrival.
    ///
    /// # Panics
    ///
    /// When it is looked at, if it cannot be written as JSON.
    #[must_use]
    pub fn sees<T: Serialize>(mut self, what: &str, look: impl Fn() -> T + 'static) -> Self {
        let look = move || serde_json::to_value(look()).expect("what is seen is JSON");
        self.sights.push((what.into(), Box::new(look)));
        self
    }

    /// A signal that the definition waits for: it is sent when the saga begins.
    ///
    /// # Panics
    ///
    /// If the payload cannot be written as JSON.
    #[must_use]
    pub fn signals<T: Serialize>(mut self, name: &str, payload: &T) -> Self {
        let payload = serde_json::to_value(payload).expect("a payload is JSON");
        self.signals.push((name.into(), payload));
        self
    }

    /// How long a run may take until it is a finding that it has not ended: 10
    /// seconds, unless this is said.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// All that is seen.
    pub(super) fn look(&self, memory: &Memory) -> Value {
        let rows = memory.read_all("").into_iter().map(|(key, value)| {
            let value = serde_json::from_slice(&value)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&value)));
            (String::from(key), value)
        });
        let rows: Map<_, _> = rows.collect();
        let sights = self
            .sights
            .iter()
            .map(|(what, look)| (what.clone(), look()));
        let mut seen: Map<_, _> = sights.collect();
        seen.insert("the saga's database".into(), rows.into());
        seen.into()
    }
}

impl<In, Out> fmt::Debug for World<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("saga", &self.saga)
            .finish_non_exhaustive()
    }
}
