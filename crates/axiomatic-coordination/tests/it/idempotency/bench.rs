//! What the tests of the layer have in common: a store that fails as it is
//! told, and clients.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::idempotency::http::{
    Config, IdempotencyLayer, IdempotencyService, Tenants,
};
use axiomatic_coordination::idempotency::{
    Adopt, Adopted, Claim, Claimed, Fence, Fingerprint, Key, Lease, MemoryIdempotency, Name, Owner,
    Scope, Step, Store, StoredResponse,
};
use axiomatic_coordination::{Memory, StoreError, Why};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};

/// What a store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Claim,
    Renew,
    Complete,
    Release,
    Adopt,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not do it, and says so.
    Before,
    /// It does it, and nobody hears of it.
    After,
    /// It never answers.
    Hang,
}

/// The store in memory, which fails as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Flaky {
    pub(crate) inner: MemoryIdempotency,
    plan: Arc<Mutex<VecDeque<(Op, Fault)>>>,
}

impl Flaky {
    pub(crate) fn new() -> Self {
        Flaky {
            inner: MemoryIdempotency::new(&Memory::new()),
            plan: Arc::default(),
        }
    }

    /// The next operations of this kind fail so.
    pub(crate) fn fail(&self, op: Op, fault: Fault, times: usize) {
        let mut plan = self.plan.lock().unwrap();
        plan.extend((0..times).map(|_| (op, fault)));
    }

    async fn attempt<T>(
        &self,
        op: Op,
        ask: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = {
            let mut plan = self.plan.lock().unwrap();
            let at = plan.iter().position(|(other, _)| *other == op);
            at.and_then(|at| plan.remove(at)).map(|(_, fault)| fault)
        };
        match fault {
            None => ask.await,
            Some(Fault::Before) => Err(StoreError::new(Why::Unavailable)),
            Some(Fault::After) => {
                ask.await?;
                Err(StoreError::new(Why::Unavailable))
            }
            Some(Fault::Hang) => pending().await,
        }
    }
}

impl Store for Flaky {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError> {
        self.attempt(Op::Claim, self.inner.claim(claim)).await
    }

    async fn renew(&self, lease: &Lease, lasts: Duration) -> Result<Fence, StoreError> {
        self.attempt(Op::Renew, self.inner.renew(lease, lasts))
            .await
    }

    async fn record(&self, lease: &Lease, step: &Step) -> Result<Fence, StoreError> {
        self.inner.record(lease, step).await
    }

    async fn complete(
        &self,
        lease: &Lease,
        response: &StoredResponse,
        retention: Duration,
    ) -> Result<Fence, StoreError> {
        let complete = self.inner.complete(lease, response, retention);
        self.attempt(Op::Complete, complete).await
    }

    async fn release(&self, lease: &Lease) -> Result<Fence, StoreError> {
        self.attempt(Op::Release, self.inner.release(lease)).await
    }

    async fn adopt(&self, adopt: &Adopt) -> Result<Option<Adopted>, StoreError> {
        self.attempt(Op::Adopt, self.inner.adopt(adopt)).await
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, StoreError> {
        self.inner.sweep(at_most).await
    }
}

/// A request as its client made it.
pub(crate) type Asks = Request<Full<Bytes>>;

/// What a handler says.
pub(crate) type Says = Result<Response<Full<Bytes>>, Infallible>;

/// An answer, read to its end.
pub(crate) type Told = Response<Bytes>;

pub(crate) fn config() -> Config {
    Config::new(Tenants::single())
}

pub(crate) fn layer<S: Store>(config: Config, store: &S) -> IdempotencyLayer<S> {
    config.layer(store.clone()).expect("a configuration")
}

/// Handlers that count how often they were called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<usize>>);

impl Calls {
    pub(crate) fn add(&self) -> usize {
        let mut calls = self.0.lock().unwrap();
        *calls += 1;
        *calls
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.lock().unwrap()
    }
}

/// Answers with the number of its call, after this time.
pub(crate) fn counting(
    calls: &Calls,
    takes: Duration,
) -> impl Fn(Asks) -> futures::future::BoxFuture<'static, Says> + Clone + Send + 'static {
    let calls = calls.clone();
    move |_| {
        let number = calls.add();
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            Ok(answer(201, format!("call {number}")))
        })
    }
}

pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "text/plain");
    response.body(Full::new(body.into())).unwrap()
}

pub(crate) fn post(key: &str, body: &'static str) -> Asks {
    let request = Request::post("/charges?currency=eur");
    let request = request.header("content-type", "text/plain");
    let request = request.header("idempotency-key", key);
    request.body(Full::new(body.into())).unwrap()
}

/// The name that [`post`] has with [`config`].
pub(crate) fn name(key: &str) -> Name {
    let scope = Scope {
        tenant: "".into(),
        method: "POST".into(),
        route: "/charges".into(),
    };
    let key = Key::new(key).unwrap();
    Name { scope, key }
}

/// A claim beside the layer, by another process.
pub(crate) fn claim_of(name: &Name, fingerprint: Fingerprint) -> Claim<'_> {
    Claim {
        name,
        fingerprint,
        owner: Owner::unique(),
        lease: Duration::from_secs(60),
        retention: Config::LEAST_RETENTION,
        request: None,
    }
}

/// Asks a service, and reads the answer.
pub(crate) async fn ask<T, R, E>(service: &T, request: Asks) -> Result<Told, E>
where
    T: Service<Asks, Response = Response<R>, Error = E> + Clone,
    R: http_body::Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    let response = service.clone().oneshot(request).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok(Response::from_parts(parts, body))
}

pub(crate) fn status(told: &Told) -> u16 {
    told.status().as_u16()
}

pub(crate) fn header<'a>(told: &'a Told, name: &str) -> Option<&'a str> {
    told.headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

pub(crate) fn is_replayed(told: &Told) -> bool {
    header(told, "idempotent-replayed") == Some("true")
}

/// The type of a problem, which must be one.
pub(crate) fn problem(told: &Told) -> String {
    assert_eq!(
        header(told, "content-type"),
        Some("application/problem+json")
    );
    let json: serde_json::Value = serde_json::from_slice(told.body()).unwrap();
    assert_eq!(json["status"], status(told));
    assert!(json["title"].is_string());
    let kind = json["type"].as_str().unwrap();
    let kind = kind.strip_prefix("urn:axiomatic:idempotency:").unwrap();
    kind.to_owned()
}

/// A service of this layer.
pub(crate) fn over<S, F, Fut>(
    layer: &IdempotencyLayer<S>,
    handler: F,
) -> IdempotencyService<tower::util::ServiceFn<F>, S>
where
    S: Store,
    F: Fn(Asks) -> Fut + Clone,
    Fut: Future<Output = Says>,
{
    layer.layer(tower::service_fn(handler))
}
