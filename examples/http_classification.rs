//! What counts as a failure decides what trips a breaker.
//!
//! Where this is going: a dependency on loopback misbehaves in seven ways,
//! written out as the bytes that it sends. The same breaker, which opens after
//! five failures in a row, calls each of them ten times, with three bindings.
//! Without a binding for HTTP, an answer is a success whatever it says. With
//! `Http`, 500 and 429 are failures and 404 is none. Only with
//! `Http.to_body_end()` does an answer that breaks off in the middle count: its
//! head was a `200 OK`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axiomatic_core::{BoxError, Carrier, Classify, Complete, Plain};
use axiomatic_failure::circuit_breaker::{Config, OwnedPermit, State, TripWhen};
use axiomatic_http::Http;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

/// What the dependency does, what it sends before it hangs up, and which of
/// the three bindings open the breaker.
const BEHAVIOURS: [(&str, &str, [bool; 3]); 7] = [
    (
        "answers",
        "200 OK\r\ncontent-length: 4\r\n\r\npage",
        [false; 3],
    ),
    (
        "has no such page",
        "404 Not Found\r\ncontent-length: 0\r\n\r\n",
        [false; 3],
    ),
    (
        "fails",
        "500 Oh\r\ncontent-length: 0\r\n\r\n",
        [false, true, true],
    ),
    (
        "asks for less",
        "429 Wait\r\ncontent-length: 0\r\n\r\n",
        [false, true, true],
    ),
    (
        "breaks off a known length",
        "200 OK\r\ncontent-length: 4\r\n\r\npa",
        [false, false, true],
    ),
    (
        "breaks off a stream",
        "200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\npa\r\n",
        [false, false, true],
    ),
    ("hangs up", "", [true; 3]),
];

const CALLS: usize = 10;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    println!("the dependency             Plain          Http           Http.to_body_end()");
    for (behaviour, sends, expected) in BEHAVIOURS {
        let server = serve(sends).await?;
        let opened = [
            calls_until_open(server, Plain).await?,
            calls_until_open(server, Http).await?,
            calls_until_open(server, Http.to_body_end()).await?,
        ];
        let [plain, head, end] = opened.map(|opened| match opened {
            Some(calls) => format!("open after {calls}"),
            None => "closed".to_owned(),
        });
        println!("{behaviour:<25}  {plain:<13}  {head:<13}  {end}");
        assert_eq!(
            opened,
            expected.map(|opens| opens.then_some(5)),
            "{behaviour}"
        );
    }
    Ok(())
}

/// Calls until a new breaker is open: after how many calls, if at all.
async fn calls_until_open<B, D>(server: SocketAddr, binding: B) -> Result<Option<usize>, BoxError>
where
    B: Carrier<Request<Empty<Bytes>>>
        + Classify<Response<Incoming>, BoxError>
        + Complete<OwnedPermit, Response<Incoming>, Response = Response<D>>
        + Clone,
    D: Body<Data = Bytes, Error = hyper::Error>,
{
    let breaker = Config::default()
        .trip_when(TripWhen::consecutive_failures(5))
        .build()?;
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let mut client = breaker.layer().with_binding(binding).layer(hyper);
    for call in 1..=CALLS {
        let request = Request::get(format!("http://{server}/")).body(Empty::new())?;
        // What the caller makes of an error is not our subject: reading the
        // body to its end, or to where it breaks, is all that it has to do.
        if let Ok(response) = client.ready().await?.call(request).await {
            let _ = response.into_body().collect().await;
        }
        if breaker.state() == State::Open {
            return Ok(Some(call));
        }
    }
    Ok(None)
}

/// A dependency that sends this to whoever asks, and hangs up.
async fn serve(sends: &'static str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufStream::new(stream);
            let mut line = String::new();
            // A request without a body ends with an empty line.
            while stream.read_line(&mut line).await? > "\r\n".len() {
                line.clear();
            }
            if !sends.is_empty() {
                stream.write_all(b"HTTP/1.1 ").await?;
                stream.write_all(sends.as_bytes()).await?;
            }
            stream.shutdown().await?;
        }
        Ok::<(), io::Error>(())
    });
    Ok(address)
}
