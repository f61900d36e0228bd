use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Announce, Carrier, Reason, Refusable};
use tower_service::Service;

use super::{Gate, ResponseFuture};

/// A service behind a limit of its rate, which refuses what is beyond it.
///
/// A call is asked for in `call`, and nothing by being ready: readiness is the
/// inner service's, since whether there is something left by the time of the
/// call only that time can tell. So the clock is read once a call. A refused
/// call leaves the inner service as ready as it was.
pub struct RateLimitService<S, E, B, G> {
    inner: S,
    is_readied: bool,
    gate: G,
    binding: B,
    error: PhantomData<fn() -> E>,
}

impl<S, E, B, G> RateLimitService<S, E, B, G> {
    pub(super) fn new(inner: S, gate: G, binding: B) -> Self {
        RateLimitService {
            inner,
            is_readied: false,
            gate,
            binding,
            error: PhantomData,
        }
    }

    /// What has the limit.
    pub fn gate(&self) -> &G {
        &self.gate
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, G, Req> Service<Req> for RateLimitService<S, E, B, G>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Announce<S::Response> + Clone,
    G: Gate<Req>,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.is_readied = false;
        ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
        self.is_readied = true;
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        if !self.is_readied {
            return ResponseFuture::refused(self.gate.rejected(Reason::NotReady));
        }
        let now = self.gate.clock().now();
        // What nobody waits for any more is not to cost anything.
        let deadline = self.binding.deadline(&request);
        if deadline.is_some_and(|deadline| deadline.instant() <= now) {
            return ResponseFuture::refused(self.gate.turn_away(Reason::Expired));
        }
        match self.gate.take(&request, now, NonZeroU32::MIN) {
            Ok(_) => {
                self.is_readied = false;
                let announced = self.gate.announced(&request, now);
                let announced = announced.map(|left| (self.binding.clone(), left));
                ResponseFuture::called(self.inner.call(request), announced)
            }
            Err(rejected) => ResponseFuture::refused(rejected),
        }
    }
}

impl<S: Clone, E, B: Clone, G: Clone> Clone for RateLimitService<S, E, B, G> {
    fn clone(&self) -> Self {
        // Readiness belongs to the instance that was asked.
        RateLimitService::new(self.inner.clone(), self.gate.clone(), self.binding.clone())
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, G: fmt::Debug> fmt::Debug for RateLimitService<S, E, B, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitService")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
