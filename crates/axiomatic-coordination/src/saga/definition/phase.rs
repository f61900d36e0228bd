//! Before or behind the pivot, as types.

use crate::saga::machine::Class;

/// Before the pivot: what is done can be undone.
#[derive(Debug)]
pub enum Undoable {}

/// Behind the pivot: what is to be done will be.
#[derive(Debug)]
pub enum Committed {}

/// Before or behind the pivot.
pub trait Phase: sealed::Sealed {}

impl Phase for Undoable {}

impl Phase for Committed {}

pub(super) mod sealed {
    use super::{Class, Committed, Undoable};

    #[expect(unnameable_types, reason = "that is what it is for")]
    pub trait Sealed {
        #[expect(private_interfaces, reason = "sealed")]
        const CLASS: Class;
    }

    #[expect(private_interfaces, reason = "sealed")]
    impl Sealed for Undoable {
        const CLASS: Class = Class::Compensatable;
    }

    #[expect(private_interfaces, reason = "sealed")]
    impl Sealed for Committed {
        const CLASS: Class = Class::Retriable;
    }
}
