use std::task::{self, Poll};

use axiomatic_core::Carrier;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::local::{SCOPE, Scope};
use super::{ResponseFuture, Scoped};
use crate::Http;

/// Opens a [scope](super) for each request, with the request's context.
///
/// It goes innermost, around the handler.
#[derive(Copy, Clone, Debug, Default)]
pub struct ScopeLayer {
    // Reserved, so that it can come to be configured.
    _private: (),
}

impl ScopeLayer {
    /// The one there is.
    pub const fn new() -> Self {
        ScopeLayer { _private: () }
    }
}

impl<S> Layer<S> for ScopeLayer {
    type Service = ScopeService<S>;

    fn layer(&self, inner: S) -> ScopeService<S> {
        ScopeService { inner }
    }
}

/// The service of [`ScopeLayer`]: ready when the inner one is, and with its
/// error.
#[derive(Clone, Debug)]
pub struct ScopeService<S> {
    inner: S,
}

impl<S> ScopeService<S> {
    /// The service behind it.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, D> Service<Request<B>> for ScopeService<S>
where
    S: Service<Request<B>, Response = Response<D>>,
{
    type Response = Response<D>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = Http.context(&request);
        // A service that hands its request on calls before it is polled.
        let called = SCOPE.sync_scope(Scope::new(&context), || self.inner.call(request));
        ResponseFuture::new(Scoped::new(&context, called))
    }
}
