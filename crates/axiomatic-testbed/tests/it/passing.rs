//! What arrives, when, and in which order.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use axiomatic_testbed::proxy::{Fault, FaultProxy, Way, Whom};
use tokio::io::AsyncWriteExt;

use crate::support::{Ended, Scene, text, until};

#[tokio::test]
async fn all_that_is_said_arrives_and_is_counted() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    let (question, answer) = (text(1_000_003), text(300_001));
    tokio::join!(client.say(&question), server.hears(&question));
    tokio::join!(server.say(&answer), client.hears(&answer));
    // It has arrived before it is counted.
    until("it is counted", || {
        let counts = scene.proxy.counts();
        (counts.to_server, counts.to_client) == (1_000_003, 300_001)
    })
    .await;
    let counts = scene.proxy.counts();
    assert_eq!((counts.connections, counts.felt()), (1, 0));
}

#[tokio::test]
async fn an_end_that_has_said_all_may_still_hear() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    client.say(b"all").await;
    client.0.shutdown().await.expect("it is open");
    assert_eq!(server.hears_all().await, (b"all".to_vec(), Ended::Closed));
    server.say(b"answer").await;
    client.hears(b"answer").await;
    drop(server);
    assert_eq!(client.hears_all().await, (Vec::new(), Ended::Closed));
    until("it is over", || scene.proxy.present() == 0).await;
}

#[tokio::test]
async fn what_is_late_arrives_in_its_order() {
    let scene = Scene::new().await;
    let (by, jitter) = (Duration::from_millis(20), Duration::from_millis(30));
    let way = Way::ToServer;
    scene
        .proxy
        .inflict(&Fault::Latency { way, by, jitter }, Whom::All);
    let (mut client, mut server) = scene.connect().await;
    let text = text(5_000);
    let began = Instant::now();
    let say = async {
        for word in text.chunks(50) {
            client.say(word).await;
            // So that each word is late by itself.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::join!(say, server.hears(&text));
    assert!(began.elapsed() >= by, "it came too early");
    assert!(scene.proxy.counts().delayed > 10, "they came as one");
    // Only in one direction, and only for as long as it was said.
    let delayed = scene.proxy.counts().delayed;
    server.say(b"answer").await;
    client.hears(b"answer").await;
    scene.proxy.heal();
    client.say(b"again").await;
    server.hears(b"again").await;
    assert_eq!(scene.proxy.counts().delayed, delayed);
}

#[tokio::test]
async fn what_is_late_is_late_together() {
    let scene = Scene::new().await;
    let by = Duration::from_millis(100);
    let latency = Fault::Latency {
        way: Way::ToClient,
        by,
        jitter: Duration::ZERO,
    };
    scene.proxy.inflict(&latency, Whom::All);
    let (mut client, mut server) = scene.connect().await;
    let text = text(20);
    let began = Instant::now();
    let say = async {
        for word in text.chunks(1) {
            server.say(word).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::join!(say, client.hears(&text));
    // One after the other, they would have taken two seconds.
    assert!(began.elapsed() >= by);
    assert!(began.elapsed() < by * 10, "each waited for the one before");
}

#[tokio::test]
async fn no_more_passes_in_a_second_than_may() {
    let scene = Scene::new().await;
    let bytes_per_second = NonZeroU32::new(20_000).expect("not 0");
    let way = Way::ToServer;
    let slow = Fault::Bandwidth {
        way,
        bytes_per_second,
    };
    scene.proxy.inflict(&slow, Whom::All);
    let (mut client, mut server) = scene.connect().await;
    let text = text(6_000);
    let began = Instant::now();
    tokio::join!(client.say(&text), server.hears(&text));
    // The last piece of 400 arrives before its time is over.
    let shortest = Duration::from_secs_f64(5_600.0 / 20_000.0);
    assert!(began.elapsed() >= shortest, "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_held_arrives_when_it_may() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.inflict(&Fault::Hold, Whom::Present);
    let text = text(5_000);
    client.say(&text).await;
    server.say(b"as well").await;
    server.hears_nothing().await;
    client.hears_nothing().await;
    let (mut other, mut others) = scene.connect().await;
    other.say(b"not held").await;
    others.hears(b"not held").await;
    scene.proxy.heal();
    server.hears(&text).await;
    client.hears(b"as well").await;
}

#[test]
fn it_neither_listens_nor_connects_but_on_loopback() {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let loopback = address("127.0.0.1:0");
    for elsewhere in ["0.0.0.0:0", "192.0.2.1:80", "[::]:0", "[2001:db8::1]:80"] {
        let elsewhere = address(elsewhere);
        for (listen, server) in [(elsewhere, loopback), (loopback, elsewhere)] {
            let refused = FaultProxy::between(listen, server, 0).expect_err("refused");
            let says = refused.to_string();
            assert!(says.ends_with("is not on loopback"), "{says}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_so_for_the_client() {
    let port = axiomatic_testbed::free_port();
    let proxy = FaultProxy::to(port);
    // It depends on who is faster where the client hears of it.
    if let Ok(client) = tokio::net::TcpStream::connect(proxy.address()).await {
        let (heard, ended) = crate::support::End(client).hears_all().await;
        assert_eq!((heard, ended), (Vec::new(), Ended::Reset));
    }
}
