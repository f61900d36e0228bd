//! Deliveries of the same messages at the same time.

use std::num::NonZeroU32;

use axiomatic_coordination::inbox::Policy;
use axiomatic_postgres::inbox::Handled;

use super::*;
use crate::support::until;

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_that_are_brought_the_same_messages_have_each_effect_once() {
    const MESSAGES: usize = 200;
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let mut tasks = Vec::new();
    for task in 0..16_usize {
        let (inbox, text) = (scene.inbox.clone(), scene.insert());
        let mut client = scene.client().await;
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            for nth in 0..MESSAGES {
                // Half of them go the other way around.
                let id = if task % 2 == 0 {
                    nth
                } else {
                    MESSAGES - 1 - nth
                };
                let paid = message(id.to_string());
                let handled = inbox.handle(&mut client, "bank", &paid, async |tx, _| {
                    insert(tx, &text).await
                });
                done += usize::from(handled.await.unwrap() == Handled::Done(()));
            }
            done
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    assert_eq!(done, MESSAGES);
    assert_eq!(scene.count("account").await, 200);
    assert_eq!(scene.count("inbox_seen").await, 200);
}

/// Each partition has a unique index of its own: no index stands in the way of
/// the second.
#[tokio::test(flavor = "multi_thread")]
async fn repeats_at_the_edge_of_two_partitions_have_one_effect() {
    let narrow = Options::new()
        .partitions_of(Duration::from_millis(250))
        .ahead(NonZeroU32::new(8).expect("8 is not 0"));
    let Some(scene) = Scene::new(config(), narrow).await else {
        return;
    };
    let text = scene.insert();
    let (mut client, mut second) = (scene.client().await, scene.client().await);
    let mut tx = client.transaction().await.unwrap();
    let work = async |tx: &mut Transaction<'_>| insert(tx, &text).await;
    let paid = message("1");
    let first = scene.inbox.once(&mut tx, "bank", &paid, work);
    assert!(!first.await.unwrap().is_duplicate());
    let other = "SELECT div((extract(epoch FROM clock_timestamp()) * 1000)::numeric, 250)::bigint";
    let began = scene.number(other).await;
    until("the time of another partition", async || {
        scene.number(other).await > began
    })
    .await;

    let (inbox, insertion) = (scene.inbox.clone(), text.clone());
    let again = tokio::spawn(async move {
        let again = message("1").attempted(1);
        let again = inbox.handle(&mut second, "bank", &again, async |tx, _| {
            insert(tx, &insertion).await
        });
        again.await.unwrap()
    });
    until("the second waits for the first", async || {
        again.is_finished() || scene.sessions("wait_event = 'advisory'").await == 1
    })
    .await;
    tx.commit().await.unwrap();
    assert_eq!(again.await.unwrap(), Handled::Duplicate);
    let third = message("1").attempted(2);
    let third = scene
        .inbox
        .handle(&mut client, "bank", &third, async |tx, _| {
            insert(tx, &text).await
        });
    assert_eq!(third.await.unwrap(), Handled::Duplicate);
    assert_eq!(scene.count("account").await, 1);
    assert_eq!(scene.count("inbox_seen").await, 1);
}

/// Also while nothing is remembered of the stream yet.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_one_stream_take_turns() {
    const NUMBERS: u64 = 40;
    let policy = Policy::Buffer {
        at_most: NonZeroU32::new(100).expect("100 is not 0"),
        patience: Duration::from_secs(3600),
    };
    let Some(scene) = Scene::new(config().out_of_order(policy), Options::new()).await else {
        return;
    };
    let mut tasks = Vec::new();
    for task in 0..8 {
        let inbox = scene.inbox.clone();
        let text = format!(
            "INSERT INTO {}.account (name) VALUES ($1)",
            scene.place.schema
        );
        let mut client = scene.client().await;
        tasks.push(tokio::spawn(async move {
            for nth in 0..NUMBERS {
                let number = (nth * 7 + task * 5) % NUMBERS + 1;
                let numbered = Delivery::new(number.to_string())
                    .with_broker_id(number.to_string())
                    .attempted(1)
                    .keyed("key")
                    .with_header("outbox-sequence", number.to_string());
                let mut tx = client.transaction().await.unwrap();
                let work = async |tx: &mut Transaction<'_>, of: &Delivery| {
                    let body = std::str::from_utf8(of.body()).unwrap();
                    tx.execute(&text, &[&body]).await.map(drop)
                };
                let ordered = inbox.in_order(&mut tx, "bank", &numbered, work).await;
                assert!(ordered.unwrap().fate.is_acknowledged());
                tx.commit().await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let names = format!(
        "SELECT name FROM {}.account ORDER BY at",
        scene.place.schema
    );
    let names = scene.look.query(&names, &[]).await.unwrap();
    let names: Vec<u64> = names
        .iter()
        .map(|row| row.get::<_, &str>(0).parse().unwrap())
        .collect();
    assert_eq!(names, (1..=NUMBERS).collect::<Vec<_>>());
    assert_eq!(scene.count("inbox_held").await, 0);
}
