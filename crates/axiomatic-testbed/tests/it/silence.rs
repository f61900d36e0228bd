//! What is swallowed, and connections with one end.

use axiomatic_testbed::proxy::{Fault, Side, Way, Whom};

use crate::support::{Ended, Scene, text, until};

#[tokio::test]
async fn a_blackhole_swallows_all_and_closes_nothing() {
    let scene = Scene::new().await;
    let (mut old, mut olds) = scene.connect().await;
    scene.proxy.inflict(&Fault::Blackhole, Whom::All);
    let (mut new, mut news) = scene.connect().await;
    for (client, server) in [(&mut old, &mut olds), (&mut new, &mut news)] {
        client.say(&text(3_000)).await;
        server.say(&text(2_000)).await;
        server.hears_nothing().await;
        client.hears_nothing().await;
    }
    until("all is swallowed", || {
        scene.proxy.counts().swallowed == 10_000
    })
    .await;
    assert_eq!(scene.proxy.counts().cut, 0);
    // Nothing arrives behind a hole.
    scene.proxy.heal();
    client_and_server_hear_nothing(&mut old, &mut olds).await;
    let (mut client, mut server) = scene.connect().await;
    client.say(b"well").await;
    server.hears(b"well").await;
}

async fn client_and_server_hear_nothing(
    client: &mut crate::support::End,
    server: &mut crate::support::End,
) {
    client.say(b"hello").await;
    server.say(b"hello").await;
    server.hears_nothing().await;
    client.hears_nothing().await;
}

#[tokio::test]
async fn a_connection_that_lost_nothing_goes_on_behind_a_blackhole() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.inflict(&Fault::Blackhole, Whom::All);
    scene.proxy.heal();
    client.say(b"hello").await;
    server.hears(b"hello").await;
}

#[tokio::test]
async fn nobody_is_told_of_an_end_in_a_blackhole_until_it_is_over() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.inflict(&Fault::Blackhole, Whom::All);
    client.say(b"good-bye").await;
    drop(client);
    server.hears_nothing().await;
    scene.proxy.heal();
    assert_eq!(server.hears_all().await, (Vec::new(), Ended::Reset));
}

#[tokio::test]
async fn silence_is_in_one_direction() {
    for way in Way::BOTH {
        let scene = Scene::new().await;
        let (mut client, mut server) = scene.connect().await;
        scene.proxy.inflict(&Fault::Silence(way), Whom::All);
        let (silent, heard) = match way {
            Way::ToServer => (&mut client, &mut server),
            Way::ToClient => (&mut server, &mut client),
        };
        silent.say(b"hello").await;
        heard.hears_nothing().await;
        heard.say(b"who is there?").await;
        silent.hears(b"who is there?").await;
        scene.proxy.heal();
        silent.say(b"hello").await;
        heard.hears_nothing().await;
        assert_eq!(scene.proxy.counts().swallowed, 10);
    }
}

#[tokio::test]
async fn a_client_is_not_told_that_the_server_has_closed() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    let half_open = Fault::HalfOpen(Side::Server);
    scene.proxy.inflict(&half_open, Whom::All);
    assert_eq!(server.hears_all().await.0, b"");
    client.say(b"hello").await;
    client.hears_nothing().await;
    let (mut new, mut news) = scene.connect().await;
    assert_eq!(news.hears_all().await.0, b"");
    new.say(b"hello").await;
    new.hears_nothing().await;
    // Not then either: it has to find out.
    scene.proxy.heal();
    client.say(b"hello").await;
    client.hears_nothing().await;
    assert_eq!(scene.proxy.counts().half_open, 2);
    drop((client, new));
    until("they are over", || scene.proxy.present() == 0).await;
}

#[tokio::test]
async fn a_server_is_not_told_that_its_client_has_gone() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    scene
        .proxy
        .inflict(&Fault::HalfOpen(Side::Client), Whom::Present);
    assert_eq!(client.hears_all().await.0, b"");
    server.say(b"hello").await;
    server.hears_nothing().await;
    let (mut new, mut news) = scene.connect().await;
    new.say(b"hello").await;
    news.hears(b"hello").await;
    // Nobody is left who could find out.
    scene.proxy.heal();
    let (heard, _) = server.hears_all().await;
    assert_eq!(heard, b"");
}

#[tokio::test]
async fn half_a_connection_can_be_cut() {
    for side in [Side::Client, Side::Server] {
        let scene = Scene::new().await;
        let (mut client, mut server) = scene.connect().await;
        scene.proxy.inflict(&Fault::HalfOpen(side), Whom::All);
        until("it is half open", || scene.proxy.counts().half_open == 1).await;
        scene.proxy.cut();
        assert_eq!(client.hears_all().await.0, b"");
        assert_eq!(server.hears_all().await.0, b"");
    }
}
