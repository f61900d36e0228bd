//! A limit of a rate in front of an HTTP service, and a client that is told of
//! it.
//!
//! Where this is going: an axum service on loopback lets three searches pass at
//! once, and gives one back every 2.5 s. Each answer says what is left, in
//! `RateLimit`, and under which policy, in `RateLimit-Policy`; what is beyond is
//! answered with 429, the same fields, and `Retry-After`. A client over a real
//! socket prints what it is told, asks until it is refused, waits as long as it
//! was told to, and is let in. The limiter's clock is one that the client moves,
//! so that nobody has to wait for it here.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::{Config, Quota, RateLimiter};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{BoxError, Heed};
use axiomatic_http::{Http, RejectionLayer};
use axum::Router;
use axum::routing::get;
use http::header::RETRY_AFTER;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower::make::Shared;

/// How long it takes until one is given back.
const EACH: Duration = Duration::from_millis(2_500);

async fn start(limiter: RateLimiter) -> Result<SocketAddr, BoxError> {
    let router = Router::new().route("/search", get(async || "found\n"));
    let announced = limiter.policy();
    let service = ServiceBuilder::new()
        // Refusals become answers, and may say of which policy.
        .layer(RejectionLayer::new().exact().announcing([announced]))
        // What is let in is told what is left after it.
        .layer(limiter.layer().with_binding(Http).announcing())
        .service(router);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Shared::new(service)).await });
    Ok(address)
}

/// What is asked, so long after the one before, and what is to be said of it.
const ASKED: [(Duration, u16, &str, Option<&str>); 7] = [
    (Duration::ZERO, 200, r#""search";r=2;t=3"#, None),
    (Duration::ZERO, 200, r#""search";r=1;t=3"#, None),
    (Duration::from_secs(1), 200, r#""search";r=0;t=2"#, None),
    // 1.5 s are 2, and the last 0.5 s are 1: never 0, or it would come too early.
    (Duration::ZERO, 429, r#""search";r=0;t=2"#, Some("2")),
    (
        Duration::from_secs(1),
        429,
        r#""search";r=0;t=1"#,
        Some("1"),
    ),
    // And now it waits for what it was told.
    (Duration::from_secs(1), 200, r#""search";r=0;t=2"#, None),
    (Duration::from_secs(60), 200, r#""search";r=2;t=3"#, None),
];

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let hand = ManualClock::new();
    let quota = Quota::new(NonZeroU32::MIN, EACH).burst(NonZeroU32::new(3).ok_or("nothing")?);
    let limiter = Config::new(quota)
        .named("search")
        .clock(Clock::Manual(hand.clone()))
        .build()?;
    let address = start(limiter).await?;
    let client = legacy::Client::builder(TokioExecutor::new()).build_http();

    println!("after  status  ratelimit         ratelimit-policy    retry-after");
    let mut told = Duration::ZERO;
    for (after, status, limit, retry_after) in ASKED {
        hand.advance(after);
        let request = http::Request::get(format!("http://{address}/search"));
        let answer = client.request(request.body(Empty::<Bytes>::new())?).await?;
        let field = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        println!(
            "{:>3} s  {:>6}  {:<16}  {:<18}  {}",
            after.as_secs(),
            answer.status().as_u16(),
            field("ratelimit").unwrap_or("-"),
            field("ratelimit-policy").unwrap_or("-"),
            field(RETRY_AFTER.as_str()).unwrap_or("-"),
        );
        assert_eq!(answer.status(), status);
        assert_eq!(field("ratelimit"), Some(limit));
        assert_eq!(field("ratelimit-policy"), Some(r#""search";q=3;w=8"#));
        assert_eq!(field(RETRY_AFTER.as_str()), retry_after);
        // Who waits for as long as it was told is let in.
        if after >= told {
            assert_eq!(answer.status(), 200);
        }
        // The same, as a client of ours hears it.
        let heard = Http.heed(&answer).ok_or("nothing was said")?;
        assert_eq!(heard.quota(), Some(3));
        assert_eq!(heard.retry_after().is_some(), status == 429);
        told = heard.wait();
    }
    Ok(())
}
