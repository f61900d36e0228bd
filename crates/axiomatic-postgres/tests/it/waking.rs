//! Relays hear what other processes commit, and lose nothing when they do not.

use std::time::{Duration, Instant};

use axiomatic_coordination::outbox::WakeUps;
use axiomatic_postgres::Database;
use axiomatic_postgres::outbox::{Notify, Options, Outbox};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use crate::support::{FOR_EVER, Place, until};

/// An outbox whose sessions are called by a name of the test's own.
struct Site {
    outbox: Outbox,
    called: String,
    place: Place,
    client: Client,
}

impl Site {
    async fn find(interval: Duration) -> Option<Site> {
        let place = Place::find().await?;
        let client = place.client().await;
        let called = format!("site of {}", place.schema);
        let outbox = Site::open(&place, &called, Notify::Debounced(interval)).await;
        Some(Site {
            outbox,
            called,
            place,
            client,
        })
    }

    /// The outbox as another process has it.
    async fn open(place: &Place, called: &str, notify: Notify) -> Outbox {
        let mut config: Config = place.url.parse().expect("an address");
        config.application_name(called);
        let database = Database::with_tls(config, NoTls, place.options()).expect("a pool");
        let outbox = Outbox::new(&database, Options::new().notify(notify)).await;
        outbox.expect("there is no relay yet")
    }

    async fn other(&self, notify: Notify) -> Outbox {
        Site::open(&self.place, "another", notify).await
    }

    /// The process ids of the sessions that listen, or that notified.
    async fn sessions(&self, last: &str) -> Vec<i32> {
        let sessions = "SELECT pid FROM pg_stat_activity \
                        WHERE application_name = $1 AND query LIKE $2 || '%'";
        let found = self.client.query(sessions, &[&self.called, &last]).await;
        let found = found.expect("what is there");
        found.iter().map(|row| row.get(0)).collect()
    }

    /// Waits until somebody listens, and returns which session that is.
    async fn listener(&self) -> i32 {
        until("somebody listens", async || {
            !self.sessions("LISTEN").await.is_empty()
        })
        .await;
        self.sessions("LISTEN").await[0]
    }

    /// Whatever is notified on the channel: by whom, and what.
    async fn notifications(&self) -> mpsc::UnboundedReceiver<(i32, String)> {
        let (client, mut session) = tokio_postgres::connect(&self.place.url, NoTls)
            .await
            .expect("PostgreSQL is there");
        let (heard, notifications) = mpsc::unbounded_channel();
        let mut messages = futures::stream::poll_fn(move |cx| session.poll_message(cx));
        tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(said) = message {
                    let _ = heard.send((said.process_id(), said.payload().to_owned()));
                }
            }
        });
        let listen = format!("LISTEN \"{}\"", self.outbox.channel());
        client.batch_execute(&listen).await.expect("it listens");
        // It listens for as long as the client lives.
        tokio::spawn(async move {
            tokio::time::sleep(FOR_EVER * 2).await;
            drop(client);
        });
        notifications
    }
}

async fn hear(wake_ups: &mut WakeUps) {
    let heard = tokio::time::timeout(FOR_EVER, wake_ups.next()).await;
    assert!(heard.is_ok(), "waited for ever to be woken");
}

async fn were_woken(wake_ups: &mut WakeUps) -> bool {
    let woken = tokio::time::timeout(Duration::ZERO, wake_ups.next()).await;
    woken.is_ok()
}

async fn next<T>(notifications: &mut mpsc::UnboundedReceiver<T>) -> T {
    let next = tokio::time::timeout(FOR_EVER, notifications.recv()).await;
    let next = next.expect("waited for ever for a notification");
    next.expect("the session is there")
}

