use std::fmt;
use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::{BoxError, Ratio};
use axiomatic_failure::circuit_breaker::{
    self, CircuitBreaker, HalfOpen, OpenFor, TripWhen, Window,
};
use axiomatic_failure::retry::{self, Retry};
use axiomatic_http::{Http, WhenIdempotent};
use axiomatic_latency::timeout::Timeout;
use axum::http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt};

/// How the storefront calls payment.
pub(crate) type Client = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

/// All attempts together: short enough that a page which waited in vain is
/// still in time.
const TOTAL: Duration = Duration::from_millis(230);

/// One attempt: more than three times what a payment takes.
const ATTEMPT: Duration = Duration::from_millis(70);

const ATTEMPTS: u32 = 3;

/// How long the breaker does not ask again: what a recovery costs at most,
/// and what a hang costs in probes.
const OPEN_FOR: Duration = Duration::from_secs(1);

/// How the client is protected: each as the one before, and more.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Off,
    /// Three attempts, each with a timeout, all with another.
    Retries,
    /// What they add is bounded.
    Budget,
    /// And a breaker looks after each attempt.
    Breaker,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protection::Off => "unprotected",
            Protection::Retries => "retries",
            Protection::Budget => "+ budget",
            Protection::Breaker => "+ breaker",
        })
    }
}

/// A client, and the breaker in it, if there is one.
pub(crate) struct Built {
    pub(crate) service: Client,
    pub(crate) breaker: Option<CircuitBreaker>,
}

/// The whole difference between the runs.
pub(crate) fn new(protection: Protection) -> Result<Built, BoxError> {
    let hyper = legacy::Client::builder(TokioExecutor::new()).build_http();
    let hyper = hyper.map_err(BoxError::from);
    // Innermost: a hang then ends as a failed attempt, and failed attempts are
    // what a retry repeats and what opens a breaker.
    let attempt = Timeout::named("attempt", ATTEMPT);
    let attempt = attempt.layer().with_binding(Http).layer(hyper.clone());
    let (attempt, breaker) = match protection {
        Protection::Off => {
            let service = BoxCloneSyncService::new(hyper);
            return Ok(Built {
                service,
                breaker: None,
            });
        }
        Protection::Retries | Protection::Budget => (Client::new(attempt), None),
        Protection::Breaker => {
            let breaker = breaker()?;
            let layer = breaker.layer().with_binding(Http);
            (Client::new(layer.layer(attempt)), Some(breaker))
        }
    };
    // Outermost the time for all of it: the retry sees the deadline, and
    // begins nothing that would come too late.
    let service = ServiceBuilder::new()
        .layer(Timeout::named("total", TOTAL).layer().with_binding(Http))
        .layer(retry(protection)?.layer(WhenIdempotent).with_binding(Http))
        .service(attempt);
    Ok(Built {
        service: BoxCloneSyncService::new(service),
        breaker,
    })
}

fn retry(protection: Protection) -> Result<Retry, BoxError> {
    let deposits = match protection {
        // More than three attempts can ever spend: as if there were no budget.
        Protection::Off | Protection::Retries => Deposits::of(Ratio::percent(1_000)),
        Protection::Budget | Protection::Breaker => Deposits::of(Ratio::percent(10)).floor(1),
    };
    let budget = RetryBudget::new("payment", deposits)?;
    let waits = Backoff::exponential(Duration::from_millis(5), Duration::from_millis(20));
    let config = retry::Config::new(budget).named("payment");
    Ok(config.attempts(ATTEMPTS).backoff(waits).build()?)
}

fn breaker() -> Result<CircuitBreaker, BoxError> {
    let config = circuit_breaker::Config::new(Window::last(Duration::from_secs(10)))
        .named("payment")
        .trip_when(
            TripWhen::failure_rate(Ratio::percent(50), 20).or(TripWhen::consecutive_failures(5)),
        )
        .open_for(OpenFor::fixed(OPEN_FOR))
        .half_open(HalfOpen::successes(3));
    Ok(config.build()?)
}
