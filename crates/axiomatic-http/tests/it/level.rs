//! The admission level in answers: written by bindings and refusals, and heard
//! on the other side of a socket.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::{Announce, BoxError, Heed, Outcome, Pattern, Plain, Reason, Rejected};
use axiomatic_http::{Grpc, Http, RejectionLayer, fields};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};

fn level(number: u8, refused: u16) -> AdmissionLevel {
    AdmissionLevel::at(Priority::from_u8(number), refused)
}

#[test]
fn each_binding_announces_and_hears_a_level() {
    fn check(binding: &(impl Announce<Response<()>> + Heed<Response<()>>)) {
        let mut response = Response::new(());
        assert_eq!(binding.heed_level(&response), None);
        binding.announce_level(&mut response, || AdmissionLevel::ALL);
        assert_eq!(response.headers().capacity(), 0);
        assert_eq!(binding.heed_level(&response), None);
        for (told, heard) in [(3, 3), (2, 3), (4, 4)] {
            binding.announce_level(&mut response, || level(64, told));
            assert_eq!(binding.heed_level(&response), Some(level(64, heard)));
        }
        // It is what the binding for HTTP has, whichever the other side has.
        assert_eq!(Http.heed_level(&response), Some(level(64, 4)));
        assert_eq!(response.headers().len(), 1);
    }
    let by_status = |_: Result<&Response<()>, &BoxError>| Outcome::Ignored;
    check(&Http);
    check(&Http.classified_by(by_status));
    check(&Http.to_body_end());
    check(&Http.to_body_end().classified_by(by_status));
    check(&Grpc);
    check(&Grpc.classified_by(by_status));
    check(&Grpc.at_head());
    check(&Grpc.at_head().classified_by(by_status));
}

#[test]
fn who_has_no_fields_is_not_asked_for_a_level() {
    let mut response = Response::new(());
    Plain.announce_level(&mut response, || unreachable!());
    assert!(response.headers().is_empty());
    fields::announce_level(response.headers_mut(), level(1, 1));
    assert_eq!(Heed::heed_level(&Plain, &response), None);
}

/// A shedder's level, which may change between two calls.
#[derive(Clone, Default)]
struct Shedder(Arc<AtomicU32>);

impl Shedder {
    fn set(&self, level: AdmissionLevel) {
        self.0.store(level.as_u32(), Ordering::Relaxed);
    }

    fn level(&self) -> AdmissionLevel {
        AdmissionLevel::from_u32(self.0.load(Ordering::Relaxed))
    }
}

/// What becomes of an answer or an error under a layer that tells the level.
async fn told(shedder: &Shedder, inner: Result<Response<String>, BoxError>) -> Response<String> {
    let shedder = shedder.clone();
    let mut inner = Some(inner);
    let layer = RejectionLayer::new()
        .announcing_level(move || shedder.level())
        .with_error::<BoxError>()
        .otherwise(|error: BoxError| {
            let mut response = Response::new(error.to_string());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        });
    let service = layer.clone().layer(service_fn(move |(): ()| {
        ready(inner.take().expect("one call"))
    }));
    let Ok(response) = service.oneshot(()).await;
    response
}

fn shed() -> BoxError {
    Rejected::new(Pattern::LoadShedder, Reason::Shed).into()
}

#[tokio::test]
async fn a_refusal_says_which_level_is_admitted() {
    let shedder = Shedder::default();
    shedder.set(level(128, 16_384));
    let refused = told(&shedder, Err(shed())).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(
        refused.headers()[&fields::ADMISSION_LEVEL],
        "128;refused=16384"
    );
    // That of this moment.
    shedder.set(level(64, 0));
    let failed = told(&shedder, Err("ouch".into())).await;
    assert_eq!(
        (failed.status().as_u16(), failed.body().as_str()),
        (502, "ouch")
    );
    assert_eq!(failed.headers()[&fields::ADMISSION_LEVEL], "64");
    // The shedder further in has written its own here, or had none.
    let passed = told(&shedder, Ok(Response::new("found".into()))).await;
    assert!(passed.headers().is_empty());
}

