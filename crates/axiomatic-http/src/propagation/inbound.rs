use std::task::{self, Poll};

use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::time::Clock;
use axiomatic_core::{Context, Name};
use http::{HeaderMap, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::fields;

/// Reads the fields of a request into its context.
///
/// It goes outside of everything that reads a context, and inside of what
/// only turns errors into answers.
#[derive(Clone, Debug)]
pub struct InboundLayer {
    clock: Clock,
    highest: Priority,
}

impl InboundLayer {
    /// Callers may say that they matter less than others, and not that they
    /// matter more.
    pub const fn new() -> Self {
        InboundLayer {
            clock: Clock::Precise,
            highest: Priority::CRITICAL,
        }
    }

    /// The same, with callers that may claim a priority up to this one.
    ///
    /// By default that is [`Priority::CRITICAL`], which is what a request has
    /// that says nothing: so no claim gets more than silence does, and a
    /// crawler that calls itself [sheddable](Priority::SHEDDABLE) is
    /// believed. Behind a gateway of one's own, which has weighed the callers,
    /// `Priority::from_u8(255)` believes everything. What says nothing is not
    /// above the highest either. A claim by class is a claim of its number.
    #[must_use]
    pub const fn highest_priority(mut self, highest: Priority) -> Self {
        self.highest = highest;
        self
    }

    /// The same, with arrivals read from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What the context of a request with these fields is, if it had this one
    /// before; none if they say nothing new.
    fn read(&self, headers: &HeaderMap, known: Option<&Context>) -> Option<Context> {
        let timeout = fields::timeout(headers);
        let attempt = fields::attempt(headers);
        let claimed = fields::priority(headers);
        let is_retried = fields::is_retried(headers);

        let default = Priority::default();
        let priority = match known.map_or(default, Context::priority) {
            said if said != default => None,
            _ => Some(claimed.unwrap_or(default).min(self.highest)),
        };
        let priority = priority.filter(|priority| *priority != default);
        let attempt = attempt.filter(|_| known.is_none_or(|known| known.attempt() == 1));
        let is_retried = is_retried && known.is_none_or(|known| known.retried_by().is_none());
        let says_nothing = timeout.is_none() && priority.is_none() && !is_retried;
        if says_nothing && attempt.is_none_or(|attempt| attempt == 1) {
            return None;
        }

        let mut context = known.cloned().unwrap_or_default();
        if let Some(timeout) = timeout {
            context = context.with_deadline(Deadline::at(self.clock.now() + timeout));
        }
        if let Some(priority) = priority {
            context = context.with_priority(priority);
        }
        if let Some(attempt) = attempt {
            context = context.with_attempt(attempt);
        }
        if is_retried {
            context = context.with_retried_by(Name::REMOTE);
        }
        Some(context)
    }
}

impl Default for InboundLayer {
    fn default() -> Self {
        InboundLayer::new()
    }
}

impl<S> Layer<S> for InboundLayer {
    type Service = InboundService<S>;

    fn layer(&self, inner: S) -> InboundService<S> {
        InboundService {
            inner,
            inbound: self.clone(),
        }
    }
}

/// The service of [`InboundLayer`]: ready when the inner one is, and with its
/// future and error.
#[derive(Clone, Debug)]
pub struct InboundService<S> {
    inner: S,
    inbound: InboundLayer,
}

impl<S> InboundService<S> {
    /// The service behind it.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for InboundService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let known = request.extensions().get::<Context>();
        if let Some(context) = self.inbound.read(request.headers(), known) {
            request.extensions_mut().insert(context);
        }
        self.inner.call(request)
    }
}
