//! How a connection is opened, and opened again.

use std::time::Duration;

use axiomatic_amqp::outbox::{Config, ConfigError, RabbitMq};
use axiomatic_amqp::{ConnectionState, Server, ServerError};
use axiomatic_coordination::outbox::{Publisher, Verdict};
use axiomatic_core::backoff::{Backoff, Jitter};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{FOR_EVER, envelopes, until};

/// Somebody who listens, and is no RabbitMQ.
async fn listener() -> (TcpListener, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let server = Server::new(&format!("amqp://127.0.0.1:{port}")).expect("a URI");
    (listener, server)
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    let accepting = tokio::time::timeout(FOR_EVER, listener.accept());
    accepting.await.expect("in time").expect("a connection").0
}

#[tokio::test]
async fn a_server_that_ends_connections_is_attempted_as_often_as_configured() {
    let (listener, server) = listener().await;
    let wait = Duration::from_millis(20);
    let backoff = Backoff::constant(wait).jitter(Jitter::Off);
    let publisher = RabbitMq::new(server.backoff(backoff), Config::new()).expect("it works");
    let mut last = None;
    for _ in 0..10 {
        drop(accepted(&listener).await);
        let now = tokio::time::Instant::now();
        if let Some(before) = last.replace(now) {
            // An attempt is one connection, and the wait lies between two. It
            // is taken when the test comes to it, which may be late.
            assert!(now > before);
        }
    }
    let snapshot = publisher.snapshot();
    assert_eq!(snapshot.state, ConnectionState::Away);
    assert_eq!(snapshot.opened, 0);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time_and_its_connection_ended() {
    let (listener, server) = listener().await;
    let server = server.timeout(Duration::from_millis(50));
    let publisher = RabbitMq::new(server, Config::new()).expect("it works");
    for _ in 0..3 {
        let mut silent = accepted(&listener).await;
        let mut said = Vec::new();
        let ended = tokio::time::timeout(FOR_EVER, silent.read_to_end(&mut said)).await;
        ended.expect("the client ends it").expect("in order");
        assert_eq!(said, b"AMQP\x00\x00\x09\x01");
    }
    let error = async || {
        publisher
            .snapshot()
            .error
            .is_some_and(|error| error.contains("50ms"))
    };
    until("it says why", error).await;
}

#[tokio::test]
async fn without_a_connection_nothing_is_waited_for() {
    let (_listener, server) = listener().await;
    let config = Config::new().timeout(FOR_EVER * 60);
    let publisher = RabbitMq::new(server.timeout(FOR_EVER), config).expect("it works");
    let publishing = publisher.publish(&envelopes("orders", 3)).await;
    assert_eq!(publishing, [const { Verdict::Unknown }; 3]);
}

#[tokio::test]
async fn what_cannot_connect_is_refused() {
    let of = |uri: &str| Server::new(uri);
    assert!(matches!(of("http://there"), Err(ServerError::Uri(_))));
    let server = || of("amqp://there").expect("a URI");
    let hasty = server().timeout(Duration::ZERO);
    assert_eq!(hasty.checked().unwrap_err(), ServerError::NoTime);
    let silent = server().heartbeat(Duration::from_millis(999));
    assert_eq!(
        silent.clone().checked().unwrap_err(),
        ServerError::NoHeartbeat
    );
    let refused = RabbitMq::new(silent, Config::new()).unwrap_err();
    assert_eq!(refused, ConfigError::Server(ServerError::NoHeartbeat));
    let shrinking = Backoff::exponential(Duration::from_secs(2), Duration::from_secs(1));
    let refused = server().backoff(shrinking).checked().unwrap_err();
    assert!(matches!(refused, ServerError::Backoff(_)));
}
