use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axiomatic_core::Refusable;
use axiomatic_core::reject::Side;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Request, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::Empty;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::client::Client;
use crate::server::Server;

/// How many requests are worked on at once; the others wait. Ten times what
/// the load needs while all is well.
const WORKERS: usize = 32;

/// How long a page takes to make.
const WORK: Duration = Duration::from_millis(5);

/// Says which page an answer is: [`FULL`] or [`DEGRADED`].
pub(crate) const PAGE: HeaderName = HeaderName::from_static("x-page");
pub(crate) const FULL: HeaderValue = HeaderValue::from_static("full");
pub(crate) const DEGRADED: HeaderValue = HeaderValue::from_static("degraded");

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The storefront, which calls payment for `/buy` and nobody for `/browse`.
pub(crate) struct Storefront {
    shop: Shop,
    server: Server,
}

#[derive(Clone)]
struct Shop {
    workers: Arc<Semaphore>,
    charge: Uri,
    payment: Client,
    orders: Arc<AtomicU64>,
    first_refusal: Arc<OnceLock<Instant>>,
}

impl Storefront {
    pub(crate) async fn start(charge: Uri, payment: Client) -> io::Result<Self> {
        let shop = Shop {
            workers: Arc::new(Semaphore::new(WORKERS)),
            charge,
            payment,
            orders: Arc::default(),
            first_refusal: Arc::default(),
        };
        let router = Router::new()
            .route("/browse", get(browse))
            .route("/buy", post(buy))
            .with_state(shop.clone());
        Ok(Storefront {
            shop,
            server: Server::start(router).await?,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// When a call to payment was first refused instead of sent, counted
    /// from `started`.
    pub(crate) fn first_refusal(&self, started: Instant) -> Option<Duration> {
        let refused = self.shop.first_refusal.get()?;
        Some(refused.duration_since(started))
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

impl Shop {
    /// A worker, for as long as the request is worked on. A user who leaves
    /// frees it: the connection ends, and hyper drops the handler.
    async fn worker(&self) -> SemaphorePermit<'_> {
        let worker = self.workers.acquire().await;
        worker.expect("nobody closes the semaphore")
    }
}

async fn browse(State(shop): State<Shop>) -> Response {
    let _worker = shop.worker().await;
    sleep(WORK).await;
    ([(PAGE, FULL)], "our finest goods\n").into_response()
}

/// The page is the same code with and without protection: whenever payment
/// fails, the order is taken and paid later. Only the client differs, in when
/// it says so.
async fn buy(State(shop): State<Shop>) -> Response {
    let _worker = shop.worker().await;
    sleep(WORK).await;
    // The key makes it safe to send twice: payment books an order once.
    let order = shop.orders.fetch_add(1, Ordering::Relaxed);
    let charge = Request::post(shop.charge.clone())
        .header(IDEMPOTENCY_KEY, order)
        .body(Empty::new())
        .expect("a method and a URI make a request");
    match shop.payment.clone().oneshot(charge).await {
        Ok(paid) if paid.status().is_success() => ([(PAGE, FULL)], "thank you\n").into_response(),
        Ok(_) => pay_later(),
        Err(error) => {
            let refused = error.rejected().map(|rejected| rejected.reason().side());
            if refused == Some(Side::Refused) {
                shop.first_refusal.get_or_init(Instant::now);
            }
            pay_later()
        }
    }
}

fn pay_later() -> Response {
    ([(PAGE, DEGRADED)], "it is yours; please pay later\n").into_response()
}
