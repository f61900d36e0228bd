//! The service: who a request is, and what its client is told.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context, Poll};

use axiomatic_core::backoff::Backoff;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use std::time::Duration;
use tokio::time::sleep_until;
use tower_service::Service;

use super::body::{Unread, read};
use super::config::InProgress;
use super::counts::Happened;
use super::head::{Given, answer, stored_request};
use super::key::{NoKey, key};
use super::problem::Problem;
use super::run::{Turn, run};
use super::shared::{Shared, now};
use crate::idempotency::{Claim, Claimed, Fingerprint, Name, Owner, Scope, Store, StoredRequest};

/// The body of an answer: one that is stored, or the handler's own.
pub type Answer<R> = Either<Full<Bytes>, R>;

/// The answer, or the handler's error. Boxed, since it waits for tasks and for a
/// database: beside these one allocation is nothing.
pub type ResponseFuture<R, E> = BoxFuture<'static, Result<Response<Answer<R>>, E>>;

/// A service that runs each request once, as far as its key tells.
pub struct IdempotencyService<T, S> {
    shared: Arc<Shared<S>>,
    inner: T,
}

impl<T, S> IdempotencyService<T, S> {
    pub(super) fn new(shared: Arc<Shared<S>>, inner: T) -> Self {
        IdempotencyService { shared, inner }
    }
}

impl<T: Clone, S> Clone for IdempotencyService<T, S> {
    fn clone(&self) -> Self {
        IdempotencyService {
            shared: Arc::clone(&self.shared),
            inner: self.inner.clone(),
        }
    }
}

impl<T, S> fmt::Debug for IdempotencyService<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyService").finish_non_exhaustive()
    }
}

impl<T, S, B, R> Service<Request<B>> for IdempotencyService<T, S>
where
    S: Store,
    T: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    T::Future: Send + 'static,
    T::Error: Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Answer<R>>;
    type Error = T::Error;
    type Future = ResponseFuture<R, T::Error>;

    /// Readiness is the handler's; an answer that is replayed does not need
    /// it, and gives it back.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is called, and its clone is kept.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        Box::pin(serve(Arc::clone(&self.shared), ready, request))
    }
}

/// A request that can be told from others.
struct Asked {
    name: Name,
    fingerprint: Fingerprint,
    parts: Parts,
    body: Bytes,
    stored: Option<StoredRequest>,
}

async fn serve<S, T, B, R>(
    shared: Arc<Shared<S>>,
    mut ready: T,
    request: Request<B>,
) -> Result<Response<Answer<R>>, T::Error>
where
    S: Store,
    T: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    T::Future: Send + 'static,
    T::Error: Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let name = match shared.name(&parts) {
        Ok(Some(name)) => name,
        Ok(None) => {
            let response = ready.call(Request::from_parts(parts, body)).await?;
            return Ok(response.map(Either::Right));
        }
        Err(problem) => return Ok(problem.answer()),
    };
    let body = match shared.body(body).await {
        Ok(body) => body,
        Err(problem) => return Ok(problem.answer()),
    };
    let asked = Arc::new(shared.asked(name, parts, body));

    let until = match shared.config.in_progress {
        InProgress::Conflict => None,
        InProgress::Wait(longest) => Some(now() + longest),
    };
    let mut waits =
        Backoff::exponential(Duration::from_millis(10), Duration::from_millis(500)).start();
    let spare = ready.clone();
    loop {
        // In a task of its own, which goes on if the client goes away: else a
        // claim that was just made would be nobody's until its lease ends.
        let turn = turn(Arc::clone(&shared), Arc::clone(&asked), ready);
        let turn = match tokio::spawn(in_span(turn)).await {
            Ok(turn) => turn,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime shuts down.
                Err(_) => Turn::Unavailable,
            },
        };
        match turn {
            Turn::Answered(stored, given) => {
                let response = answer(stored, given);
                return Ok(response.unwrap_or_else(|_| Problem::StoreUnavailable.answer()));
            }
            Turn::NotStored(response) => return Ok(response.map(Either::Right)),
            Turn::Failed(error) => return Err(error),
            Turn::Panicked(panic) => resume_unwind(panic),
            Turn::BrokeOff => return Ok(Problem::ResponseFailed.answer()),
            Turn::Mismatch => return Ok(Problem::Mismatch.answer()),
            Turn::Unavailable => return Ok(Problem::StoreUnavailable.answer()),
            Turn::InProgress => {}
        }
        let Some(until) = until.filter(|until| now() < *until) else {
            shared.counts.count(&asked.name, Happened::Conflict);
            return Ok(Problem::InProgress.answer());
        };
        let wait = waits.next().unwrap_or_default();
        sleep_until(until.min(now() + wait)).await;
        ready = spare.clone();
    }
}

