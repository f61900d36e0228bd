use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use axiomatic_core::binding::Advise;
use axiomatic_core::budget::Budget;
use axiomatic_core::context::Choice;
use axiomatic_core::repeat::Repeat;
use axiomatic_core::time::Instant;
use axiomatic_core::{Carrier, Classify, Mode, Refusable};
use tower_service::Service;

use super::second::Spare;
use super::{Hedge, ResponseFuture};

/// A service whose calls are hedged, as a [`Hedge`] decides.
///
/// Ready means that the inner service is, for the first attempt: it is made
/// by the very instance that said so. A clone of that instance stays with the
/// call if it may be hedged, and is readied when it comes to that, so that
/// nothing that was readied waits.
pub struct HedgeService<S, E, B, R, Bu> {
    inner: S,
    hedge: Hedge<Bu>,
    rule: R,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B, R, Bu> HedgeService<S, E, B, R, Bu> {
    pub(super) fn new(inner: S, hedge: Hedge<Bu>, rule: R, binding: B) -> Self {
        HedgeService {
            inner,
            hedge,
            rule,
            binding,
            error: PhantomData,
        }
    }

    /// What decides about its calls.
    pub fn hedge(&self) -> &Hedge<Bu> {
        &self.hedge
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// What a second attempt at `at` takes, if there may be one: not of a
    /// request that must not be sent twice, nor after its deadline.
    #[inline]
    fn spare<Req>(&self, at: Instant, request: &mut Req) -> Option<Spare<S, Req, R>>
    where
        S: Clone,
        B: Carrier<Req>,
        R: Repeat<Req> + Clone,
        Bu: Budget,
    {
        let context = self.binding.context(request);
        if context.deadline().is_some_and(|until| until.is_expired(at)) {
            return None;
        }
        let again = self.rule.repeat(&context, request)?;
        let choice = if self.hedge.avoids_endpoints() && self.hedge.mode() == Mode::Enforce {
            self.choice(request)
        } else {
            None
        };
        Some(Spare {
            service: self.inner.clone(),
            request: again,
            rule: self.rule.clone(),
            choice,
            at,
        })
    }

    /// A place for the endpoint of the first attempt, unless there is one.
    #[cold]
    fn choice<Req>(&self, request: &mut Req) -> Option<Choice>
    where
        B: Carrier<Req>,
    {
        if self.binding.choice(request).is_some() {
            return None;
        }
        let choice = Choice::new();
        self.binding.set_choice(request, choice.clone());
        Some(choice)
    }
}

impl<S, E, B, R, Bu, Req> Service<Req> for HedgeService<S, E, B, R, Bu>
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

    #[inline]
    fn call(&mut self, mut request: Req) -> Self::Future {
        if self.hedge.mode() == Mode::Off {
            return ResponseFuture::once(self.inner.call(request), self.binding.clone());
        }
        let call = self.hedge.begin(self.hedge.now());
        let spare = match call.fires_at() {
            Some(at) => self.spare(at, &mut request),
            None => None,
        };
        let first = self.inner.call(request);
        ResponseFuture::watched(first, spare, call, self.binding.clone())
    }
}

impl<S: Clone, E, B: Clone, R: Clone, Bu: Clone> Clone for HedgeService<S, E, B, R, Bu> {
    fn clone(&self) -> Self {
        HedgeService::new(
            self.inner.clone(),
            self.hedge.clone(),
            self.rule.clone(),
            self.binding.clone(),
        )
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, R: fmt::Debug, Bu> fmt::Debug
    for HedgeService<S, E, B, R, Bu>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeService")
            .field("inner", &self.inner)
            .field("hedge", &self.hedge)
            .field("rule", &self.rule)
            .field("binding", &self.binding)
            .finish()
    }
}
