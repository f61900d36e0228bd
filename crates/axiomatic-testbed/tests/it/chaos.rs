//! Faults at random.

use std::collections::HashSet;
use std::mem::discriminant;
use std::time::Duration;

use axiomatic_testbed::proxy::Script;
use tokio::task::JoinSet;

use crate::support::{Scene, text};

#[test]
fn a_script_follows_from_its_seed_and_has_faults_of_every_kind() {
    let script = |seed| Script::random(seed, Duration::from_secs(1)).take(200);
    assert!(script(7).eq(script(7)));
    assert!(!script(7).eq(script(8)));
    let kinds: HashSet<_> = script(7).map(|step| discriminant(&step.fault)).collect();
    assert_eq!(kinds.len(), 9);
    for step in script(7) {
        assert!(step.lasting <= Duration::from_secs(1));
        assert!(step.pause <= Duration::from_secs(1));
    }
}

/// How many bytes are said on each connection.
const SAID: usize = 40_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_is_the_beginning_of_what_was_said_whatever_fails() {
    let scene = Scene::new().await;
    let said = text(SAID);
    let script = Script::random(3, Duration::from_millis(20));
    let mut heard = Vec::new();
    let mut faults = 0;
    let talk = async {
        let mut hearers = JoinSet::new();
        for _ in 0..200 {
            let Ok(mut client) = scene.try_to_connect().await else {
                continue;
            };
            let said = said.clone();
            tokio::spawn(async move {
                for words in said.chunks(400) {
                    client.try_to_say(words).await;
                    tokio::task::yield_now().await;
                }
            });
            let accepted = tokio::time::timeout(Duration::from_millis(100), scene.accept());
            let Ok(mut server) = accepted.await else {
                continue;
            };
            hearers.spawn(async move { server.hears_all().await.0 });
        }
        // What is held or slow has its end with the faults.
        while let Some(one) = hearers.join_next().await {
            heard.push(one.expect("it has not panicked"));
        }
    };
    scene.proxy.play(script, talk, |_, _| faults += 1).await;
    println!("{faults} faults; {}", scene.proxy.counts());
    for heard in &heard {
        assert!(said.starts_with(heard), "{} bytes", heard.len());
    }
    let whole = heard.iter().filter(|heard| heard.len() == SAID).count();
    assert!(whole > 0, "nothing ever passed");
    assert!(whole < heard.len(), "no fault was felt");
}