#[tokio::test]
async fn a_shedder_that_admits_everything_says_nothing() {
    let refused = told(&Shedder::default(), Err(shed())).await;
    assert!(!refused.headers().contains_key(&fields::ADMISSION_LEVEL));
    let silent = RejectionLayer::new();
    let inner = service_fn(|(): ()| ready(Err::<Response<String>, _>(shed())));
    let Ok(refused) = silent.layer(inner).oneshot(()).await;
    assert!(!refused.headers().contains_key(&fields::ADMISSION_LEVEL));
}

/// A level that came with an answer which is handed on as an error's.
#[tokio::test]
async fn a_level_from_further_in_stays_in_a_refusal_too() {
    for (further_in, expected) in [("200", "200"), ("3", "64;refused=1")] {
        let layer = RejectionLayer::new()
            .otherwise(move |_: BoxError| {
                let headers = HeaderMap::from_iter([(
                    fields::ADMISSION_LEVEL.clone(),
                    HeaderValue::from_static(further_in),
                )]);
                let mut response = Response::new(String::new());
                *response.headers_mut() = headers;
                response
            })
            .announcing_level(|| level(64, 1));
        let inner = service_fn(|(): ()| ready(Err::<Response<String>, BoxError>("no".into())));
        let Ok(response) = layer.layer(inner).oneshot(()).await;
        assert_eq!(response.headers()[&fields::ADMISSION_LEVEL], expected);
    }
}

/// An axum server that sheds, and hyper's client.
#[tokio::test]
async fn a_level_is_heard_over_real_sockets() {
    use axum::Router;
    use axum::body::{Body, Bytes};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use tower::ServiceBuilder;

    let shedder = Shedder::default();
    let (asked, knows) = (shedder.clone(), shedder.clone());
    // What a shedder does: it refuses, or announces in the answer that passes.
    let service = ServiceBuilder::new()
        .layer(RejectionLayer::new().announcing_level(move || knows.level()))
        .service(service_fn(move |request: Request<Body>| {
            let priority = fields::priority(request.headers()).unwrap_or_default();
            let answer = if asked.level().admits(priority, u16::MAX) {
                let mut response = Response::new(Body::from("found"));
                Http.announce_level(&mut response, || asked.level());
                Ok(response)
            } else {
                Err(shed())
            };
            ready(answer)
        }));
    let app: Router = Router::new().route_service("/", service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let client = Client::builder(TokioExecutor::new()).build_http::<http_body_util::Empty<Bytes>>();
    let ask = async |priority: &str| {
        let request = Request::get(format!("http://{address}/"))
            .header(&fields::PRIORITY, priority)
            .body(http_body_util::Empty::new());
        let answer = client.request(request.unwrap()).await.unwrap();
        (answer.status().as_u16(), Http.heed_level(&answer))
    };
    assert_eq!(ask("sheddable").await, (200, None));
    let up = level(64, 9);
    shedder.set(up);
    assert_eq!(ask("critical").await, (200, Some(up)));
    assert_eq!(ask("sheddable;level=63").await, (503, Some(up)));
    // Nothing says that it is over: the answers just do not say it any more.
    shedder.set(AdmissionLevel::ALL);
    assert_eq!(ask("sheddable").await, (200, None));
}

/// The level is a type of its own, so that a layer may be told of it or not.
#[test]
fn a_layer_that_tells_a_level_is_as_sendable_as_what_knows_it() {
    fn sendable<T: Send + Sync + Unpin + Clone>(_: &T) {}
    let shedder = Shedder::default();
    let layer = RejectionLayer::new().announcing_level(move || shedder.level());
    sendable(&layer);
    sendable(&Layer::<()>::layer(&layer, ()));
}
