//! How sagas are defined.

mod action;
mod builder;
mod context;
mod declaring;
mod describe;
mod each;
mod error;
mod handle;
mod locking;
mod phase;
mod saga;
mod step;

#[cfg(feature = "trial")]
pub(crate) use action::Action;
pub(crate) use action::{Doing, Run, UndoRun, to_json};
pub(crate) use handle::Outputs;
pub(crate) use saga::Plan;

pub use action::{LocalAction, encode};
pub use builder::Builder;
pub use context::{Context, Probed, StepKey, Was};
pub use describe::Description;
pub use each::Each;
pub use error::DefinitionError;
pub use handle::{After, Handle, Inputs};
pub use phase::{Committed, Phase, Undoable};
pub use saga::Saga;
pub use step::Step;
