//! Where orders are paid: a server that is not ours, and the way to it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axiomatic_coordination::idempotency::DerivedKey;
use axiomatic_sim::Random;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Failure;

const KEY: &str = "idempotency-key";

/// A payment provider that knows a key again: it charges once for each, and
/// says the same each time.
#[derive(Clone)]
pub(crate) struct Provider {
    address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    calls: watch::Sender<u64>,
}

struct Ledger {
    random: Random,
    /// What was charged under a key, and for which order.
    charges: HashMap<String, (String, String)>,
    /// For these orders it takes for ever the first time.
    slow: Vec<String>,
    /// How often it has charged, and said that it has not.
    lies: u64,
}

impl Provider {
    pub(crate) async fn start(random: Random) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let provider = Provider {
            address: listener.local_addr()?,
            ledger: Arc::new(Mutex::new(Ledger {
                random,
                charges: HashMap::new(),
                slow: Vec::new(),
                lies: 0,
            })),
            calls: watch::Sender::new(0),
        };
        let routes = Router::new().route("/charges", post(charge));
        let routes = routes.with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(provider)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// For these orders it does not answer the first time.
    pub(crate) fn be_slow_for(&self, orders: impl Iterator<Item = String>) {
        self.ledger().slow.extend(orders);
    }

    /// Ready when it was called so often.
    pub(crate) async fn called(&self, times: u64) {
        let mut calls = self.calls.subscribe();
        // It cannot be gone: this is one of its handles.
        let _ = calls.wait_for(|calls| *calls >= times).await;
    }

    pub(crate) fn calls(&self) -> u64 {
        *self.calls.borrow()
    }

    /// How often it has charged, and said that it has not.
    pub(crate) fn lies(&self) -> u64 {
        self.ledger().lies
    }

    /// For each charge the order that it is of.
    pub(crate) fn charged(&self) -> Vec<String> {
        let ledger = self.ledger();
        let orders = ledger.charges.values().map(|(_, order)| order.clone());
        orders.collect()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn charge(
    State(provider): State<Provider>,
    headers: HeaderMap,
    order: String,
) -> (StatusCode, String) {
    let key = headers.get(KEY).and_then(|key| key.to_str().ok());
    let Some(key) = key.map(str::to_owned) else {
        return (StatusCode::BAD_REQUEST, "no key".to_owned());
    };
    let (answer, takes) = {
        let mut ledger = provider.ledger();
        let charge = format!("charge-{}", ledger.charges.len() + 1);
        let new = || (charge, order.clone());
        let (charge, of) = ledger.charges.entry(key).or_insert_with(new).clone();
        if of != order {
            return (StatusCode::UNPROCESSABLE_ENTITY, "another order".to_owned());
        }
        let mut answer = (StatusCode::CREATED, charge);
        if ledger.random.below(15) == 0 {
            ledger.lies += 1;
            answer = (StatusCode::INTERNAL_SERVER_ERROR, "charged?".to_owned());
        }
        let mut takes = Duration::from_millis(5 + ledger.random.below(20));
        if let Some(found) = ledger.slow.iter().position(|slow| *slow == order) {
            ledger.slow.swap_remove(found);
            takes = Duration::MAX;
        }
        (answer, takes)
    };
    provider.calls.send_modify(|calls| *calls += 1);
    tokio::time::sleep(takes).await;
    answer
}

/// The shop's way to the provider.
#[derive(Clone)]
pub(crate) struct Payments {
    provider: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Payments {
    pub(crate) fn of(provider: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Payments { provider, client }
    }

    /// Pays for an order. Returns which charge it is.
    pub(crate) async fn charge(&self, key: DerivedKey, order: &str) -> Result<String, Failure> {
        let request = Request::post(format!("http://{}/charges", self.provider))
            .header(KEY, key.to_string())
            .body(Full::from(order.to_owned()))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match status.is_success() {
            true => Ok(String::from_utf8(body.to_vec())?),
            false => Err(format!("the provider says {status}").into()),
        }
    }
}
