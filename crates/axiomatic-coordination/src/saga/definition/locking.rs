//! Steps that lock what a saga is about to change.

use std::sync::Arc;

use super::action::{Action, LockAction, Run};
use super::builder::Builder;
use super::handle::{Handle, Inputs};
use super::phase::Undoable;
use crate::saga::isolation::Busy;
use crate::saga::locks::Lock;
use crate::saga::machine::{Class, Work};
use crate::saga::store::Store;

impl<S: Store, In> Builder<S, In, Undoable> {
    /// Waits until the saga has these locks, all of them, and then keeps them
    /// until it has ended, whichever way.
    ///
    /// What is locked is a name, and means what the sagas of this store agree
    /// on: nobody is kept from the thing itself. So all sagas that must not
    /// come between each other lock it first, and who only reads can
    /// [see](crate::saga::Client::line) that it is about to change.
    ///
    /// Who asks first has it first. No two sagas wait for each other: a saga
    /// that has locks, or waits for some, is refused what it cannot have at
    /// once, and turns. So ask for all in one step where that can be.
    ///
    /// In the log these are two steps: one, under this name and `/ask`, stands
    /// in line; the other waits for a [signal](Builder::signal) that its turn
    /// has come.
    ///
    /// ```
    /// use axiomatic_coordination::saga::{
    ///     Builder, Busy, Context, Fault, Lock, MemorySagas, Was,
    /// };
    /// use std::time::Duration;
    ///
    /// # async fn take(_: Context, _: (u32, ())) -> Result<(), Fault> { Ok(()) }
    /// # async fn give_back(_: Context, _: (u32, ()), _: Was<()>) -> Result<(), Fault> { Ok(()) }
    /// let mut saga = Builder::<MemorySagas, u32>::new("withdraw", 1);
    /// let account = saga.input();
    /// let locked = saga.lock("account", account, Busy::Wait(Duration::from_secs(5)), |account| {
    ///     vec![Lock::exclusive(format!("account/{account}"))]
    /// });
    /// saga.step("take", (account, locked.only_after()), take).compensate_with(give_back);
    /// let withdraw = saga.build()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock<I, F>(&mut self, name: &str, inputs: I, busy: Busy, locks: F) -> Handle<()>
    where
        I: Inputs,
        F: Fn(I::Values) -> Vec<Lock> + Send + Sync + 'static,
    {
        let mut ask = self.spec(
            &format!("{name}/ask"),
            &inputs,
            Class::Compensatable,
            Work::Lock,
        );
        // It is the store that is asked: for as long as that takes.
        ask.retry.attempts = 0;
        let signal = format!("{}{name}", self.prefix);
        let action = Action {
            run: Run::Lock(Arc::new(LockAction {
                name: signal.into(),
                waits: busy != Busy::Fail,
                locks: Box::new(move |outputs| {
                    let mut locks = locks(inputs.read(outputs)?);
                    locks.sort_unstable();
                    locks.dedup_by(|next, before| {
                        let is_same = next.resource == before.resource;
                        if is_same {
                            before.mode = before.mode.max(next.mode);
                        }
                        is_same
                    });
                    Ok(locks)
                }),
            })),
            undo: None,
            probe: None,
            count: None,
        };
        let asked: Handle<()> = self.add(ask, action);
        let within = match busy {
            Busy::Wait(within) => Some(within),
            Busy::Fail | Busy::Stash => None,
        };
        self.wait(name, &asked, Work::Signal(within))
    }
}
