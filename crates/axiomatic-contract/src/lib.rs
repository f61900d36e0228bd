//! A test kit that holds any tower layer to the obligations of
//! `tower::Service`.
//!
//! The contract of `Service` is short, and most of it is prose: call only
//! what has said it is ready, keep errors, wake who waits, give back what a
//! dropped future had. The compiler checks none of it, and a test of what a
//! layer *does* rarely touches it: the mistakes show up under load, as a
//! permit that never comes back or a task that nobody wakes.
//!
//! # Example
//!
//! The kit puts a scripted service under the layer, moves both by hand, with
//! no runtime, and sees every poll, wake-up, clone, call and drop.
//!
//! ```
//! use axiomatic_contract::{Class, Contract, Obligation, Subject};
//! use std::task::{Context, Poll};
//! use tower_service::Service;
//!
//! /// Says when it is called. And is wrong.
//! #[derive(Clone)]
//! struct Shout<S>(S);
//!
//! impl<R, S: Service<R> + Clone> Service<R> for Shout<S> {
//!     type Response = S::Response;
//!     type Error = S::Error;
//!     type Future = S::Future;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
//!         self.0.poll_ready(cx)
//!     }
//!
//!     fn call(&mut self, request: R) -> S::Future {
//!         println!("HO");
//!         self.0.clone().call(request)
//!     }
//! }
//!
//! let report = Contract::new(Class::Direct, || Subject::from_fn(Shout)).check();
//!
//! let found = report.broken().next().unwrap();
//! assert_eq!(found.obligation(), Obligation::ReadinessBeforeCall);
//! assert_eq!(
//!     found.what(),
//!     "an instance of the inner service was called that had not been readied, in the first call",
//! );
//! ```
//!
//! In a test of your own, call [`Contract::assert`], which panics with the
//! whole report. Everything a layer needs is said in three places: its
//! [`Class`], the [`Subject`] with its hooks, and the [`Contract`].
//!
//! # What is judged
//!
//! Every [`Obligation`], in order, each over a layer and a script of its own.
//! They are told apart: a layer with one fault breaks one obligation. Where a
//! check cannot get to its point the verdict is [`Verdict::Unjudged`], which
//! is not a pass; where an obligation does not concern a layer, or a hook is
//! missing, it is [`Verdict::Skipped`] and the report says why.
//!
//! A task that waits is judged at each point where a layer can wait: the
//! inner service is not ready; its call is pending, and pending again; it is
//! not ready for a repetition; the layer is full; it backs off; it is about
//! to give up. At each, the task is polled again, polled with another waker,
//! woken, and dropped.
//!
//! | | needs |
//! |---|---|
//! | most | nothing |
//! | refusals, shared state | [`Subject::refuse`] (and [`relent`](Subject::relent)), or [`Subject::limit_in_flight`] of a layer that refuses |
//! | queues, idle services | [`Subject::limit_in_flight`] |
//! | leaks, exactly | [`Subject::held`]; without it a leak shows when calls no longer get through |
//! | back-off, giving up | [`Contract::passing_time`], [`Contract::gives_up_after`] |
//! | `!Send`, not `'static`, not `Clone` | [`local`]: it compiles or it does not |
//!
//! # What tower's own layers do
//!
//! Held to the same list in this crate's tests (tower 0.5.3). `Timeout`,
//! `Retry`, `MapResponse` and `BoxCloneService` keep all of it. Of the
//! others:
//!
//! - `ConcurrencyLimit` takes its permit in `poll_ready`, which tower allows,
//!   so a readied service that is not called starves the others
//!   ([`Obligation::IdleHoldsNothing`]). Under `LoadShed`, with a limit of
//!   one, a single idle clone makes 20 of 20 calls be shed while nothing is in
//!   flight.
//! - `ConcurrencyLimitLayer` and `RateLimitLayer` make a limit for each
//!   service ([`Obligation::SharedState`]); `GlobalConcurrencyLimitLayer`
//!   shares it.
//! - `LoadShed` leaves the calls it sheds in the inner service's queue
//!   ([`Obligation::ShedLeavesQueue`]).
//!
//! # When not to use it
//!
//! For what a layer is *for*: that a breaker opens is a test of the breaker.
//! For races between threads, which loom and shuttle are for: the kit polls
//! from one thread. For layers that hand calls to a task of their own, such as
//! `Buffer`, whose answers need a runtime to make progress. Nor does it run
//! with `panic = "abort"`.
#![forbid(unsafe_code)]

mod checks;
mod contract;
mod event;
pub mod local;
mod message;
mod obligation;
mod probe;
mod report;
mod script;
mod subject;
mod task;

pub use contract::Contract;
pub use event::{Event, Readiness, Reply};
pub use message::{Failure, Request, Response};
pub use obligation::{Class, Obligation};
pub use probe::{Probe, ProbeFuture};
pub use report::{Report, Verdict, Violation};
pub use script::Script;
pub use subject::Subject;
