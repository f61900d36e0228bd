//! Connections to RabbitMQ that break in every way.

mod consuming;
mod relaying;

use std::time::Duration;

use axiomatic_amqp::Server;
use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_testbed::matrix::{Subject, try_at_random};
use axiomatic_testbed::proxy::FaultProxy;
use axiomatic_testbed::rabbitmq::RabbitMq;

/// Within the greetings of both; within a message and its confirmation.
const HANDSHAKE: [u64; 4] = [0, 5, 60, 600];
const MESSAGE: [u64; 4] = [0, 3, 100, 700];

/// How long a silent server is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(200);

/// A server behind a proxy, that is soon missed and does not meet all its
/// clients together.
fn through(server: &RabbitMq, proxy: &FaultProxy) -> Server {
    let (port, proxied) = (server.port().to_string(), proxy.port().to_string());
    let address = Server::new(&server.address().replace(&port, &proxied));
    address
        .expect("a URI")
        .heartbeat(Duration::from_secs(1))
        .timeout(PATIENCE)
        .backoff(Backoff::exponential(FIRST, LONGEST).jitter(Jitter::Equal))
}

async fn at_random(proxy: &FaultProxy, subject: &mut impl Subject) {
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let (seeds, lasting) = if is_deep { (20, 20) } else { (1, 3) };
    for seed in 0..seeds {
        try_at_random(proxy, seed, Duration::from_secs(lasting), subject).await;
    }
}
