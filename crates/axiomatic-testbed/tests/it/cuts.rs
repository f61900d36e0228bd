//! Where connections are cut, and what has arrived by then.

use axiomatic_testbed::proxy::{At, Ending, Fault, Trigger, Way, Whom};
use tokio::io::AsyncReadExt;

use crate::support::{End, Ended, Scene, text, until};

/// The ends of a connection by who speaks and who hears.
fn in_order(way: Way, (client, server): (End, End)) -> (End, End) {
    match way {
        Way::ToServer => (client, server),
        Way::ToClient => (server, client),
    }
}

#[tokio::test]
async fn so_many_bytes_pass_and_no_more_and_then_both_ends_hear_of_the_cut() {
    let scene = Scene::new().await;
    let mut cut = 0;
    for way in Way::BOTH {
        for ending in [Ending::Close, Ending::Reset] {
            for bytes in [0, 1, 7, 16_383, 16_384, 50_000] {
                let connection = scene.connect().await;
                let (mut speaker, mut hearer) = in_order(way, connection);
                let fault = Fault::CutAfter { way, bytes, ending };
                scene.proxy.inflict(&fault, Whom::Present);
                let text = text(60_000);
                let (_, (heard, ended)) =
                    tokio::join!(speaker.try_to_say(&text), hearer.hears_all());
                let bytes = bytes as usize;
                assert_eq!(heard.len(), bytes, "{fault}");
                assert!(heard == text[..bytes], "{fault}");
                if ending == Ending::Reset {
                    assert_eq!(ended, Ended::Reset, "{fault}");
                }
                let (heard, _) = speaker.hears_all().await;
                assert!(heard.is_empty(), "{fault}");
                cut += 1;
                until("it is counted", || scene.proxy.counts().cut == cut).await;
            }
        }
    }
}

#[tokio::test]
async fn a_cut_is_counted_from_the_beginning_of_each_new_connection() {
    let scene = Scene::new().await;
    let (mut old, mut olds) = scene.connect().await;
    let (way, ending) = (Way::ToServer, Ending::Close);
    let fault = Fault::CutAfter {
        way,
        bytes: 3,
        ending,
    };
    scene.proxy.inflict(&fault, Whom::Coming);
    for _ in 0..3 {
        let (mut client, mut server) = scene.connect().await;
        client.say(b"12").await;
        server.hears(b"12").await;
        server.say(b"ok").await;
        client.hears(b"ok").await;
        client.say(b"34").await;
        assert_eq!(server.hears_all().await.0, b"3");
    }
    old.say(b"as before").await;
    olds.hears(b"as before").await;
    scene.proxy.heal();
    let (mut client, mut server) = scene.connect().await;
    client.say(b"1234").await;
    server.hears(b"1234").await;
}

#[tokio::test]
async fn a_cut_that_was_healed_before_it_came_does_not_come() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    let (way, ending) = (Way::ToServer, Ending::Close);
    let fault = Fault::CutAfter {
        way,
        bytes: 4,
        ending,
    };
    scene.proxy.inflict(&fault, Whom::All);
    client.say(b"123").await;
    server.hears(b"123").await;
    scene.proxy.heal();
    client.say(b"456").await;
    server.hears(b"456").await;
    // And counted anew.
    scene.proxy.inflict(&fault, Whom::All);
    client.say(b"12345").await;
    assert_eq!(server.hears_all().await.0, b"1234");
}

#[tokio::test]
async fn all_that_are_there_are_cut_and_none_that_come() {
    let scene = Scene::new().await;
    for ending in [Ending::Close, Ending::Reset] {
        let mut present = Vec::new();
        for _ in 0..5 {
            present.push(scene.connect().await);
        }
        scene.proxy.inflict(&Fault::Cut(ending), Whom::Present);
        for (mut client, mut server) in present {
            let ended = match ending {
                Ending::Close => Ended::Closed,
                Ending::Reset => Ended::Reset,
            };
            assert_eq!(client.hears_all().await, (Vec::new(), ended));
            assert_eq!(server.hears_all().await, (Vec::new(), ended));
        }
        let (mut client, mut server) = scene.connect().await;
        client.say(b"there").await;
        server.hears(b"there").await;
        scene.proxy.cut();
        until("it is gone", || scene.proxy.present() == 0).await;
    }
    assert_eq!(scene.proxy.counts().cut, 12);
}

#[tokio::test]
async fn a_connection_is_cut_where_certain_bytes_pass() {
    let scene = Scene::new().await;
    for way in Way::BOTH {
        for (at, arrives) in [
            (At::Before, "BEGIN; "),
            (At::Behind, "BEGIN; COMMIT"),
            (At::Answer, "BEGIN; COMMIT; more"),
        ] {
            scene
                .proxy
                .cut_when(Trigger::on(way, b"COMMIT", at).after(1));
            let (mut speaker, mut hearer) = in_order(way, scene.connect().await);
            speaker.say(b"COMMIT").await;
            hearer.hears(b"COMMIT").await;
            // What passes in the other direction is not meant.
            hearer.say(b"COMMIT").await;
            speaker.hears(b"COMMIT").await;
            speaker.say(b"BEGIN; COMMIT; more").await;
            let mut heard = vec![0; arrives.len()];
            hearer.0.read_exact(&mut heard).await.expect("they arrive");
            assert_eq!(heard, arrives.as_bytes());
            if at == At::Answer {
                hearer.say(b"done").await;
            }
            assert_eq!(speaker.hears_all().await.0, b"", "{way} {at:?}");
            assert_eq!(hearer.hears_all().await.0, b"", "{way} {at:?}");
            // It was one.
            let (mut speaker, mut hearer) = in_order(way, scene.connect().await);
            speaker.say(b"COMMIT COMMIT").await;
            hearer.hears(b"COMMIT COMMIT").await;
        }
    }
    assert_eq!(scene.proxy.counts().triggered, 6);
}

#[tokio::test]
async fn a_proxy_that_refuses_counts_who_came_and_when() {
    let scene = Scene::new().await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.inflict(&Fault::Refuse, Whom::All);
    for _ in 0..5 {
        // It depends on who is faster where the client hears of it.
        if let Ok(mut refused) = scene.try_to_connect().await {
            assert_eq!(refused.hears_all().await, (Vec::new(), Ended::Reset));
        }
    }
    client.say(b"still there").await;
    server.hears(b"still there").await;
    scene.proxy.heal();
    let (mut client, mut server) = scene.connect().await;
    client.say(b"there").await;
    server.hears(b"there").await;
    let counts = scene.proxy.counts();
    assert_eq!((counts.connections, counts.refused), (7, 5));
    let attempts = scene.proxy.attempts();
    assert_eq!(attempts.len(), 7);
    assert!(attempts.is_sorted());
}
