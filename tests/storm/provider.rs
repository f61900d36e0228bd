//! The other side: it knows a key again, and counts.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axiomatic_coordination::idempotency::DerivedKey;
use axiomatic_core::BoxError;
use axiomatic_sim::Random;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

const KEY: &str = "idempotency-key";

/// A server of the parent's, which outlives all others.
#[derive(Clone)]
pub(crate) struct Provider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    random: Random,
    /// What was charged under a key.
    charges: HashMap<String, String>,
    orders: HashMap<String, Seen>,
    /// How often it has charged, and answered that it has not.
    lies: u64,
}

/// What came for an order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Under which keys.
    pub(crate) keys: HashSet<String>,
    /// How often.
    pub(crate) calls: u64,
}

impl Provider {
    pub(crate) async fn start(random: Random) -> Provider {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let provider = Provider {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Mutex::new(Shared {
                random,
                charges: HashMap::new(),
                orders: HashMap::new(),
                lies: 0,
            })),
        };
        let routes = Router::new().route("/charges", post(charge));
        let routes = routes.with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        provider
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came for each order.
    pub(crate) fn seen(&self) -> HashMap<String, Seen> {
        self.lock().orders.clone()
    }

    /// How often something was charged.
    pub(crate) fn charges(&self) -> usize {
        self.lock().charges.len()
    }

    /// How often it has charged, and answered that it has not.
    pub(crate) fn lies(&self) -> u64 {
        self.lock().lies
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Charges, and answers a little later; now and then as if it had not.
async fn charge(
    State(provider): State<Provider>,
    headers: HeaderMap,
    order: String,
) -> (StatusCode, String) {
    let key = headers.get(KEY).and_then(|key| key.to_str().ok());
    let Some(key) = key.map(str::to_owned) else {
        return (StatusCode::BAD_REQUEST, String::new());
    };
    let (answer, late) = {
        let mut shared = provider.lock();
        let number = shared.charges.len();
        let new = || format!("charge-{number}");
        let charge = shared.charges.entry(key.clone()).or_insert_with(new);
        let charge = charge.clone();
        let seen = shared.orders.entry(order).or_default();
        seen.keys.insert(key);
        seen.calls += 1;
        let answer = match shared.random.below(16) {
            0 => {
                shared.lies += 1;
                (StatusCode::INTERNAL_SERVER_ERROR, String::new())
            }
            _ => (StatusCode::CREATED, charge),
        };
        (answer, shared.random.below(40))
    };
    tokio::time::sleep(Duration::from_millis(late)).await;
    answer
}

/// A server's way to it.
#[derive(Clone)]
pub(crate) struct Payments {
    provider: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Payments {
    pub(crate) fn of(provider: SocketAddr) -> Payments {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Payments { provider, client }
    }

    /// Returns what was charged.
    pub(crate) async fn charge(&self, key: DerivedKey, order: &str) -> Result<String, BoxError> {
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
