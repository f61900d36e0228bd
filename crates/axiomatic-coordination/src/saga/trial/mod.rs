//! Trials of a definition: what is not idempotent, or not undone, is found
//! before a crash finds it.
//!
//! A step's action may run twice, its undo may, and its undo may run though the
//! action never did. That a definition bears this is a promise of its author,
//! which no type holds. Trials hold it: they run a definition over a [`Memory`]
//! and fakes of the other services, with one fault at a time, at each of its
//! steps.
//!
//! | Trial | The fault, at each step in turn |
//! |---|---|
//! | [`repeat_each`] | its action runs twice |
//! | [`fail_each`] | its action fails |
//! | [`undo_repeat_each`] | its undo runs twice |
//! | [`unknown_each`] | its answer is lost, after it ran or before |
//! | [`crash_each`] | the database crashes, and another executor takes over |
//!
//! # Example
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//! use axiomatic_coordination::Memory;
//! use axiomatic_coordination::saga::trial::{self, World};
//! use axiomatic_coordination::saga::{Builder, Context, Was};
//!
//! fn world(_: &Memory) -> World<u32, ()> {
//!     // The bank, which knows a charge again by its key.
//!     let bank = Arc::new(Mutex::new(BTreeMap::new()));
//!     let (charges, refunds, sees) = (bank.clone(), bank.clone(), bank);
//!     let mut saga = Builder::new("purchase", 1);
//!     let amount = saga.input();
//!     saga.step("charge", amount, move |context: Context, amount: u32| {
//!         let charges = charges.clone();
//!         async move {
//!             charges.lock().unwrap().insert(context.key().to_string(), amount);
//!             Ok(())
//!         }
//!     })
//!     .compensate_with(move |context: Context, _, _: Was<()>| {
//!         let refunds = refunds.clone();
//!         async move {
//!             refunds.lock().unwrap().remove(&context.action_key().to_string());
//!             Ok(())
//!         }
//!     });
//!     let saga = saga.build().expect("a definition");
//!     World::new(saga, 17).sees("charges", move || sees.lock().unwrap().clone())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! trial::repeat_each(world).await.assert_clean();
//! trial::fail_each(world).await.assert_clean();
//! trial::undo_repeat_each(world).await.assert_clean();
//! trial::unknown_each(world).await.assert_clean();
//! trial::crash_each(world).await.assert_clean();
//! # }
//! ```
//!
//! # What a run is compared with
//!
//! With a run that had no fault, or with how things stood before: all that the
//! world [sees](World::sees), and all that the [`Memory`] holds. So the fakes
//! must behave alike in each run, and steps that run at once must not be seen
//! in the order in which they did. A definition of which nothing is seen, a
//! list that is empty and a fault that had no place are findings, too: what was
//! not tried is not clean.
//!
//! Runs are hurried: sleeps last a millisecond, as do pauses between attempts;
//! what can be undone, and undos, are tried three times; and there is no
//! deadline.
//!
//! The feature `trial` brings it, for dev-dependencies. It is none of
//! `conformance`, which is for those who write stores: who writes sagas needs
//! nothing of that.

mod injection;
mod report;
mod run;
mod trials;
mod unchanged;
mod world;

pub use report::{Finding, Report};
pub use trials::{crash_each, fail_each, repeat_each, undo_repeat_each, unknown_each};
pub use unchanged::assert_definition_unchanged;
pub use world::World;

#[cfg(doc)]
use crate::Memory;
