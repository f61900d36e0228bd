use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use axiomatic_core::binding::Advise;
use axiomatic_core::budget::Budget;
use axiomatic_core::repeat::Repeat;
use axiomatic_core::{Carrier, Classify, Mode, Refusable};
use tower_service::Service;

use super::future::Spare;
use super::{ResponseFuture, Retry};

/// A service whose calls are tried again, as a [`Retry`] decides.
///
/// Ready means that the inner service is, for the first attempt: it is made
/// by the very instance that said so. A clone of that instance stays with the
/// call if it may be repeated, and is readied when it comes to that, so that
/// nothing that was readied waits.
pub struct RetryService<S, E, B, R, Bu> {
    inner: S,
    retry: Retry<Bu>,
    rule: R,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B, R, Bu> RetryService<S, E, B, R, Bu> {
    pub(super) fn new(inner: S, retry: Retry<Bu>, rule: R, binding: B) -> Self {
        RetryService {
            inner,
            retry,
            rule,
            binding,
            error: PhantomData,
        }
    }

    /// What decides about its calls.
    pub fn retry(&self) -> &Retry<Bu> {
        &self.retry
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, R, Bu, Req> Service<Req> for RetryService<S, E, B, R, Bu>
where
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Advise<S::Response, E> + Clone,
    R: Repeat<Req> + Clone,
    Bu: Budget,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S, Req, E, B, R, Bu>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline(always)]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let core = self.retry.core();
        if core.mode.load() == Mode::Off {
            return ResponseFuture::once(self.inner.call(request), self.binding.clone());
        }
        let context = self.binding.context(&request);
        let now = core.beginning(&context);
        let mut session = self.retry.begin(&context, now);
        let spare = if session.is_anothers() || !session.has_more() {
            None
        } else if self.retry.budget().is_drained(now) {
            session.forgo();
            None
        } else {
            let again = self.rule.repeat(&context, &request);
            again.map(|request| Spare {
                service: self.inner.clone(),
                rule: self.rule.clone(),
                request: Some(request),
            })
        };
        if spare.is_none() {
            session.only_once();
        }
        if session.is_ours() {
            self.binding
                .set_context(&mut request, session.mark(context));
        }
        let attempt = self.inner.call(request);
        ResponseFuture::repeating(attempt, self.binding.clone(), session, spare)
    }
}

impl<S: Clone, E, B: Clone, R: Clone, Bu: Clone> Clone for RetryService<S, E, B, R, Bu> {
    fn clone(&self) -> Self {
        RetryService::new(
            self.inner.clone(),
            self.retry.clone(),
            self.rule.clone(),
            self.binding.clone(),
        )
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, R: fmt::Debug, Bu> fmt::Debug
    for RetryService<S, E, B, R, Bu>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryService")
            .field("inner", &self.inner)
            .field("retry", &self.retry)
            .field("rule", &self.rule)
            .field("binding", &self.binding)
            .finish()
    }
}
