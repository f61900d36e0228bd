//! A gRPC call that fails is answered with `200 OK`.
//!
//! Where this is going: an in-process service answers as gRPC servers and the
//! proxies before them do, in nine ways. The same breaker, which opens after
//! five failures in a row, calls each of them ten times. With the binding for
//! HTTP it stays closed whatever the server says in its trailers; with the
//! one for gRPC it opens for what is the server's fault, and for nothing that
//! is the caller's. Settled at the head, as for streams that stay open, it
//! sees what failed before the first message. At the end, a server that names
//! a time is left alone until then.

use std::future::ready;
use std::time::Duration;

use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{BoxError, Carrier, Classify, Complete};
use axiomatic_failure::circuit_breaker::{Config, OpenFor, OwnedPermit, TripWhen};
use axiomatic_http::{Grpc, Http};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = Response<BoxBody<Bytes, BoxError>>;

/// What the server does, and which of the three bindings open the breaker.
type Behaviour = (&'static str, fn() -> Answer, [bool; 3]);

const BEHAVIOURS: [Behaviour; 9] = [
    ("OK", || status("0"), [false, false, false]),
    ("NOT_FOUND", || status("5"), [false, false, false]),
    ("UNAVAILABLE", || status("14"), [false, false, true]),
    (
        "UNAVAILABLE, trailers only",
        trailers_only,
        [false, true, true],
    ),
    (
        "RESOURCE_EXHAUSTED, for 7 s",
        exhausted,
        [false, false, true],
    ),
    ("CANCELLED", || status("1"), [false, false, false]),
    (
        "ends without a status",
        || answer(None),
        [false, false, true],
    ),
    (
        "is cut in the middle",
        || answer(Some(Err("reset".into()))),
        [true, false, true],
    ),
    ("a proxy's 502", bad_gateway, [true, true, true]),
];

fn answer(end: Option<Result<HeaderMap, BoxError>>) -> Answer {
    let message = Full::from("a message").map_err(BoxError::from);
    Response::new(BoxBody::new(message.with_trailers(ready(end))))
}

fn fields<const N: usize>(fields: [(&'static str, &'static str); N]) -> HeaderMap {
    HeaderMap::from_iter(fields.map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    }))
}

fn status(code: &'static str) -> Answer {
    answer(Some(Ok(fields([("grpc-status", code)]))))
}

fn exhausted() -> Answer {
    let fields = fields([("grpc-status", "8"), ("grpc-retry-pushback-ms", "7000")]);
    answer(Some(Ok(fields)))
}

fn trailers_only() -> Answer {
    let mut answer = answer(None);
    *answer.headers_mut() = fields([("grpc-status", "14")]);
    answer
}

fn bad_gateway() -> Answer {
    let mut answer = answer(None);
    *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
    answer
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    println!("the server                   Http.to_body_end()  Grpc.at_head()  Grpc");
    for (behaviour, server, expected) in BEHAVIOURS {
        let opened = [
            open_for(server, Http.to_body_end()).await?,
            open_for(server, Grpc.at_head()).await?,
            open_for(server, Grpc).await?,
        ];
        let [http, head, grpc] = opened.map(|opened| match opened {
            Some(wait) => format!("open for {wait:.0?}"),
            None => "closed".to_owned(),
        });
        println!("{behaviour:<27}  {http:<18}  {head:<14}  {grpc}");
        assert_eq!(
            opened.map(|opened| opened.is_some()),
            expected,
            "{behaviour}"
        );
        if behaviour.ends_with("for 7 s") {
            assert!(opened[2] > Some(Duration::from_secs(6)), "it was told when");
        }
    }
    Ok(())
}

/// Calls ten times with a new breaker: for how long it is open then, if it is.
async fn open_for<B, D>(server: fn() -> Answer, binding: B) -> Result<Option<Duration>, BoxError>
where
    B: Carrier<Request<()>> + Classify<Answer, BoxError> + Clone,
    B: Complete<OwnedPermit, Answer, Response = Response<D>>,
    D: Body<Data = Bytes, Error = BoxError>,
{
    let breaker = Config::default()
        .trip_when(TripWhen::consecutive_failures(5))
        .open_for(OpenFor::fixed(Duration::from_secs(1)))
        .clock(Clock::Manual(ManualClock::new()))
        .build()?;
    let server = service_fn(|_| ready(Ok::<_, BoxError>(server())));
    let mut client = breaker.layer().with_binding(binding).layer(server);
    for _ in 0..10 {
        if let Ok(response) = client.ready().await?.call(Request::new(())).await {
            // A client of gRPC reads to the trailers, or to where it breaks.
            let _ = response.into_body().collect().await;
        }
    }
    let refused = breaker.admit(breaker.now()).err();
    Ok(refused.and_then(|rejected| rejected.retry_after()))
}
