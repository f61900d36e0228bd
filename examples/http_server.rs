//! An HTTP service that knows how long it is waited for, and tells its own
//! dependency.
//!
//! Where this is going: three processes in one, over real sockets. A caller
//! asks a catalogue, and the catalogue's handler asks the stock. The catalogue
//! has the layers of a server in the order that the documentation gives:
//! refusals as answers, the context out of the fields, the handler's time, and
//! a scope from which the handler's calls inherit. The table shows what the
//! caller got, how often the stock was asked, and what it knew then: less time
//! than the catalogue had, the caller's priority, and whether somebody further
//! out repeats the call already.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axiomatic_core::BoxError;
use axiomatic_core::backoff::Backoff;
use axiomatic_core::context::Priority;
use axiomatic_failure::retry;
use axiomatic_http::{
    Http, InboundLayer, OutboundLayer, RejectionLayer, ScopeLayer, WhenIdempotent, fields,
};
use axiomatic_latency::timeout::Timeout;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::make::Shared;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

/// How long the catalogue works on a request at most.
const HANDLER: Duration = Duration::from_millis(150);

type Client = BoxCloneSyncService<http::Request<Empty<Bytes>>, http::Response<Incoming>, BoxError>;

/// The catalogue's layers, from the outside in.
async fn start_catalogue(stock: SocketAddr) -> Result<SocketAddr, BoxError> {
    let router = Router::new()
        .route("/{item}", get(item))
        .with_state((stock, client()?));
    let service = ServiceBuilder::new()
        // Nothing fails further out: a refusal is a 429, 503 or 504.
        .layer(RejectionLayer::new())
        // How long the caller waits, how much it matters, whether it repeats.
        .layer(InboundLayer::new())
        // Refuses what nobody waits for any more, and ends what takes too long.
        .layer(
            Timeout::named("handler", HANDLER)
                .layer()
                .with_binding(Http),
        )
        // What the handler sends inherits from here.
        .layer(ScopeLayer::new())
        .service(router);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Shared::new(service)).await });
    Ok(address)
}

/// Its client of the stock.
fn client() -> Result<Client, BoxError> {
    let waits = Backoff::exponential(Duration::from_millis(5), Duration::from_millis(20));
    let retry = retry::Config::default().named("stock").backoff(waits);
    let stack = ServiceBuilder::new()
        .layer(retry.build()?.layer(WhenIdempotent).with_binding(Http))
        .layer(OutboundLayer::new())
        .service(legacy::Client::builder(TokioExecutor::new()).build_http());
    Ok(BoxCloneSyncService::new(stack.map_err(BoxError::from)))
}

/// The handler says nothing of deadlines: its calls inherit them.
async fn item(
    State((stock, client)): State<(SocketAddr, Client)>,
    Path(item): Path<String>,
) -> Response {
    let request = http::Request::get(format!("http://{stock}/{item}")).body(Empty::new());
    match client.oneshot(request.expect("an item makes a path")).await {
        Ok(answer) if answer.status().is_success() => "12.50\n".into_response(),
        _ => (StatusCode::BAD_GATEWAY, "the stock does not answer\n").into_response(),
    }
}

/// What the caller asks for, and what is to come of it.
struct Case {
    item: &'static str,
    sends: &'static [(&'static str, &'static str)],
    status: u16,
    /// How often the stock is asked.
    asked: usize,
    /// Whether the answer says that it should not be repeated.
    is_final: bool,
}

const CASES: [Case; 6] = [
    Case {
        item: "screws",
        sends: &[],
        status: 200,
        asked: 1,
        is_final: false,
    },
    Case {
        item: "screws",
        sends: &[("axiomatic-timeout-ms", "100"), ("axiomatic-priority", "0")],
        status: 200,
        asked: 1,
        is_final: false,
    },
    Case {
        item: "screws",
        sends: &[("axiomatic-timeout-ms", "0")],
        status: 504,
        asked: 0,
        is_final: false,
    },
    Case {
        item: "out-of-order",
        sends: &[],
        status: 502,
        asked: 3,
        is_final: true,
    },
    Case {
        item: "out-of-order",
        sends: &[("axiomatic-retried", "?1")],
        status: 502,
        asked: 1,
        is_final: false,
    },
    Case {
        item: "slow",
        sends: &[],
        status: 504,
        asked: 1,
        is_final: false,
    },
];

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let stock = Stock::start().await?;
    let catalogue = start_catalogue(stock.address).await?;
    let caller = legacy::Client::builder(TokioExecutor::new()).build_http();
    println!("item           the caller says                status  final  the stock was told");
    for case in CASES {
        let mut request = http::Request::get(format!("http://{catalogue}/{}", case.item));
        for (name, value) in case.sends {
            request = request.header(*name, *value);
        }
        let answer = caller.request(request.body(Empty::<Bytes>::new())?).await?;
        let told = stock.told();
        let is_final = fields::forbids_retry(answer.headers());
        let says: Vec<&str> = case.sends.iter().map(|(name, _)| &name[10..]).collect();
        println!(
            "{:<13}  {:<29}  {:>6}  {:<5}  {}",
            case.item,
            says.join(", "),
            answer.status().as_u16(),
            if is_final { "yes" } else { "no" },
            Told::line(&told),
        );
        assert_eq!(answer.status(), case.status);
        assert_eq!((told.len(), is_final), (case.asked, case.is_final));
        // The third hop knows of the first one's time, and has less of it.
        let longest = case
            .sends
            .iter()
            .find(|(name, _)| *name == "axiomatic-timeout-ms")
            .map_or(HANDLER, |(_, millis)| {
                Duration::from_millis(millis.parse().unwrap_or_default()).min(HANDLER)
            });
        for told in told {
            assert!(told.timeout.is_some_and(|timeout| timeout <= longest));
            let is_sheddable = case.sends.contains(&("axiomatic-priority", "0"));
            assert_eq!(told.priority == Priority::SHEDDABLE, is_sheddable);
            assert!(told.is_retried, "by the catalogue, or by its caller");
        }
    }
    Ok(())
}

/// What the stock knew of a call.
struct Told {
    timeout: Option<Duration>,
    priority: Priority,
    attempt: u32,
    is_retried: bool,
}

impl Told {
    fn line(all: &[Told]) -> String {
        let lines = all.iter().map(|told| {
            let timeout = told.timeout.unwrap_or_default().as_millis();
            let (attempt, priority) = (told.attempt, told.priority.as_u8());
            format!("attempt {attempt}, {timeout} ms, priority {priority}")
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}

struct Stock {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Stock {
    async fn start() -> io::Result<Self> {
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let router = Router::new()
            .route("/{item}", get(count))
            .with_state(Arc::clone(&told));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Stock { address, told })
    }

    /// What it was told since it was last asked.
    fn told(&self) -> Vec<Told> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut told)
    }
}

async fn count(
    State(told): State<Arc<Mutex<Vec<Told>>>>,
    Path(item): Path<String>,
    request: Request,
) -> StatusCode {
    let headers: &HeaderMap = request.headers();
    told.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Told {
            timeout: fields::timeout(headers),
            priority: fields::priority(headers).unwrap_or_default(),
            attempt: fields::attempt(headers).unwrap_or(1),
            is_retried: fields::is_retried(headers),
        });
    match item.as_str() {
        "out-of-order" => StatusCode::INTERNAL_SERVER_ERROR,
        "slow" => std::future::pending().await,
        _ => StatusCode::OK,
    }
}
