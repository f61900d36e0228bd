use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{ReplayBody, UP_TO};

/// Makes request bodies such that they can be sent again.
///
/// It goes outside of what repeats, a retry or a hedge, whose rule is then
/// [`WhenIdempotent`](crate::WhenIdempotent).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ReplayLayer {
    cap: usize,
}

impl ReplayLayer {
    /// Up to [`UP_TO`] bytes of a body are kept.
    pub const fn new() -> Self {
        ReplayLayer::up_to(UP_TO)
    }

    /// Up to so many bytes of a body are kept, for as long as one is under
    /// way: a server's memory for it is at most this, times the requests that
    /// it makes at once.
    pub const fn up_to(bytes: usize) -> Self {
        ReplayLayer { cap: bytes }
    }
}

impl Default for ReplayLayer {
    fn default() -> Self {
        ReplayLayer::new()
    }
}

impl<S> Layer<S> for ReplayLayer {
    type Service = ReplayService<S>;

    fn layer(&self, inner: S) -> ReplayService<S> {
        ReplayService {
            inner,
            cap: self.cap,
        }
    }
}

/// The service of [`ReplayLayer`]: ready when the inner one is, and with its
/// future, answer and error.
#[derive(Clone, Debug)]
pub struct ReplayService<S> {
    inner: S,
    cap: usize,
}

impl<S> ReplayService<S> {
    /// The service behind it.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B> Service<Request<B>> for ReplayService<S>
where
    S: Service<Request<ReplayBody<B>>>,
    B: Body,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> S::Future {
        let cap = self.cap;
        self.inner
            .call(request.map(|body| ReplayBody::new(body, cap)))
    }
}
