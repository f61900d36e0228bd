use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use axiomatic_core::context::Endpoint;
use axiomatic_core::{BoxError, Carrier, Plain};
use tower_service::Service;

use super::error::NoNodes;
use super::future::ResponseFuture;
use super::routes::Routes;
use super::waiters::{Place, Waiting};
use crate::consistent_hash::Placement;

/// A tower service that sends each request to the node that owns its key, and a
/// further attempt to the next candidate. Made by [`Routes::router`].
///
/// It is ready as soon as there is a node; the service of a node is readied by
/// the future of the request, which so waits for its own node and for no other.
pub struct Router<P, S, K, E = BoxError, B = Plain> {
    routes: Routes<P, S>,
    key: K,
    binding: B,
    /// Where it waits for the first node.
    place: Place,
    error: PhantomData<fn() -> E>,
}

impl<P, S, K> Router<P, S, K, BoxError, Plain> {
    pub(super) fn new(routes: Routes<P, S>, key: K) -> Self {
        Router {
            routes,
            key,
            binding: Plain,
            place: Place::default(),
            error: PhantomData,
        }
    }
}

impl<P, S, K, E, B> Router<P, S, K, E, B> {
    /// The same with another error type, that of the stack.
    pub fn with_error<F>(self) -> Router<P, S, K, F, B>
    where
        K: Clone,
        B: Clone,
    {
        Router {
            routes: self.routes.clone(),
            key: self.key.clone(),
            binding: self.binding.clone(),
            place: Place::default(),
            error: PhantomData,
        }
    }

    /// The same with another binding, which finds the context that says which
    /// attempt it is, and whom to avoid.
    pub fn with_binding<C>(self, binding: C) -> Router<P, S, K, E, C>
    where
        K: Clone,
    {
        Router {
            routes: self.routes.clone(),
            key: self.key.clone(),
            binding,
            place: Place::default(),
            error: PhantomData,
        }
    }
}

impl<P, S, K, E, B, Req> Service<Req> for Router<P, S, K, E, B>
where
    P: Placement,
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: From<NoNodes>,
    K: Fn(&Req) -> u64,
    B: Carrier<Req>,
{
    type Response = S::Response;
    type Error = E;
    type Future = ResponseFuture<S, Req, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let shared = &self.routes.0;
        let has_nodes = || shared.serving.load().is_some();
        if has_nodes() {
            return Poll::Ready(Ok(()));
        }
        let waiting = shared.waiters.wait(&mut self.place, cx);
        // Once more, for what came before it was registered.
        match waiting {
            _ if has_nodes() => {
                // It waits for nothing any more, so nobody is to wake it.
                shared.waiters.leave(&mut self.place);
                Poll::Ready(Ok(()))
            }
            Waiting::Registered => Poll::Pending,
            Waiting::Ended => Poll::Ready(Err(NoNodes.into())),
        }
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let hash = (self.key)(&request);
        let serving = self.routes.0.serving.load();
        let Some(serving) = serving.as_ref() else {
            // All have left since it was ready.
            return ResponseFuture::failed();
        };
        let context = self.binding.context(&request);
        let chosen = serving.chosen(hash, &context);
        if let Some(choice) = self.binding.choice(&request) {
            choice.tell(Endpoint::from_bytes(chosen.id()));
        }
        ResponseFuture::readying(serving.services[chosen.index()].clone(), request)
    }
}

/// A clone waits for itself.
impl<P, S, K: Clone, E, B: Clone> Clone for Router<P, S, K, E, B> {
    fn clone(&self) -> Self {
        Router {
            routes: self.routes.clone(),
            key: self.key.clone(),
            binding: self.binding.clone(),
            place: Place::default(),
            error: PhantomData,
        }
    }
}

impl<P, S, K, E, B> Drop for Router<P, S, K, E, B> {
    fn drop(&mut self) {
        self.routes.0.waiters.leave(&mut self.place);
    }
}

impl<P: Placement, S, K, E, B: fmt::Debug> fmt::Debug for Router<P, S, K, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("routes", &self.routes)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
