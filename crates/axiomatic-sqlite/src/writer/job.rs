//! A closure, its caller, and what comes of it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use axiomatic_coordination::{StoreError, Why};
use axiomatic_core::BoxError;
use tokio::sync::oneshot;

use super::RunError;
use crate::error::{Fault, why};
use crate::saga::Undone;
use crate::transaction::Transaction;

/// What a caller gets: what came of its closure, or the panic of it.
pub(super) type Answer<T, E> = Result<Result<T, RunError<E>>, Panic>;

/// What a panic carries.
type Panic = Box<dyn Any + Send>;

/// A closure of any type with its caller.
pub(crate) trait Job: Send {
    /// Whether the caller has gone away.
    fn is_given_up(&self) -> bool;

    /// Whether the closure can be executed once more, if what it did was
    /// undone.
    fn can_be_repeated(&self) -> bool;

    /// Executes the closure, and keeps what comes of it.
    fn execute(&mut self, tx: &mut Transaction<'_>) -> Ending;

    /// Tells the caller what came of it, or of the group's commit.
    fn answer(self: Box<Self>, commit: Result<(), &Fault>);
}

/// Whether what a closure did is to be kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Keep,
    /// It is not; with what SQLite or the disk had against it, if that is
    /// known.
    Undo(Option<Why>),
}

/// What is executed for a caller.
pub(super) trait Closure<T, E>: Send {
    const CAN_BE_REPEATED: bool;

    fn call(&mut self, tx: &mut Transaction<'_>) -> Result<T, E>;
}

/// A closure that is executed once.
pub(super) struct Once<F>(pub(super) Option<F>);

impl<T, E, F> Closure<T, E> for Once<F>
where
    F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send,
{
    const CAN_BE_REPEATED: bool = false;

    fn call(&mut self, tx: &mut Transaction<'_>) -> Result<T, E> {
        let Some(closure) = self.0.take() else {
            unreachable!("such a closure is executed once");
        };
        closure(tx)
    }
}

/// One that may be executed again, if what it did was undone.
pub(super) struct Repeated<F>(pub(super) F);

impl<T, E, F> Closure<T, E> for Repeated<F>
where
    F: Fn(&mut Transaction<'_>) -> Result<T, E> + Send,
{
    const CAN_BE_REPEATED: bool = true;

    fn call(&mut self, tx: &mut Transaction<'_>) -> Result<T, E> {
        (self.0)(tx)
    }
}

pub(super) struct Work<C, T, E> {
    closure: C,
    state: State<T, E>,
    caller: oneshot::Sender<Answer<T, E>>,
}

enum State<T, E> {
    Waiting,
    Ended(Result<T, E>),
    Panicked(Panic),
}

impl<C, T, E> Work<C, T, E> {
    pub(super) fn new(closure: C) -> (Self, oneshot::Receiver<Answer<T, E>>) {
        let (caller, answer) = oneshot::channel();
        let work = Work {
            closure,
            state: State::Waiting,
            caller,
        };
        (work, answer)
    }
}

impl<C, T, E> Job for Work<C, T, E>
where
    C: Closure<T, E>,
    T: Send,
    E: Send + 'static,
{
    fn is_given_up(&self) -> bool {
        self.caller.is_closed()
    }

    fn can_be_repeated(&self) -> bool {
        C::CAN_BE_REPEATED
    }

    fn execute(&mut self, tx: &mut Transaction<'_>) -> Ending {
        // What a panic leaves half done is in a savepoint, and is undone.
        let called = catch_unwind(AssertUnwindSafe(|| self.closure.call(tx)));
        let (state, ending) = match called {
            Ok(Ok(value)) => (State::Ended(Ok(value)), Ending::Keep),
            Ok(Err(error)) => {
                let why = why_of(&error);
                (State::Ended(Err(error)), Ending::Undo(why))
            }
            Err(panic) => (State::Panicked(panic), Ending::Undo(None)),
        };
        self.state = state;
        ending
    }

    fn answer(self: Box<Self>, commit: Result<(), &Fault>) {
        let answer = match (self.state, commit) {
            // A panic is the caller's, whatever became of the others.
            (State::Panicked(panic), _) => Err(panic),
            (_, Err(fault)) => Ok(Err(RunError::Store(fault.to_store_error()))),
            (State::Ended(ended), Ok(())) => Ok(ended.map_err(RunError::Rejected)),
            (State::Waiting, Ok(())) => {
                unreachable!("only what was executed is committed")
            }
        };
        // A caller that has gone away since does not want to know.
        let _ = self.caller.send(answer);
    }
}

/// What an error says of the store, where it is of a type that says so.
fn why_of(error: &dyn Any) -> Option<Why> {
    if let Some(error) = error.downcast_ref::<rusqlite::Error>() {
        return Some(why(error));
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return Some(error.why());
    }
    if let Some(error) = error.downcast_ref::<Undone>() {
        return error.why();
    }
    let error = error.downcast_ref::<BoxError>()?;
    if let Some(error) = error.downcast_ref::<rusqlite::Error>() {
        return Some(why(error));
    }
    error.downcast_ref::<StoreError>().map(StoreError::why)
}