/// Claims once, and runs the request if it is ours.
async fn turn<S, T, B, R>(shared: Arc<Shared<S>>, asked: Arc<Asked>, inner: T) -> Turn<R, T::Error>
where
    S: Store,
    T: Service<Request<B>, Response = Response<R>>,
    B: From<Bytes>,
    R: Body<Data = Bytes>,
{
    let since = now();
    let claim = Claim {
        name: &asked.name,
        fingerprint: asked.fingerprint,
        owner: Owner::unique(),
        lease: shared.config.lease,
        retention: shared.config.retention,
        request: asked.stored.as_ref(),
    };
    let count = |happened| shared.counts.count(&asked.name, happened);
    let mine = match shared.claim(&claim).await {
        Ok(Claimed::Mine(mine)) => mine,
        Ok(Claimed::InProgress { .. }) => return Turn::InProgress,
        Ok(Claimed::Completed(stored)) => {
            count(Happened::Replayed);
            return Turn::Answered(stored, Given::Before);
        }
        Ok(Claimed::Mismatch) => {
            count(Happened::Mismatch);
            return Turn::Mismatch;
        }
        Err(error) => {
            count(Happened::Unavailable(Some(&error)));
            return Turn::Unavailable;
        }
    };
    let request = Request::from_parts(asked.parts.clone(), B::from(asked.body.clone()));
    run(&shared, asked.name.clone(), (mine, since), inner, request).await
}

impl<S: Store> Shared<S> {
    /// What a request is called; nothing if it passes through.
    fn name(&self, parts: &Parts) -> Result<Option<Name>, Problem> {
        let config = &self.config;
        if !config.methods.contains(&parts.method) {
            return Ok(None);
        }
        let key = match key(&parts.headers) {
            Ok(key) => key,
            Err(NoKey::Missing) if config.is_required => return Err(Problem::KeyMissing),
            Err(NoKey::Missing) => return Ok(None),
            Err(NoKey::Bad(why)) => return Err(Problem::KeyBad(why)),
        };
        let tenant = config.tenants.of(parts).ok_or(Problem::TenantUnknown)?;
        let scope = Scope {
            tenant: tenant.into(),
            method: parts.method.as_str().into(),
            route: config.routes.of(parts).into(),
        };
        if scope.length() > Scope::LONGEST {
            return Err(Problem::ScopeTooLong);
        }
        Ok(Some(Name { scope, key }))
    }

    async fn body(&self, body: impl Body<Data = Bytes>) -> Result<Bytes, Problem> {
        let at_most = self.config.request_at_most;
        read(body, at_most).await.map_err(|unread| match unread {
            Unread::UnknownLength => Problem::LengthRequired,
            Unread::TooLong => Problem::TooLarge { at_most },
            Unread::BrokeOff => Problem::BodyUnreadable,
        })
    }

    fn asked(&self, name: Name, parts: Parts, body: Bytes) -> Asked {
        let config = &self.config;
        let kept = &config.kept_of_request;
        Asked {
            name,
            fingerprint: config.fingerprint.of(&parts, &body),
            stored: config
                .is_resumable
                .then(|| stored_request(&parts, kept, &body)),
            parts,
            body,
        }
    }
}

/// What a handler traces belongs to its request, though it is another task's.
fn in_span<F: Future>(future: F) -> impl Future<Output = F::Output> {
    #[cfg(feature = "tracing")]
    let future = tracing::Instrument::in_current_span(future);
    future
}
