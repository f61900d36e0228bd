//! The way to the services: what a step does, as a call of a tower service.

use std::net::SocketAddr;
use std::time::Duration;

use axiomatic_coordination::saga::{Context, Fault, Probed, StepKey};
use axiomatic_core::backoff::Backoff;
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::{BoxError, Ratio};
use axiomatic_failure::circuit_breaker::{self, OpenFor, TripWhen, Window};
use axiomatic_failure::retry;
use axiomatic_http::{Http, WhenIdempotent};
use axiomatic_latency::timeout::Timeout;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::Failure;

type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, BoxError>;

/// One request, with its answer.
const ATTEMPT: Duration = Duration::from_millis(400);

/// All requests of one attempt of a step.
const TOTAL: Duration = Duration::from_secs(2);

/// Where the services are.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Addresses {
    pub(crate) inventory: SocketAddr,
    pub(crate) payment: SocketAddr,
    pub(crate) shipping: SocketAddr,
}

/// What a purchase calls.
pub(crate) struct Services {
    pub(crate) inventory: Service,
    pub(crate) payment: Service,
    pub(crate) shipping: Service,
}

impl Services {
    pub(crate) fn at(addresses: Addresses) -> Result<Self, Failure> {
        Ok(Services {
            inventory: Service::at(addresses.inventory, "inventory")?,
            payment: Service::at(addresses.payment, "payment")?,
            shipping: Service::at(addresses.shipping, "shipping")?,
        })
    }
}

/// The way to one of them.
#[derive(Clone)]
pub(crate) struct Service {
    address: SocketAddr,
    client: Client,
}

impl Service {
    /// With the layers from the outside in. A step is tried again as often as
    /// its definition says, and in each attempt a request is sent twice.
    fn at(address: SocketAddr, name: &'static str) -> Result<Self, Failure> {
        let ms = Duration::from_millis;
        let budget = RetryBudget::new(name, Deposits::of(Ratio::percent(100)).floor(5))?;
        let retry = retry::Config::new(budget)
            .named(name)
            .attempts(2)
            .backoff(Backoff::exponential(ms(10), ms(50)))
            .build()?;
        let breaker = circuit_breaker::Config::new(Window::last(Duration::from_secs(5)))
            .named(name)
            .trip_when(TripWhen::failure_rate(Ratio::percent(50), 50))
            .open_for(OpenFor::fixed(ms(200)))
            .build()?;
        let hyper = legacy::Client::builder(TokioExecutor::new()).build_http();
        let whole = service_fn(move |request| {
            let hyper = hyper.clone();
            async move {
                // An answer that breaks off is none.
                let (head, body) = hyper.request(request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok::<_, BoxError>(Response::from_parts(head, body))
            }
        });
        let stack = ServiceBuilder::new()
            .layer(Timeout::named("total", TOTAL).layer().with_binding(Http))
            .layer(retry.layer(WhenIdempotent).with_binding(Http))
            .layer(breaker.layer().with_binding(Http))
            .layer(
                Timeout::named("attempt", ATTEMPT)
                    .layer()
                    .with_binding(Http),
            )
            .service(whole);
        Ok(Service {
            address,
            client: BoxCloneSyncService::new(stack),
        })
    }

    /// What a step does: so many of whatever the service has, for a purchase.
    /// Returns the service's number for it.
    pub(crate) fn act(
        &self,
        context: &Context,
        number: u32,
        amount: u64,
    ) -> impl Future<Output = Result<String, Fault>> + Send + use<> {
        let body = format!("{number} {amount}");
        let call = self.call(Method::POST, context, context.key(), body);
        async move {
            match call.await? {
                (StatusCode::CREATED, id) => Ok(id),
                // It says itself that it has done nothing.
                (StatusCode::UNPROCESSABLE_ENTITY, why) => Err(Fault::failed(why)),
                (status, why) => Err(Fault::unknown(format!("{status}: {why}"))),
            }
        }
    }

    /// Undoes it, whether or not it was done.
    pub(crate) fn undo(
        &self,
        context: &Context,
    ) -> impl Future<Output = Result<(), Fault>> + Send + use<> {
        let key = context.action_key();
        let call = self.call(Method::DELETE, context, key, String::new());
        async move {
            match call.await? {
                (StatusCode::NO_CONTENT, _) => Ok(()),
                (status, why) => Err(Fault::unknown(format!("{status}: {why}"))),
            }
        }
    }

    /// Whether it was done.
    pub(crate) fn ask(
        &self,
        context: &Context,
    ) -> impl Future<Output = Result<Probed<String>, Fault>> + Send + use<> {
        let key = context.action_key();
        let call = self.call(Method::GET, context, key, String::new());
        async move {
            match call.await? {
                (StatusCode::OK, id) => Ok(Probed::Done(id)),
                (StatusCode::NOT_FOUND, _) => Ok(Probed::Not),
                (status, why) => Err(Fault::unknown(format!("{status}: {why}"))),
            }
        }
    }

    /// Errors are such that nobody knows: also if the breaker has refused it,
    /// since an attempt before this one may have arrived.
    fn call(
        &self,
        method: Method,
        context: &Context,
        key: StepKey,
        body: String,
    ) -> impl Future<Output = Result<(StatusCode, String), BoxError>> + Send + use<> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/{key}", self.address))
            .header("idempotency-key", format!("\"{}\"", context.key()))
            .header("saga", context.saga().to_string())
            .header("fencing-token", context.fence())
            .header("executor", std::process::id())
            .body(Full::from(body));
        let client = self.client.clone();
        async move {
            let (head, body) = client.oneshot(request?).await?.into_parts();
            Ok((head.status, String::from_utf8(body.to_vec())?))
        }
    }
}
