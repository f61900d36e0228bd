use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::log::{Answer, Kind, Log, Record};
use crate::storefront::{DEGRADED, FULL, PAGE};
use crate::{BoxError, PATIENCE};

/// The users: they arrive at a fixed rate whether or not those before them
/// have been answered, as users do. A generator that waited for answers would
/// spare the shop exactly when it is slow, and measure less than users wait.
pub(crate) struct Load {
    pub(crate) storefront: SocketAddr,
    pub(crate) rate: u32,
    pub(crate) started: Instant,
    pub(crate) lasts: Duration,
}

type Browser = Client<HttpConnector, Empty<Bytes>>;

impl Load {
    /// Sends until the time is up, then waits for the last answers.
    pub(crate) async fn run(&self, log: &Log) {
        let browser = Client::builder(TokioExecutor::new()).build_http();
        let mut users = JoinSet::new();
        for number in 0.. {
            let arrived = Duration::from_secs(1) * number / self.rate;
            if arrived >= self.lasts {
                break;
            }
            sleep_until(self.started + arrived).await;
            let kind = if number % 2 == 0 {
                Kind::Browse
            } else {
                Kind::Buy
            };
            users.spawn(self.user(browser.clone(), kind, arrived, log.clone()));
            while users.try_join_next().is_some() {}
        }
        while users.join_next().await.is_some() {}
    }

    /// One user, from the moment at which they should have arrived: should
    /// this process be late, they have waited for that, too.
    fn user(
        &self,
        browser: Browser,
        kind: Kind,
        arrived: Duration,
        log: Log,
    ) -> impl Future<Output = ()> + use<> {
        let arrival = self.started + arrived;
        let request = request(self.storefront, kind);
        async move {
            let answer = match timeout_at(arrival + PATIENCE, ask(browser, request)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Answer::Failed,
                Err(_) => Answer::GaveUp,
            };
            log.push(Record {
                arrived,
                kind,
                latency: arrival.elapsed(),
                answer,
            });
        }
    }
}

fn request(storefront: SocketAddr, kind: Kind) -> Request<Empty<Bytes>> {
    let (method, path) = match kind {
        Kind::Browse => ("GET", "browse"),
        Kind::Buy => ("POST", "buy"),
    };
    let uri: Uri = format!("http://{storefront}/{path}")
        .parse()
        .expect("an address and a path make a URI");
    Request::builder()
        .method(method)
        .uri(uri)
        .body(Empty::new())
        .expect("a method and a URI make a request")
}

async fn ask(browser: Browser, request: Request<Empty<Bytes>>) -> Result<Answer, BoxError> {
    let response = browser.request(request).await?;
    let (head, body) = response.into_parts();
    body.collect().await?;
    let page: Option<&HeaderValue> = head.headers.get(PAGE);
    Ok(match (head.status, page) {
        (StatusCode::OK, Some(page)) if page == FULL => Answer::Full,
        (StatusCode::OK, Some(page)) if page == DEGRADED => Answer::Degraded,
        _ => Answer::Failed,
    })
}
