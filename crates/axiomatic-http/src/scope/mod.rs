//! A scope: what a handler calls inherits what the handler was asked with.
//!
//! # The problem
//!
//! A handler gets a request with a deadline and makes three calls. Each of
//! them should end by that deadline, and whoever forgets to say so, once, at
//! one of the three, has a call that nobody waits for. A parameter that goes
//! through every function of a service is forgotten somewhere.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::context::{Context, Priority};
//! use axiomatic_core::{BoxError, Carrier};
//! use axiomatic_http::{Http, ScopeLayer};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! async fn handler(_: Request<()>) -> Result<Response<()>, BoxError> {
//!     // Somewhere further in, a request to another service. Its layers ask:
//!     let call = Request::get("/stock").body(())?;
//!     assert_eq!(Http.context(&call).priority(), Priority::SHEDDABLE);
//!     Ok(Response::new(()))
//! }
//! let service = ServiceBuilder::new()
//!     .layer(ScopeLayer::new())
//!     .service(service_fn(handler));
//! let context = Context::default().with_priority(Priority::SHEDDABLE);
//! service.oneshot(Request::get("/").extension(context).body(())?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Without tower: `axiomatic_http::scope(context, future).await`.
//!
//! # How it works
//!
//! A task-local of tokio's holds the [child](Context::child) of the
//! request's context while the future is polled: the same deadline, unarmed,
//! the same priority and `retried_by`, and nothing of this attempt. Where a
//! binding reads the context of a request, the scope fills in what that does
//! not say: its deadline if it is the earlier one, its priority if the
//! request has the default, its `retried_by` if the request has none.
//!
//! [`ScopeLayer`] goes **innermost**, directly around the handler, since
//! layers further out shorten the deadline and a scope around them would not
//! know it.
//!
//! Scopes nest, and the inner one is the one that counts; it inherits nothing
//! by itself, as it is given a context that is read inside of the outer one.
//! **A spawned task is in no scope**: it may outlive the call. Where it is
//! part of it, it is spawned with one:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tokio::task::JoinError> {
//! # async fn half_the_work() {}
//! use axiomatic_http::scope;
//!
//! tokio::spawn(scope(scope::current(), half_the_work())).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Giving up.** Where a retry among the handler's calls gives up, its
//! binding says so to the scope
//! ([`Advise::given_up`](axiomatic_core::Advise::given_up)). If the handler
//! then answers with a failure, one that a caller would repeat (408, 425,
//! 429, 5xx), [`ScopeLayer`] marks the answer as not to be repeated, with the
//! [field](crate::fields::RETRY) for it: of all the retries above each other,
//! the one that was closest to the failure has done its work. The scope
//! cannot know whether the one is the reason of the other. An answer that is
//! good, from a fallback for example, is not marked. A handler that fails
//! with an error, which becomes an answer further out, is not marked either;
//! it tells the scope around it, so that a second [`ScopeLayer`] outside of
//! [`RejectionLayer`](crate::RejectionLayer) marks what that makes of it.
//!
//! # Guarantees
//!
//! - A call inherits what it does not say itself, and a deadline only if it
//!   is the earlier one (`a_call_inherits_what_it_does_not_say`).
//! - What is inherited is a child's (`what_is_inherited_is_a_childs`).
//! - Inner scopes count, and end with their future
//!   (`the_inner_scope_counts_and_ends_with_its_future`), also when that is
//!   dropped or panics (`a_scope_ends_when_its_future_is_dropped_or_panics`).
//! - A spawned task is in no scope, unless it is given one
//!   (`a_spawned_task_is_in_no_scope`).
//! - A retry that gave up inside marks a failed answer, and no other
//!   (`a_failed_answer_after_a_retry_gave_up_is_marked`).
//! - A give-up that became an error is told to the scope around
//!   (`an_error_after_a_retry_gave_up_marks_further_out`).
//! - It asks nothing of request, answer and future
//!   (`the_scope_asks_for_nothing`), and allocates nothing
//!   (`every_claim_of_allocations_holds`).
//!
//! # Cost
//!
//! Two moves of a context in and out of the task-local for each poll, some
//! 100 bytes each. A read of a context looks at the task-local, in a scope or
//! out of one. No allocation.
//!
//! # When not to use it
//!
//! Where the handler hands its context on itself, by the extractor
//! `axiomatic_http::Inherited` for example: then one sees in its signature
//! what it calls with, and a spawned task takes it along.

mod future;
mod layer;
mod local;

use std::future::Future;

use axiomatic_core::Context;

pub use future::{ResponseFuture, Scoped};
pub use layer::{ScopeLayer, ScopeService};
pub(crate) use local::{give_up, inherit};

/// Runs a future in a scope: the calls that it makes inherit the
/// [child](Context::child) of this context.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what is served in a scope is handed to it, the future as well as its context"
)]
pub fn scope<F: Future>(context: Context, future: F) -> Scoped<F> {
    Scoped::new(&context, future)
}

/// What is inherited here; the default outside of any scope.
pub fn current() -> Context {
    inherit(None)
}
