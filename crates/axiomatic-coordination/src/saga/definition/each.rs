//! Items of a list.

use axiomatic_core::BoxError;
use serde::de::DeserializeOwned;

use super::handle::sealed::Sealed;
use super::handle::{Handle, Inputs, Outputs, Source};
use crate::saga::machine::MOST_ITEMS;

/// What a step for each of many depends on: the list, and what is the same for
/// all.
#[derive(Debug)]
pub struct Each<T, I> {
    pub(super) list: Handle<Vec<T>>,
    pub(super) inputs: I,
}

impl<T, I: Copy> Clone for Each<T, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, I: Copy> Copy for Each<T, I> {}

impl<T: DeserializeOwned + Send + 'static, I: Inputs> Each<T, I> {
    /// One item, with what is the same for all.
    pub(super) fn item(
        &self,
        outputs: &Outputs<'_>,
        item: u32,
    ) -> Result<(T, I::Values), BoxError> {
        let list: Vec<T> = self.list.read(outputs)?;
        let item = list.into_iter().nth(item as usize);
        let item = item.ok_or("the list has become shorter")?;
        Ok((item, self.inputs.read(outputs)?))
    }

    /// How many there are.
    pub(super) fn count(&self, outputs: &Outputs<'_>) -> Result<usize, BoxError> {
        let list: Vec<serde::de::IgnoredAny> = outputs.read(self.list.source)?;
        if list.len() > MOST_ITEMS {
            return Err(
                format!("the list has {} items of at most {MOST_ITEMS}", list.len()).into(),
            );
        }
        Ok(list.len())
    }
}

impl<T: DeserializeOwned + Send + 'static, I: Inputs> Inputs for Each<T, I> {
    type Values = (T, I::Values);
    type Output<O> = Vec<O>;
}

#[expect(private_interfaces, reason = "sealed")]
impl<T: DeserializeOwned + Send + 'static, I: Inputs> Sealed for Each<T, I> {
    fn sources(&self, found: &mut Vec<(Source, u64)>) {
        self.list.sources(found);
        self.inputs.sources(found);
    }

    /// The first item's: a step reads its own.
    fn read(&self, outputs: &Outputs<'_>) -> Result<<Self as Inputs>::Values, BoxError> {
        self.item(outputs, 0)
    }

    fn read_item(
        &self,
        outputs: &Outputs<'_>,
        item: u32,
    ) -> Result<<Self as Inputs>::Values, BoxError> {
        self.item(outputs, item)
    }
}
