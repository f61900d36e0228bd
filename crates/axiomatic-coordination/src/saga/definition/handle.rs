//! What a step is given: outputs of earlier ones, by their types.

use std::fmt;
use std::marker::PhantomData;

use axiomatic_core::BoxError;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::saga::machine::{Progress, Spec, StepNo, Work};

/// The output that a step will have, for later steps to depend on. There is
/// none of a step that was not declared, so nothing can depend on it.
pub struct Handle<T> {
    pub(super) source: Source,
    /// Which builder made it.
    pub(super) builder: u64,
    output: PhantomData<fn() -> T>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The saga was given it.
    Input,
    /// A step's output.
    Step(StepNo),
}

impl<T> Handle<T> {
    pub(super) fn new(source: Source, builder: u64) -> Self {
        Handle {
            source,
            builder,
            output: PhantomData,
        }
    }

    /// For a step that comes after this one and needs nothing of it.
    pub fn only_after(self) -> After {
        After {
            source: self.source,
            builder: self.builder,
        }
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.source).finish()
    }
}

/// That a step comes after another, and needs nothing of it.
#[derive(Clone, Copy, Debug)]
pub struct After {
    source: Source,
    builder: u64,
}

/// What a step depends on: nothing, a [`Handle`], an [`After`], or up to six of
/// them.
pub trait Inputs: Copy + Send + Sync + sealed::Sealed + 'static {
    /// What the action is called with.
    type Values: Send + 'static;

    /// What later steps get of a step whose action returns `O`: that, or, if
    /// it is for each of many, the list of all.
    type Output<O>;
}

pub(crate) mod sealed {
    use super::{BoxError, Outputs, Source};

    #[expect(unnameable_types, reason = "that is what it is for")]
    pub trait Sealed {
        /// All that it depends on, each with the builder that made it.
        #[expect(private_interfaces, reason = "sealed")]
        fn sources(&self, found: &mut Vec<(Source, u64)>);

        /// The values, once they are there.
        #[expect(private_interfaces, reason = "sealed")]
        fn read(&self, outputs: &Outputs<'_>) -> Result<<Self as super::Inputs>::Values, BoxError>
        where
            Self: super::Inputs;

        /// The values of one item, which are the same for all unless there is
        /// a list.
        #[expect(private_interfaces, reason = "sealed")]
        fn read_item(
            &self,
            outputs: &Outputs<'_>,
            _item: u32,
        ) -> Result<<Self as super::Inputs>::Values, BoxError>
        where
            Self: super::Inputs,
        {
            self.read(outputs)
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> Inputs for Handle<T> {
    type Values = T;
    type Output<O> = O;
}

#[expect(private_interfaces, reason = "sealed")]
impl<T: DeserializeOwned + Send + 'static> sealed::Sealed for Handle<T> {
    fn sources(&self, found: &mut Vec<(Source, u64)>) {
        found.push((self.source, self.builder));
    }

    fn read(&self, outputs: &Outputs<'_>) -> Result<<Self as Inputs>::Values, BoxError> {
        outputs.read(self.source)
    }
}

impl Inputs for After {
    type Values = ();
    type Output<O> = O;
}

#[expect(private_interfaces, reason = "sealed")]
impl sealed::Sealed for After {
    fn sources(&self, found: &mut Vec<(Source, u64)>) {
        found.push((self.source, self.builder));
    }

    fn read(&self, _: &Outputs<'_>) -> Result<<Self as Inputs>::Values, BoxError> {
        Ok(())
    }
}

macro_rules! inputs {
    ($($part:ident),*) => {
        impl<$($part: Inputs),*> Inputs for ($($part,)*) {
            type Values = ($($part::Values,)*);
            type Output<Out> = Out;
        }

        #[expect(private_interfaces, reason = "sealed")]
        #[allow(non_snake_case, unused_variables, clippy::unused_unit, reason = "for each size")]
        impl<$($part: Inputs),*> sealed::Sealed for ($($part,)*) {
            fn sources(&self, found: &mut Vec<(Source, u64)>) {
                let ($($part,)*) = self;
                $($part.sources(found);)*
            }

            fn read(&self, outputs: &Outputs<'_>) -> Result<<Self as Inputs>::Values, BoxError> {
                let ($($part,)*) = self;
                Ok(($($part.read(outputs)?,)*))
            }
        }
    };
}

inputs!();
inputs!(A);
inputs!(A, B);
inputs!(A, B, C);
inputs!(A, B, C, D);
inputs!(A, B, C, D, E);
inputs!(A, B, C, D, E, F);

/// What there is so far: the saga's input, and outputs.
#[derive(Clone, Copy)]
pub(crate) struct Outputs<'a> {
    pub(crate) input: &'a Bytes,
    pub(crate) steps: &'a [Spec],
    pub(crate) progress: &'a Progress,
}

impl Outputs<'_> {
    pub(super) fn read<T: DeserializeOwned>(&self, source: Source) -> Result<T, BoxError> {
        match self.of(source) {
            Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
            None => Err("a step has no output that another depends on".into()),
        }
    }

    /// The value, as JSON.
    pub(crate) fn of(&self, source: Source) -> Option<Bytes> {
        match source {
            Source::Input => Some(self.input.clone()),
            Source::Step(step) => self.bytes(step),
        }
    }

    /// The output of a step; of a step for each of many, the list of all.
    fn bytes(&self, step: StepNo) -> Option<Bytes> {
        let slots = self.progress.slots(step);
        if !matches!(self.steps[step.index()].work, Work::Each(_)) {
            return slots[0].output.clone();
        }
        let mut list = vec![b'['];
        for (item, slot) in slots.iter().enumerate() {
            if item > 0 {
                list.push(b',');
            }
            list.extend_from_slice(slot.output.as_ref()?);
        }
        list.push(b']');
        Some(list.into())
    }
}
