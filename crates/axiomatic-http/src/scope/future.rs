use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use axiomatic_core::{Context, Outcome};
use http::Response;
use pin_project::pin_project;
use tokio::task::futures::TaskLocalFuture;

use super::local::{SCOPE, Scope, give_up};
use crate::{binding, fields};

/// A future in a [scope](super::scope()).
#[pin_project]
pub struct Scoped<F> {
    #[pin]
    inner: TaskLocalFuture<Scope, F>,
}

impl<F: Future> Scoped<F> {
    pub(super) fn new(context: &Context, future: F) -> Self {
        Scoped {
            inner: SCOPE.scope(Scope::new(context), future),
        }
    }

    /// The output, and whether a retry in the scope gave up.
    fn poll_scope(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<(F::Output, bool)> {
        let mut inner = self.project().inner;
        let output = ready!(inner.as_mut().poll(cx));
        let scope = inner.take_value();
        Poll::Ready((output, scope.is_some_and(|scope| scope.gave_up())))
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let (output, gave_up) = ready!(self.poll_scope(cx));
        if gave_up {
            // We are in the scope around by now, if there is one. Whether the
            // output made it good, nobody here can tell.
            give_up();
        }
        Poll::Ready(output)
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}

/// The response future of a [`ScopeService`](super::ScopeService).
#[pin_project]
pub struct ResponseFuture<F> {
    #[pin]
    inner: Scoped<F>,
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: Scoped<F>) -> Self {
        ResponseFuture { inner }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let (mut answer, gave_up) = ready!(self.project().inner.poll_scope(cx));
        if gave_up {
            match &mut answer {
                Ok(response) => mark(response),
                Err(_) => give_up(),
            }
        }
        Poll::Ready(answer)
    }
}

/// Marks an answer that a caller would ask for again, and tells the scope
/// around, which may belong to a retry that is not a process further out.
fn mark<B>(response: &mut Response<B>) {
    match binding::outcome(response.status(), response.headers()) {
        Outcome::Transient | Outcome::Throttled { .. } => {
            fields::forbid_retry(response.headers_mut());
            give_up();
        }
        Outcome::Success | Outcome::Permanent | Outcome::Ignored => {}
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
