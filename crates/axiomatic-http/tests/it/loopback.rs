//! Real sockets and hyper on both sides; no paused time.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axiomatic_core::{BoxError, Complete};
use axiomatic_failure::circuit_breaker::{
    CircuitBreaker, Config, OwnedPermit, State, TripWhen, Window,
};
use axiomatic_http::{Grpc, Http};
use axum::body::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, ServiceExt};

use crate::scripted::{Frames, trailers};

type Answer = Response<BoxBody<Bytes, BoxError>>;

#[derive(Copy, Clone, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

/// What the server makes of a path.
fn route(request: &Request<Incoming>) -> Answer {
    let nothing = || Response::new(Empty::new().map_err(Into::into).boxed());
    if request.method() == Method::HEAD {
        let mut response = nothing();
        let length = HeaderValue::from_static("100");
        response.headers_mut().insert("content-length", length);
        return response;
    }
    let frames = |trailers: Option<HeaderMap>, end: Option<BoxError>| {
        Response::new(BoxBody::new(Frames::new(
            ["half, ", "and half"],
            trailers,
            end,
        )))
    };
    let cut = || Some(BoxError::from("cut"));
    let ended = |code| {
        let mut response = frames(Some(trailers("grpc-status", code)), None);
        // Without it, HTTP/1.1 leaves the trailers out.
        let announced = HeaderValue::from_static("grpc-status");
        response.headers_mut().insert("trailer", announced);
        response
    };
    match request.uri().path() {
        "/length" => Response::new(Full::from("of known length").map_err(Into::into).boxed()),
        "/stream" => frames(None, None),
        "/cut-stream" => frames(None, cut()),
        "/cut-length" => {
            let mut response = frames(None, cut());
            let length = HeaderValue::from_static("100");
            response.headers_mut().insert("content-length", length);
            response
        }
        "/missing" => {
            let mut response = frames(None, None);
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        "/nothing" => {
            let mut response = nothing();
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        "/error" => {
            let mut response = frames(None, None);
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
        "/ok" => ended("0"),
        "/not-found" => ended("5"),
        "/unavailable" => ended("14"),
        "/trailers-only" => {
            let mut response = nothing();
            *response.headers_mut() = trailers("grpc-status", "14");
            response
        }
        path => panic!("no such path: {path}"),
    }
}

async fn serve(version: Version) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let io = TokioIo::new(stream);
            let service = service_fn(async |request| Ok::<_, Infallible>(route(&request)));
            tokio::spawn(async move {
                // A body that was cut is an error of its connection.
                let _ = match version {
                    Version::Http1 => {
                        let http = hyper::server::conn::http1::Builder::new();
                        http.serve_connection(io, service).await
                    }
                    Version::Http2 => {
                        let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        http.serve_connection(io, service).await
                    }
                };
            });
        }
    });
    address
}

/// A call over a connection of its own.
async fn send(
    version: Version,
    to: SocketAddr,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, BoxError> {
    let io = TokioIo::new(TcpStream::connect(to).await?);
    if version == Version::Http1 {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        return Ok(sender.send_request(request).await?);
    }
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

struct Client<B> {
    version: Version,
    server: SocketAddr,
    breaker: CircuitBreaker,
    binding: B,
}

/// What becomes of the body.
enum Reader {
    Reads,
    ReadsFrames(usize),
    Leaves,
}

impl<B, D> Client<B>
where
    B: Clone
        + axiomatic_core::Carrier<Request<Empty<Bytes>>>
        + axiomatic_core::Classify<Response<Incoming>, BoxError>
        + Complete<OwnedPermit, Response<Incoming>, Response = Response<D>>,
    D: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    async fn start(version: Version, binding: B) -> Self {
        let breaker = Config::new(Window::last(Duration::from_secs(60)))
            .trip_when(TripWhen::consecutive_failures(3))
            .build()
            .unwrap();
        Client {
            version,
            server: serve(version).await,
            breaker,
            binding,
        }
    }

    /// How many successes and failures the breaker has counted after it.
    async fn calls(&self, method: Method, path: &str, reader: Reader) -> (u64, u64) {
        let (version, server) = (self.version, self.server);
        let layer = self.breaker.layer().with_binding(self.binding.clone());
        let service = layer.layer(tower::service_fn(move |request| {
            send(version, server, request)
        }));
        let uri = format!("http://{server}{path}");
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("te", "trailers");
        let response = service.oneshot(request.body(Empty::new()).unwrap()).await;
        let mut body = response.unwrap().into_body();
        match reader {
            Reader::Reads => drop(body.collect().await),
            Reader::ReadsFrames(frames) => {
                for _ in 0..frames {
                    body.frame().await.unwrap().unwrap();
                }
                drop(body);
            }
            Reader::Leaves => drop(body),
        }
        let counts = self.breaker.snapshot().counts();
        (counts.total() - counts.failed(), counts.failed())
    }

    async fn get(&self, path: &str) -> (u64, u64) {
        self.calls(Method::GET, path, Reader::Reads).await
    }
}

#[tokio::test]
async fn a_breaker_sees_what_becomes_of_real_bodies() {
    for version in [Version::Http1, Version::Http2] {
        let client = Client::start(version, Http.to_body_end()).await;
        assert_eq!(client.get("/length").await, (1, 0));
        assert_eq!(client.get("/stream").await, (2, 0));
        assert_eq!(client.get("/missing").await, (3, 0));
        assert_eq!(client.get("/nothing").await, (4, 0));
        let head = client.calls(Method::HEAD, "/length", Reader::Leaves).await;
        assert_eq!(head, (5, 0), "nothing to read");
        let left = client.calls(Method::GET, "/stream", Reader::Leaves).await;
        assert_eq!(left, (5, 0), "nothing was learnt");
        let by_length = client
            .calls(Method::GET, "/length", Reader::ReadsFrames(1))
            .await;
        assert_eq!(by_length, (6, 0), "all of it was read");
        assert_eq!(
            client.calls(Method::GET, "/error", Reader::Leaves).await,
            (6, 1)
        );
        assert_eq!(client.get("/cut-stream").await, (6, 2));
        assert_eq!(client.breaker.state(), State::Closed);
        client.get("/cut-length").await;
        assert_eq!(client.breaker.state(), State::Open);
    }
    // At the head, the same bodies are successes.
    let client = Client::start(Version::Http1, Http).await;
    assert_eq!(client.get("/cut-stream").await, (1, 0));
    assert_eq!(client.get("/cut-length").await, (2, 0));
}

#[tokio::test]
async fn a_breaker_sees_the_trailers_of_http_2() {
    // And of HTTP/1.1, which has them too.
    for version in [Version::Http2, Version::Http1] {
        let client = Client::start(version, Grpc).await;
        assert_eq!(client.get("/ok").await, (1, 0));
        assert_eq!(client.get("/unavailable").await, (1, 1));
        assert_eq!(client.get("/not-found").await, (2, 1));
        assert_eq!(client.get("/trailers-only").await, (2, 2));
        assert_eq!(client.get("/stream").await, (2, 3), "no status");
        assert_eq!(client.breaker.state(), State::Closed);
        client.get("/cut-stream").await;
        assert_eq!(client.breaker.state(), State::Open);
    }
    let http = Client::start(Version::Http2, Http.to_body_end()).await;
    for _ in 0..5 {
        http.get("/unavailable").await;
    }
    assert_eq!(http.breaker.state(), State::Closed, "a 200 is a 200");
}
