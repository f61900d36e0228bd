use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
use axiomatic_http::{RejectionLayer, RejectionService};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

fn refusal() -> Rejected {
    Rejected::new(Pattern::Bulkhead, Reason::Full).with_retry_after(Duration::from_millis(1001))
}

/// A service whose readiness fails, or waits, as told; it counts its calls.
#[derive(Clone)]
struct Scripted {
    readiness: Rc<Cell<Poll<Result<(), Rejected>>>>,
    calls: Rc<Cell<u32>>,
}

impl Scripted {
    fn new(readiness: Poll<Result<(), Rejected>>) -> Self {
        Scripted {
            readiness: Rc::new(Cell::new(readiness)),
            calls: Rc::default(),
        }
    }
}

impl Service<Request<()>> for Scripted {
    type Response = Response<String>;
    type Error = Rejected;
    type Future = Ready<Result<Response<String>, Rejected>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        self.readiness.get()
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        ready(Ok(Response::new("called".into())))
    }
}

fn poll<S: Service<Request<()>>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let service = RejectionLayer::new().exact().layer(service_fn(|(): ()| {
        ready(Err::<Response<String>, BoxError>(refusal().into()))
    }));
    let Ok(response) = service.oneshot(()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.body(), "too busy\n");
}

#[tokio::test]
async fn who_is_refused_together_does_not_come_back_together() {
    let waits = async |layer: &RejectionLayer| {
        let refusing = service_fn(|(): ()| {
            let no = refusal().with_retry_after(Duration::from_secs(10));
            ready(Err::<Response<String>, BoxError>(no.into()))
        });
        let mut waits = Vec::new();
        for _ in 0..200 {
            // A service of its own for each request, as a router has it.
            let Ok(response) = layer.layer(refusing).oneshot(()).await;
            let wait: u64 = response.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            waits.push(wait);
        }
        waits
    };
    let spread = waits(&RejectionLayer::new()).await;
    for wait in 10..=15 {
        let count = spread.iter().filter(|other| **other == wait).count();
        assert!((1..100).contains(&count), "{count} of 200 after {wait} s");
    }
    assert!(spread.iter().all(|wait| (10..=15).contains(wait)));

    let seeded = waits(&RejectionLayer::new().seeded(7)).await;
    assert_eq!(seeded, waits(&RejectionLayer::new().seeded(7)).await);
    assert_ne!(seeded, spread);
    let exact = waits(&RejectionLayer::new().exact()).await;
    assert!(exact.iter().all(|wait| *wait == 10));
}

#[tokio::test]
async fn an_answer_passes_unaltered() {
    let inner = service_fn(|body: &'static str| {
        let response = Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .header("x-kept", "yes")
            .extension(7_u8)
            .body(String::from(body));
        ready(response.map_err(BoxError::from))
    });
    let Ok(response) = RejectionLayer::new()
        .layer(inner)
        .oneshot("as it was")
        .await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(response.headers()["x-kept"], "yes");
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.extensions().get(), Some(&7_u8));
    assert_eq!(response.body(), "as it was");
}

#[tokio::test]
async fn another_error_is_an_answer_without_details() {
    let inner = service_fn(|(): ()| ready(Err::<Response<String>, BoxError>("secret".into())));
    let Ok(response) = RejectionLayer::new().layer(inner).oneshot(()).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!format!("{response:?}").contains("secret"));
}

#[tokio::test]
async fn another_error_is_what_the_closure_makes_of_it() {
    let layer = RejectionLayer::new().otherwise(|error: BoxError| {
        let mut response = Response::new(format!("says {error}"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    });
    let broken = service_fn(|(): ()| ready(Err::<Response<String>, BoxError>("ouch".into())));
    let Ok(response) = layer.layer(broken).oneshot(()).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(response.body(), "says ouch");

    let refusing = service_fn(|(): ()| ready(Err::<Response<String>, _>(refusal())));
    let Ok(response) = layer.layer(refusing).oneshot(()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_failed_readiness_is_an_answer() {
    let inner = Scripted::new(Poll::Ready(Err(refusal())));
    let mut service: RejectionService<_, Rejected> = RejectionLayer::new()
        .with_error::<Rejected>()
        .layer(inner.clone());

    assert!(poll(&mut service).is_ready());
    // What was said stays said, though the inner service has recovered.
    inner.readiness.set(Poll::Ready(Ok(())));
    assert!(poll(&mut service).is_ready());
    let Ok(response) = service.call(Request::new(())).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(inner.calls.get(), 0);

    // And it was said once: the next call goes through.
    let Ok(response) = service.ready().await.unwrap().call(Request::new(())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(inner.calls.get(), 1);
}

#[tokio::test]
async fn a_clone_does_not_inherit_a_failed_readiness() {
    let inner = Scripted::new(Poll::Ready(Err(refusal())));
    let mut service = RejectionLayer::new()
        .with_error::<Rejected>()
        .layer(inner.clone());
    assert!(poll(&mut service).is_ready());
    inner.readiness.set(Poll::Ready(Ok(())));
    let Ok(response) = service.clone().oneshot(Request::new(())).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[test]
fn waits_while_the_inner_service_waits() {
    let inner = Scripted::new(Poll::Pending);
    let mut service = RejectionLayer::new()
        .with_error::<Rejected>()
        .layer(inner.clone());
    assert!(poll(&mut service).is_pending());
    inner.readiness.set(Poll::Ready(Ok(())));
    assert!(poll(&mut service).is_ready());
}

#[tokio::test]
async fn fits_a_router_of_axum() {
    use axum::{Router, body::Body, response::Response};

    let refusing = service_fn(async |_: Request<Body>| -> Result<Response, BoxError> {
        Err(refusal().into())
    });
    let app: Router = Router::new()
        .route_service("/over", RejectionLayer::new().layer(refusing))
        .route("/within", axum::routing::get(async || "untouched"))
        .layer(RejectionLayer::new());
    for (path, status, text) in [("/over", 503, "too busy\n"), ("/within", 200, "untouched")] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, text, "{path}");
    }
}

#[tokio::test]
async fn a_body_of_hyper_can_be_one() {
    let inner = service_fn(|(): ()| {
        ready(Err::<Response<Full<axum::body::Bytes>>, BoxError>(
            refusal().into(),
        ))
    });
    let Ok(response) = RejectionLayer::new().layer(inner).oneshot(()).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "too busy\n");
}

/// What a router asks of a service, for every part that has a name.
#[test]
fn types_are_as_sendable_as_what_they_hold() {
    fn sendable<T: Send + Sync + Unpin>() {}
    sendable::<RejectionLayer>();
    sendable::<RejectionService<()>>();
    sendable::<axiomatic_http::rejection::ResponseFuture<Ready<Infallible>, BoxError, ()>>();
}
