use std::task::{self, Poll};

use axiomatic_core::Carrier;
use axiomatic_core::time::Clock;
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Http, fields};

/// Writes the context of a request into its fields.
///
/// It goes inside of everything that writes a context, directly around the
/// client: each attempt of a retry is then written as the attempt that it is,
/// with the time that it has.
#[derive(Clone, Debug)]
pub struct OutboundLayer {
    clock: Clock,
    timeouts: Timeouts,
}

/// In which fields a timeout is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Timeouts {
    Ours,
    OursAndGrpcs,
}

impl OutboundLayer {
    /// The fields are those of [`fields`], without gRPC's.
    pub const fn new() -> Self {
        OutboundLayer {
            clock: Clock::Precise,
            timeouts: Timeouts::Ours,
        }
    }

    /// The same for gRPC, whose servers know [`fields::GRPC_TIMEOUT`]: it is
    /// written too, unless the client has written a shorter one.
    #[must_use]
    pub const fn with_grpc_timeout(mut self) -> Self {
        self.timeouts = Timeouts::OursAndGrpcs;
        self
    }

    /// The same, with the time that is left read from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn write<B>(&self, request: &mut Request<B>) {
        let context = Http.context(request);
        let headers = request.headers_mut();
        let mut now = None;
        let mut now = || *now.get_or_insert_with(|| self.clock.now());
        fields::write(headers, &context, &mut now);
        if let (Timeouts::OursAndGrpcs, Some(deadline)) = (self.timeouts, context.deadline()) {
            fields::write_grpc_timeout(headers, deadline.remaining(now()));
        }
    }
}

impl Default for OutboundLayer {
    fn default() -> Self {
        OutboundLayer::new()
    }
}

impl<S> Layer<S> for OutboundLayer {
    type Service = OutboundService<S>;

    fn layer(&self, inner: S) -> OutboundService<S> {
        OutboundService {
            inner,
            outbound: self.clone(),
        }
    }
}

/// The service of [`OutboundLayer`]: ready when the inner one is, and with
/// its future and error.
#[derive(Clone, Debug)]
pub struct OutboundService<S> {
    inner: S,
    outbound: OutboundLayer,
}

impl<S> OutboundService<S> {
    /// The service behind it.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for OutboundService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.outbound.write(&mut request);
        self.inner.call(request)
    }
}
