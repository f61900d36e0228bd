//! A router among the others.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::hash::mix;
use axiomatic_core::{BoxError, Ratio};
use axiomatic_failure::retry;
use axiomatic_http::{Http, WhenIdempotent};
use axiomatic_latency::hedge::{Config, Delay};
use axiomatic_placement::consistent_hash::{Membership, Placement, Rendezvous};
use axiomatic_placement::router::Routes;
use http::{Request, Response};
use tokio::time::sleep;
use tower::discover::Change;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const NODES: [&str; 4] = ["a", "b", "c", "d"];
const MILLI: Duration = Duration::from_millis(1);

/// Who was asked for each request, in order.
type Asked = Arc<Mutex<Vec<&'static str>>>;

/// What a node does: answers with a status, after so long.
type Does = fn(&str) -> (u64, u16);

fn node(
    name: &'static str,
    does: Does,
    asked: &Asked,
) -> impl Service<
    Request<u64>,
    Response = Response<()>,
    Error = Infallible,
    Future: Future<Output = Result<Response<()>, Infallible>>,
> + Clone
+ use<> {
    let asked = Arc::clone(asked);
    service_fn(move |_: Request<u64>| {
        asked.lock().unwrap().push(name);
        let (millis, status) = does(name);
        async move {
            sleep(Duration::from_millis(millis)).await;
            Ok(Response::builder().status(status).body(()).unwrap())
        }
    })
}

fn key(request: &Request<u64>) -> u64 {
    mix(*request.body())
}

/// The candidates for a key, by name.
fn candidates(placement: &impl Placement, key: u64) -> Vec<&'static str> {
    let known = |id: &[u8]| NODES.into_iter().find(|name| name.as_bytes() == id);
    let candidates = placement.candidates(mix(key));
    candidates.filter_map(|member| known(member.id())).collect()
}

fn placement() -> Rendezvous {
    let nodes = NODES.map(axiomatic_placement::consistent_hash::Node::new);
    Rendezvous::new(&Membership::new(1, nodes).unwrap())
}

/// Routes to the four nodes, which all do the same by their names.
macro_rules! router {
    ($does:expr, $asked:expr) => {{
        let found =
            NODES.map(|name| Ok::<_, Infallible>(Change::Insert(name, node(name, $does, $asked))));
        let stream = futures::stream::iter(found);
        let place = |nodes: &Membership| Ok(Rendezvous::new(nodes));
        let (routes, driver) = Routes::discovered(stream, place);
        driver.await.unwrap();
        routes
            .router(key as fn(&Request<u64>) -> u64)
            .with_binding(Http)
    }};
}

fn extras() -> RetryBudget<Deposits> {
    RetryBudget::new("extras", Deposits::of(Ratio::percent(100))).unwrap()
}

/// The owner fails, the retry goes to the next candidate, and where that one
/// fails as well to the one behind it.
#[tokio::test(start_paused = true)]
async fn a_retry_around_a_router_asks_one_candidate_after_the_other() {
    let asked = Asked::default();
    let router = router!(
        |name| (1, if name == "a" || name == "b" { 503 } else { 200 }),
        &asked
    );
    let backoff = Backoff::constant(10 * MILLI).jitter(Jitter::Off);
    let retry = retry::Config::new(extras())
        .backoff(backoff)
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(retry.layer(WhenIdempotent).with_binding(Http))
        .service(router);
    let placement = placement();
    let mut attempts = 0;
    for number in 0..40 {
        asked.lock().unwrap().clear();
        let request = Request::get("/").body(number).unwrap();
        let answer: Result<_, BoxError> = service.ready().await.unwrap().call(request).await;
        assert_eq!(answer.unwrap().status(), 200);
        let asked = asked.lock().unwrap();
        assert_eq!(asked[..], candidates(&placement, number)[..asked.len()]);
        attempts += asked.len();
    }
    assert!(
        attempts > 60,
        "{attempts}: too few were retried to show anything"
    );
}

/// The owner is slow, and the hedge is not sent to it again.
#[tokio::test(start_paused = true)]
async fn a_hedge_around_a_router_asks_the_next_candidate() {
    let asked = Asked::default();
    let router = router!(|name| (if name == "a" { 10_000 } else { 1 }, 200), &asked);
    let hedge = Config::new(Delay::fixed(50 * MILLI))
        .budget(extras())
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(hedge.layer(WhenIdempotent).with_binding(Http))
        .service(router);
    let placement = placement();
    let mut hedged = 0;
    for number in 0..40 {
        asked.lock().unwrap().clear();
        let request = Request::get("/").body(number).unwrap();
        let answer: Result<_, BoxError> = service.ready().await.unwrap().call(request).await;
        assert_eq!(answer.unwrap().status(), 200);
        let asked = asked.lock().unwrap();
        assert_eq!(asked[..], candidates(&placement, number)[..asked.len()]);
        hedged += asked.len() - 1;
    }
    assert!(hedged > 3, "{hedged}");
}