const SHORT: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn relays_of_the_process_are_woken_at_once_also_where_nobody_is_notified() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let off = site.other(Notify::Off).await;
    let mut wake_ups = off.wake_ups();
    assert!(!were_woken(&mut wake_ups).await);
    off.wake();
    assert!(were_woken(&mut wake_ups).await);
    assert!(site.sessions("LISTEN").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_of_another_process_are_woken_by_a_notification() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let mut wake_ups = site.outbox.wake_ups();
    hear(&mut wake_ups).await;
    let producer = site.other(Notify::Debounced(SHORT)).await;
    for _ in 0..3 {
        assert!(!were_woken(&mut wake_ups).await);
        producer.wake();
        hear(&mut wake_ups).await;
    }
    let by_hand = format!("NOTIFY \"{}\"", site.outbox.channel());
    site.client.batch_execute(&by_hand).await.unwrap();
    hear(&mut wake_ups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_does_not_wake_its_own_relays_twice() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let mut notifications = site.notifications().await;
    let mut wake_ups = site.outbox.wake_ups();
    hear(&mut wake_ups).await;
    site.outbox.wake();
    hear(&mut wake_ups).await;
    next(&mut notifications).await;
    // What is notified later is heard later: by then the own one was there.
    let producer = site.other(Notify::Debounced(SHORT)).await;
    producer.wake();
    hear(&mut wake_ups).await;
    assert!(!were_woken(&mut wake_ups).await, "that was the producer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_wakes_is_one_notification_at_once_and_one_an_interval_later() {
    let interval = Duration::from_millis(200);
    let Some(site) = Site::find(interval).await else {
        return;
    };
    let mut notifications = site.notifications().await;
    site.outbox.wake();
    next(&mut notifications).await;
    let began = Instant::now();
    while began.elapsed() < interval * 5 {
        for _ in 0..100 {
            site.outbox.wake();
        }
        tokio::task::yield_now().await;
    }
    let bursts = began.elapsed().as_secs_f64() / interval.as_secs_f64();
    // The last of them is notified at the end of the interval.
    next(&mut notifications).await;
    let mut heard = 1;
    tokio::time::sleep(interval * 2).await;
    while notifications.try_recv().is_ok() {
        heard += 1;
    }
    assert!(heard >= 2, "{heard} in {bursts} intervals");
    let most = bursts.ceil() + 1.0;
    assert!(f64::from(heard) <= most, "{heard} in {bursts} intervals");
    assert!(
        notifications.try_recv().is_err(),
        "nobody wakes, nobody notifies"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_within_the_interval_is_notified_at_its_end() {
    let Some(site) = Site::find(Duration::from_millis(100)).await else {
        return;
    };
    let mut notifications = site.notifications().await;
    for _ in 0..5 {
        // The second comes while the first is on its way, or behind it.
        site.outbox.wake();
        next(&mut notifications).await;
        site.outbox.wake();
        next(&mut notifications).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_wake_is_notified_though_the_outbox_is_dropped() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let mut notifications = site.notifications().await;
    let producer = site.other(Notify::Debounced(HOUR)).await;
    producer.wake();
    let (_, said) = next(&mut notifications).await;
    producer.wake();
    drop(producer);
    assert_eq!(next(&mut notifications).await.1, said, "it was the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_that_notifies_is_not_the_writers_and_not_of_the_pool() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let mut notifications = site.notifications().await;
    let writer: i32 = {
        let row = site.client.query_one("SELECT pg_backend_pid()", &[]).await;
        row.unwrap().get(0)
    };
    // A message commits in a transaction of the user's: nobody is notified.
    let schema = &site.place.schema;
    let enqueue = format!(
        "INSERT INTO {schema}.outbox (lane, message_id, topic, body) \
         VALUES (1, gen_random_uuid(), 'orders', '')"
    );
    site.client.batch_execute(&enqueue).await.unwrap();
    site.outbox.wake();
    let (by, _) = next(&mut notifications).await;
    assert_ne!(by, writer);
    assert_eq!(site.sessions("NOTIFY").await, [by]);
    assert!(notifications.try_recv().is_err(), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_session_was_ended_comes_back_and_wakes_for_what_it_missed() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let mut wake_ups = site.outbox.wake_ups();
    hear(&mut wake_ups).await;
    let producer = site.other(Notify::Debounced(SHORT)).await;
    for _ in 0..3 {
        let session = site.listener().await;
        let end = "SELECT pg_terminate_backend($1, 30000)";
        site.client.query_one(end, &[&session]).await.unwrap();
        // Nobody notifies: it is what it may have missed.
        hear(&mut wake_ups).await;
        assert_ne!(site.listener().await, session);
        producer.wake();
        hear(&mut wake_ups).await;
    }
}

/// The relay must not look before it can hear: what commits between the look
/// and the LISTEN would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_woken_by_a_new_session_hears_all_that_is_notified_from_then_on() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let mut wake_ups = site.outbox.wake_ups();
    let notify = format!("NOTIFY \"{}\"", site.outbox.channel());
    for _ in 0..10 {
        hear(&mut wake_ups).await;
        site.client.batch_execute(&notify).await.unwrap();
        hear(&mut wake_ups).await;
        let session = site.listener().await;
        let end = "SELECT pg_terminate_backend($1)";
        site.client.query_one(end, &[&session]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_whose_session_was_ended_notifies_on_another() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let mut notifications = site.notifications().await;
    site.outbox.wake();
    let (session, _) = next(&mut notifications).await;
    let end = "SELECT pg_terminate_backend($1, 30000)";
    site.client.query_one(end, &[&session]).await.unwrap();
    site.outbox.wake();
    let (other, _) = next(&mut notifications).await;
    assert_ne!(other, session);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_the_last_handle_of_the_outbox() {
    let Some(site) = Site::find(SHORT).await else {
        return;
    };
    let Site {
        outbox,
        called,
        place,
        client,
    } = site;
    let mut wake_ups = outbox.wake_ups();
    hear(&mut wake_ups).await;
    outbox.wake();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    let sessions = async || -> i64 { client.query_one(count, &[&called]).await.unwrap().get(0) };
    let clone = outbox.clone();
    drop(outbox);
    clone.wake();
    assert!(sessions().await > 0);
    drop(clone);
    until("all sessions have ended", async || sessions().await == 0).await;
    drop(place);
}

/// A program may use the outbox on one runtime after the other.
#[test]
fn tasks_begin_anew_on_another_runtime() {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        { runtime }.enable_all().build().unwrap()
    };
    let first = runtime();
    let Some(site) = first.block_on(Site::find(SHORT)) else {
        return;
    };
    let mut wake_ups = site.outbox.wake_ups();
    first.block_on(hear(&mut wake_ups));
    site.outbox.wake();
    drop(first);

    let second = runtime();
    second.block_on(async {
        // The sessions of the test's own ended with the runtime too.
        let site = Site {
            client: site.place.client().await,
            ..site
        };
        let mut notifications = site.notifications().await;
        let mut wake_ups = site.outbox.wake_ups();
        hear(&mut wake_ups).await;
        site.outbox.wake();
        next(&mut notifications).await;
    });
}
