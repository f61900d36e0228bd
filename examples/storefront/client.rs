use std::fmt;
use std::time::Duration;

use axiomatic_core::{BoxError, Ratio};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, CircuitBreakerLayer, Config, HalfOpen, OpenFor, TripWhen, Window,
};
use axiomatic_http::Http;
use axiomatic_latency::timeout::Timeout;
use axum::http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

/// How the storefront calls payment.
pub(crate) type Client = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

/// Seven times what a payment takes, and short enough that a page which waited
/// in vain is still in time.
const TIMEOUT: Duration = Duration::from_millis(150);

/// How long the breaker does not ask again: what a recovery costs at most,
/// and what a hang costs in probes.
const OPEN_FOR: Duration = Duration::from_secs(1);

/// Whether the client is protected.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Off,
    On,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protection::Off => "unprotected",
            Protection::On => "protected",
        })
    }
}

/// A client, and the breaker in it, if there is one.
pub(crate) struct Built {
    pub(crate) service: Client,
    pub(crate) breaker: Option<CircuitBreaker>,
}

/// The whole difference between the two runs.
pub(crate) fn new(protection: Protection) -> Result<Built, BoxError> {
    let hyper = legacy::Client::builder(TokioExecutor::new()).build_http();
    if protection == Protection::Off {
        return Ok(Built {
            service: BoxCloneSyncService::new(hyper.map_err(BoxError::from)),
            breaker: None,
        });
    }
    let breaker: CircuitBreaker = Config::new(Window::last(Duration::from_secs(10)))
        .named("payment")
        .trip_when(
            TripWhen::failure_rate(Ratio::percent(50), 20).or(TripWhen::consecutive_failures(5)),
        )
        .open_for(OpenFor::fixed(OPEN_FOR))
        .half_open(HalfOpen::successes(3))
        .build()?;
    // The timeout is inside: a hang then ends as a failed attempt, and failed
    // attempts are what opens a breaker.
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()).with_binding(Http))
        .layer(Timeout::after(TIMEOUT).layer().with_binding(Http))
        .service(hyper);
    Ok(Built {
        service: BoxCloneSyncService::new(service),
        breaker: Some(breaker),
    })
}
