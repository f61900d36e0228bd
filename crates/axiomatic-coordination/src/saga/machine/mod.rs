//! A saga as a machine: its steps, how its log makes them stand, and what is
//! to be done next. Nothing here waits, asks a store, or reads a clock.

mod graph;
mod outlook;
mod progress;
mod slots;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use graph::{Class, Graph, Retry, Spec, StepNo, Undo, Work};
pub(crate) use outlook::{Circumstances, Move, Outlook, outlook};
pub(crate) use progress::{Direction, Illegal, Progress};
pub(crate) use slots::{MOST_ITEMS, NO_SIGNAL};
pub(crate) use standing::Standing;
