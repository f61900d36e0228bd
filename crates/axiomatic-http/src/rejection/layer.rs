use std::fmt;
use std::marker::PhantomData;

use axiomatic_core::BoxError;
use axiomatic_core::allowance::Policy;
use axiomatic_core::context::AdmissionLevel;
use tower_layer::Layer;

use super::spread::Spread;
use super::wording::Wording;
use super::{InternalError, RejectionService};

/// Turns the refusals of the layers further in into answers.
///
/// It goes outside everything that refuses. What it wraps fails with an error
/// that converts into `E`, which is asked whether it is a refusal; what comes
/// out cannot fail. `F` answers the errors that are none, and `L` knows which
/// [level](RejectionLayer::announcing_level) is announced with either.
pub struct RejectionLayer<E = BoxError, F = InternalError, L = fn() -> AdmissionLevel> {
    otherwise: F,
    level: L,
    wording: Wording,
    error: PhantomData<fn() -> E>,
}

impl RejectionLayer {
    /// Refusals become answers, other errors a 500 without details.
    pub const fn new() -> Self {
        RejectionLayer {
            otherwise: InternalError,
            level: everything,
            wording: Wording::new(),
            error: PhantomData,
        }
    }
}

/// What is announced by who was told of no level: nothing.
fn everything() -> AdmissionLevel {
    AdmissionLevel::ALL
}

impl<E, F, L> RejectionLayer<E, F, L> {
    /// The same over services whose error converts into `G`: over a typed
    /// stack, a refusal then is an answer without ever having been boxed.
    #[must_use]
    pub fn with_error<G>(self) -> RejectionLayer<G, F, L> {
        RejectionLayer {
            otherwise: self.otherwise,
            level: self.level,
            wording: self.wording,
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
    pub fn otherwise<G>(self, respond: G) -> RejectionLayer<E, G, L> {
        RejectionLayer {
            otherwise: respond,
            level: self.level,
            wording: self.wording,
            error: PhantomData,
        }
    }

    /// The same, with a `Retry-After` that is the wait, rounded up, and
    /// nothing more: for clients that are known to spread it themselves.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.wording.spread = Spread::Off;
        self
    }

    /// The same, with waits spread in the same way every time: for tests and
    /// simulations. The services of this layer and its clones roll the same
    /// dice, one after the other.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.wording.spread = Spread::seeded(seed);
        self
    }

    /// The same, and a call that was refused by the limiter of one of these
    /// policies is told of it in `RateLimit-Policy`, and in `RateLimit` that
    /// nothing is left of it, and until when.
    ///
    /// A policy that is not among them is not named, and none is without them:
    /// what mechanisms there are inside, and what they are called, is nobody's
    /// business outside, unless it was asked for. So is a refusal for another
    /// reason than a rate.
    ///
    /// ```
    /// use axiomatic_core::allowance::Policy;
    /// use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
    /// use axiomatic_http::RejectionLayer;
    /// use std::time::Duration;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let policy = Policy::new("search".into(), 100, Duration::from_secs(60));
    /// let layer = RejectionLayer::new().announcing([policy]);
    /// # let service = layer.layer(service_fn(async |(): ()| {
    /// #     let no = Rejected::new(Pattern::RateLimiter, Reason::Limited);
    /// #     let no = no.with_name("search".into());
    /// #     let no = no.with_retry_after(Duration::from_millis(300));
    /// #     Err::<http::Response<String>, BoxError>(no.into())
    /// # }));
    /// # let Ok(response) = service.oneshot(()).await;
    /// // What is refused by the limiter of this name:
    /// assert_eq!(response.status(), 429);
    /// assert_eq!(response.headers()["ratelimit-policy"], r#""search";q=100;w=60"#);
    /// assert_eq!(response.headers()["ratelimit"], r#""search";r=0;t=1"#);
    /// # }
    /// ```
    #[must_use]
    pub fn announcing(mut self, policies: impl IntoIterator<Item = Policy>) -> Self {
        self.wording.announce(policies);
        self
    }

    /// The same, and what was refused or went wrong is answered with the level
    /// from which on requests are admitted now, in
    /// [`axiomatic-admission-level`](crate::fields::ADMISSION_LEVEL): by the
    /// load shedder further in, whose level `level` asks for.
    ///
    /// An answer from further in is not touched, since the shedder saw it and
    /// wrote its level there; an error had no place for it.
    ///
    /// ```
    /// use axiomatic_core::context::{AdmissionLevel, Priority};
    /// use axiomatic_core::{BoxError, Heed, Pattern, Reason, Rejected};
    /// use axiomatic_http::{Http, RejectionLayer};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// // Stands for a shedder: nothing is admitted that is only sheddable.
    /// let level = || AdmissionLevel::at(Priority::SHEDDABLE_PLUS, 0);
    /// let layer = RejectionLayer::new().announcing_level(level);
    /// # let service = layer.layer(service_fn(async |(): ()| {
    /// #     let no = Rejected::new(Pattern::LoadShedder, Reason::Shed);
    /// #     Err::<http::Response<String>, BoxError>(no.into())
    /// # }));
    /// # let Ok(response) = service.oneshot(()).await;
    /// // What it refuses:
    /// assert_eq!(response.status(), 503);
    /// assert_eq!(response.headers()["axiomatic-admission-level"], "64");
    /// assert_eq!(Http.heed_level(&response), Some(level()));
    /// # }
    /// ```
    #[must_use]
    pub fn announcing_level<G>(self, level: G) -> RejectionLayer<E, F, G>
    where
        G: Fn() -> AdmissionLevel + Clone,
    {
        RejectionLayer {
            otherwise: self.otherwise,
            level,
            wording: self.wording,
            error: PhantomData,
        }
    }
}

impl<S, E, F: Clone, L: Clone> Layer<S> for RejectionLayer<E, F, L> {
    type Service = RejectionService<S, E, F, L>;

    fn layer(&self, inner: S) -> Self::Service {
        let (otherwise, level) = (self.otherwise.clone(), self.level.clone());
        RejectionService::new(inner, otherwise, level, self.wording.clone())
    }
}

impl Default for RejectionLayer {
    fn default() -> Self {
        RejectionLayer::new()
    }
}

// By hand, because a derive would ask for them of `E`.
impl<E, F: Clone, L: Clone> Clone for RejectionLayer<E, F, L> {
    fn clone(&self) -> Self {
        RejectionLayer {
            otherwise: self.otherwise.clone(),
            level: self.level.clone(),
            wording: self.wording.clone(),
            error: PhantomData,
        }
    }
}

// Without `F` and `L`, which are mostly closures.
impl<E, F, L> fmt::Debug for RejectionLayer<E, F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectionLayer").finish_non_exhaustive()
    }
}
