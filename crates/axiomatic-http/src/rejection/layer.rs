use std::fmt;
use std::marker::PhantomData;

use axiomatic_core::BoxError;
use tower_layer::Layer;

use super::spread::Spread;
use super::{InternalError, RejectionService};

/// Turns the refusals of the layers further in into answers.
///
/// It goes outside everything that refuses. What it wraps fails with an error
/// that converts into `E`, which is asked whether it is a refusal; what comes
/// out cannot fail. `F` answers the errors that are none.
pub struct RejectionLayer<E = BoxError, F = InternalError> {
    otherwise: F,
    spread: Spread,
    error: PhantomData<fn() -> E>,
}

impl RejectionLayer {
    /// Refusals become answers, other errors a 500 without details.
    pub const fn new() -> Self {
        RejectionLayer {
            otherwise: InternalError,
            spread: Spread::Own,
            error: PhantomData,
        }
    }
}

impl<E, F> RejectionLayer<E, F> {
    /// The same over services whose error converts into `G`: over a typed
    /// stack, a refusal then is an answer without ever having been boxed.
    #[must_use]
    pub fn with_error<G>(self) -> RejectionLayer<G, F> {
        RejectionLayer {
            otherwise: self.otherwise,
            spread: self.spread,
            error: PhantomData,
        }
    }

    /// The same, with `respond` for the errors that are no refusal. As it is
    /// the last to see them, it is the place to write them to a log.
    ///
    /// ```
    /// use axiomatic_core::BoxError;
    /// use axiomatic_http::RejectionLayer;
    /// use http::{Response, StatusCode};
    ///
    /// let layer = RejectionLayer::new().otherwise(|error: BoxError| {
    ///     eprintln!("the catalogue cannot be reached: {error}");
    ///     let mut response = Response::new(String::from("no catalogue\n"));
    ///     *response.status_mut() = StatusCode::BAD_GATEWAY;
    ///     response
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn otherwise<G>(self, respond: G) -> RejectionLayer<E, G> {
        RejectionLayer {
            otherwise: respond,
            spread: self.spread,
            error: PhantomData,
        }
    }

    /// The same, with a `Retry-After` that is the wait, rounded up, and
    /// nothing more: for clients that are known to spread it themselves.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.spread = Spread::Off;
        self
    }

    /// The same, with waits spread in the same way every time: for tests and
    /// simulations. The services of this layer and its clones roll the same
    /// dice, one after the other.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.spread = Spread::seeded(seed);
        self
    }
}

impl<S, E, F: Clone> Layer<S> for RejectionLayer<E, F> {
    type Service = RejectionService<S, E, F>;

    fn layer(&self, inner: S) -> Self::Service {
        RejectionService::new(inner, self.otherwise.clone(), self.spread.clone())
    }
}

impl Default for RejectionLayer {
    fn default() -> Self {
        RejectionLayer::new()
    }
}

// By hand, because a derive would ask for them of `E`.
impl<E, F: Clone> Clone for RejectionLayer<E, F> {
    fn clone(&self) -> Self {
        RejectionLayer {
            otherwise: self.otherwise.clone(),
            spread: self.spread.clone(),
            error: PhantomData,
        }
    }
}

// Without `F`, which is mostly a closure.
impl<E, F> fmt::Debug for RejectionLayer<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectionLayer").finish_non_exhaustive()
    }
}
