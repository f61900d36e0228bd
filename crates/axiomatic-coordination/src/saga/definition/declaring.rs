//! What declaring a step does, whichever it is.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::backoff::Backoff;

use super::action::{Action, Run};
use super::builder::Builder;
use super::error::DefinitionError;
use super::handle::sealed::Sealed;
use super::handle::{Handle, Inputs, Source};
use super::phase::Phase;
use crate::saga::machine::{Class, Retry, Spec, StepNo, Undo, Work};
use crate::saga::store::Store;

const MOST_STEPS: usize = 1000;

impl<S: Store, In, P: Phase> Builder<S, In, P> {
    pub(super) fn wait<T, I: Inputs>(&mut self, name: &str, after: &I, work: Work) -> Handle<T> {
        let spec = self.spec(name, after, P::CLASS, work);
        let waited = match work {
            Work::Sleep(time) | Work::Signal(Some(time)) => Some(time),
            _ => None,
        };
        if waited == Some(Duration::ZERO) {
            self.refuse(DefinitionError::NoTime(spec.name.clone()));
        }
        let action = Action {
            run: Run::Wait,
            undo: None,
            probe: None,
            count: None,
        };
        self.add(spec, action)
    }

    /// A step as it is if nothing else is said of it.
    pub(super) fn spec<I: Sealed>(
        &mut self,
        name: &str,
        inputs: &I,
        class: Class,
        work: Work,
    ) -> Spec {
        let name: Arc<str> = format!("{}{name}", self.prefix).into();
        if !is_name(&name) {
            self.refuse(DefinitionError::Name(name.clone()));
        }
        if self.graph.find(&name).is_some() {
            self.refuse(DefinitionError::Twice(name.clone()));
        }
        if self.graph.steps.len() == MOST_STEPS {
            self.refuse(DefinitionError::TooManySteps);
        }
        let mut sources = Vec::new();
        inputs.sources(&mut sources);
        let mut after: Vec<StepNo> = Vec::new();
        for (source, builder) in sources {
            if builder != self.id {
                self.refuse(DefinitionError::Foreign(name.clone()));
                continue;
            }
            if let Source::Step(step) = source {
                after.push(step);
            }
        }
        after.extend(self.pivot);
        after.sort_unstable();
        after.dedup();
        let attempts = match class {
            Class::Compensatable => 5,
            Class::Pivot | Class::Retriable => 0,
        };
        Spec {
            name,
            class,
            work,
            after,
            before: Vec::new(),
            undo: Undo::Nothing,
            has_probe: false,
            retry: Retry {
                attempts,
                backoff: BACKOFF,
            },
            undo_retry: Retry {
                attempts: 0,
                backoff: BACKOFF,
            },
            timeout: Duration::from_secs(30),
        }
    }

    /// The number that the next step will have.
    pub(super) fn next_step(&self) -> StepNo {
        StepNo(self.graph.steps.len().min(MOST_STEPS) as u16)
    }

    pub(super) fn add<T>(&mut self, spec: Spec, action: Action<S>) -> Handle<T> {
        if spec.timeout.is_zero() {
            self.refuse(DefinitionError::NoTime(spec.name.clone()));
        }
        for retry in [spec.retry, spec.undo_retry] {
            if let Err(error) = retry.backoff.checked() {
                self.refuse(DefinitionError::Backoff(spec.name.clone(), error));
            }
        }
        let step = self.next_step();
        if self.error.is_none() {
            for before in &spec.after {
                self.graph.steps[before.index()].before.push(step);
            }
            self.graph.steps.push(spec);
            self.actions.push(action);
        }
        Handle::new(Source::Step(step), self.id)
    }

    /// The first thing that is wrong is told when the definition is built.
    pub(super) fn refuse(&mut self, error: DefinitionError) {
        self.error.get_or_insert(error);
    }
}

/// Not measured: ten attempts take about a minute.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(30));

pub(super) fn is_name(name: &str) -> bool {
    let bytes = 1..=200;
    bytes.contains(&name.len()) && !name.chars().any(char::is_control)
}
