//! Who orders: a client that repeats its request until it is answered.

use std::net::SocketAddr;
use std::time::Duration;

use axiomatic_core::backoff::Backoff;
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::{BoxError, Classify, Outcome, Ratio};
use axiomatic_failure::retry::{self, Retry};
use axiomatic_http::{Http, WhenIdempotent};
use axiomatic_latency::timeout::Timeout;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::Failure;

type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, BoxError>;

/// A customer. A clone is another click of the same.
#[derive(Clone)]
pub(crate) struct Customer {
    shop: SocketAddr,
    client: Client,
    retry: Retry,
}

/// What the shop said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    /// It was given before.
    pub(crate) is_replay: bool,
}

impl Customer {
    /// With the layers from the outside in.
    pub(crate) fn of(shop: SocketAddr) -> Result<Self, Failure> {
        let waits = Backoff::exponential(Duration::from_millis(20), Duration::from_millis(200))
            .retry_after_up_to(Duration::from_secs(1));
        // An order is worth ten attempts, of which most are never needed.
        let budget = RetryBudget::new("orders", Deposits::of(Ratio::percent(1_000)))?;
        let retry = retry::Config::new(budget)
            .named("orders")
            .attempts(30)
            .backoff(waits)
            .build()?;
        // A conflict is no fault of the request: its first is under way.
        let binding =
            Http.classified_by(|result: Result<&Response<Bytes>, &BoxError>| match result {
                Ok(answer) if answer.status() == StatusCode::CONFLICT => Outcome::Transient,
                other => Classify::classify(&Http, other),
            });
        let attempt = Timeout::named("attempt", Duration::from_secs(3));
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
            .layer(retry.layer(WhenIdempotent).with_binding(binding))
            .layer(attempt.layer().with_binding(Http))
            .service(whole);
        Ok(Customer {
            shop,
            client: BoxCloneSyncService::new(stack),
            retry,
        })
    }

    /// Orders under a key, until there is an answer. Without one nothing is
    /// repeated.
    pub(crate) async fn order(&self, key: Option<&str>, order: &str) -> Result<Answer, Failure> {
        let mut request = Request::post(format!("http://{}/charges", self.shop));
        if let Some(key) = key {
            request = request.header("idempotency-key", format!("\"{key}\""));
        }
        let request = request.body(Full::from(order.to_owned()))?;
        let answer = self.client.clone().oneshot(request).await;
        let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
        Ok(Answer {
            status: head.status,
            body: String::from_utf8(body.to_vec())?,
            is_replay: head.headers.contains_key("idempotent-replayed"),
        })
    }

    /// How many requests were sent again.
    pub(crate) fn repeated(&self) -> u64 {
        self.retry.snapshot().retried()
    }
}
