//! What an operator asks of the outbox, and is promised. Rows are made by
//! hand, so that each is what the test says.

use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{
    Backlog, Bucket, Buckets, Cause, Class, Holding, Ids, Lane, Message, Operate, RelayId, Replay,
    RowId, Scope, WakeUps,
};
use axiomatic_postgres::outbox::{Options, Outbox};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::support::{Place, until};

/// An outbox of the test's own, and a connection to look at it.
struct Desk {
    outbox: Outbox,
    client: Client,
    place: Place,
}

impl Desk {
    async fn find() -> Option<Desk> {
        let place = Place::find().await?;
        let outbox = Outbox::new(&place.database(), Options::new()).await;
        Some(Desk {
            outbox: outbox.expect("there is no relay yet"),
            client: place.client().await,
            place,
        })
    }

    /// Executes a statement on the schema, which stands in it as `{s}`.
    async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> u64 {
        let sql = sql.replace("{s}", &self.place.schema);
        let done = self.client.execute(&sql, params).await;
        done.expect("what is asked for")
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = sql.replace("{s}", &self.place.schema);
        let row = self.client.query_one(&sql, &[]).await;
        row.expect("a number").get(0)
    }

    /// A message that waits, with some attempts behind it.
    async fn put(&self, message: &Message) {
        let body: &[u8] = message.body();
        let put = "INSERT INTO {s}.outbox (lane, message_id, topic, key, tenant, body, failures, \
                   started) VALUES ($1, $2::text::uuid, $3, $4, $5, $6, 3, 2)";
        let values: [&(dyn ToSql + Sync); 6] = [
            &message.lane().to_stored(),
            &message.id().to_string(),
            &message.topic(),
            &message.key(),
            &message.tenant(),
            &body,
        ];
        self.execute(put, &values).await;
    }

    /// A dead letter or a row of the archive, as a settlement would move it.
    async fn put_away(&self, table: &str, row: i64, number: i64, message: &Message) {
        let body: &[u8] = message.body();
        let more = match table {
            "outbox_dead" => (
                "cause, error, since",
                "'too large', 'no', clock_timestamp()",
            ),
            _ => ("published_at", "clock_timestamp()"),
        };
        let put = format!(
            "INSERT INTO {{s}}.{table} (id, lane, message_id, topic, key, tenant, body, sequence, \
             first, failures, started, enqueued_at, {}) VALUES ($1, $2, $3::text::uuid, $4, $5, \
             $6, $7, $8::int8, $8::int8 = 1, 5, 1, clock_timestamp(), {})",
            more.0, more.1
        );
        let values: [&(dyn ToSql + Sync); 8] = [
            &row,
            &message.lane().to_stored(),
            &message.id().to_string(),
            &message.topic(),
            &message.key(),
            &message.tenant(),
            &body,
            &message.is_ordered().then_some(number),
        ];
        self.execute(&put, &values).await;
    }

    /// A lane waits for so many seconds, or for an operator.
    async fn block(&self, lane: Lane, seconds: Option<f64>, error: &str) {
        let block = "INSERT INTO {s}.outbox_lane VALUES \
            ($1, clock_timestamp() + make_interval(secs => $2), 'transient', $3, clock_timestamp())";
        let values: [&(dyn ToSql + Sync); 3] = [&lane.to_stored(), &seconds, &error];
        self.execute(block, &values).await;
    }

    /// What waits, in the order of the rows.
    async fn waiting(&self) -> Vec<(String, i32, i32)> {
        let waiting = "SELECT convert_from(body, 'UTF8'), failures, started \
                       FROM {s}.outbox ORDER BY id";
        let waiting = waiting.replace("{s}", &self.place.schema);
        let rows = self.client.query(&waiting, &[]).await.expect("rows");
        let row = |row: &tokio_postgres::Row| (row.get(0), row.get(1), row.get(2));
        rows.iter().map(row).collect()
    }

    async fn bodies(&self) -> Vec<String> {
        let waiting = self.waiting().await;
        waiting.into_iter().map(|(body, ..)| body).collect()
    }
}

/// A message of a key; its body says which.
fn message(key: &str, body: &'static str) -> Message {
    Message::new("orders", body).keyed(key)
}

fn lane(key: &str) -> Lane {
    Lane::of_key(None, key)
}

/// Whether relays were woken since the last time.
async fn were_woken(wake_ups: &mut WakeUps) -> bool {
    let woken = tokio::time::timeout(Duration::ZERO, wake_ups.next()).await;
    woken.is_ok()
}

fn wake_ups(outbox: &Outbox) -> WakeUps {
    outbox.wake_ups()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_says_what_waits_for_whom_and_for_how_long() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let nothing = desk.outbox.backlog().await.unwrap();
    assert_eq!(nothing, Backlog::default());

    for (key, body) in [
        ("parked", "1"),
        ("parked", "2"),
        ("blocked", "3"),
        ("was blocked", "4"),
    ] {
        desk.put(&message(key, body)).await;
    }
    desk.block(lane("parked"), None, "never").await;
    desk.block(lane("blocked"), Some(3600.0), "no").await;
    desk.block(lane("was blocked"), Some(-1.0), "no").await;
    let dead = message("given up", "5");
    desk.put_away("outbox_dead", 5, 1, &dead).await;
    let age = "UPDATE {s}.outbox SET enqueued_at = enqueued_at - make_interval(secs => $2) \
               WHERE body = $1";
    desk.execute(age, &[&&b"1"[..], &9000.0]).await;
    desk.execute(age, &[&&b"3"[..], &100.0]).await;

    let backlog = desk.outbox.backlog().await.unwrap();
    let expected = Backlog {
        messages: 4,
        parked: 2,
        parked_lanes: 1,
        blocked_lanes: 1,
        dead: 1,
        lag: backlog.lag,
    };
    assert_eq!(backlog, expected);
    // The oldest that waits for no operator is the one that is blocked.
    let lag = backlog.lag.as_secs();
    assert!((100..8000).contains(&lag), "{lag}");
    desk.execute("DELETE FROM {s}.outbox WHERE body NOT IN ('1', '2')", &[])
        .await;
    assert_eq!(desk.outbox.backlog().await.unwrap().lag, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_known_with_what_is_left_of_their_leases() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    desk.execute("DELETE FROM {s}.outbox_lease", &[]).await;
    let leases = "INSERT INTO {s}.outbox_lease VALUES \
        (0, 7, 'mine', clock_timestamp() + interval '1 hour', 0), \
        (1, 8, 'late', clock_timestamp() - interval '1 hour', 0), \
        (2, 9, NULL, '-infinity', 0), (3, 1, NULL, clock_timestamp() + interval '1 hour', 0)";
    desk.execute(leases, &[]).await;
    let holdings = desk.outbox.leases().await.unwrap();
    let left = holdings[0].left;
    assert!(left > Duration::from_secs(1800) && left <= Duration::from_secs(3600));
    let holding = |bucket, epoch, owner: Option<&str>, left| Holding {
        bucket: Bucket(bucket),
        epoch: axiomatic_coordination::outbox::Epoch(epoch),
        owner: owner.map(RelayId::from_stored),
        left,
    };
    let expected = [
        holding(0, 7, Some("mine"), left),
        holding(1, 8, Some("late"), Duration::ZERO),
        holding(2, 9, None, Duration::ZERO),
        holding(3, 1, None, Duration::ZERO),
    ];
    assert_eq!(holdings, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_known_until_it_is_resumed() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let scopes = [
        Scope::All,
        Scope::Bucket(Bucket(9)),
        Scope::Tenant("north".into()),
        Scope::Topic("bills".into()),
    ];
    for scope in &scopes {
        desk.outbox.pause(scope).await.unwrap();
        desk.outbox.pause(scope).await.unwrap();
    }
    assert_eq!(desk.outbox.paused().await.unwrap(), scopes);
    let mut wake_ups = wake_ups(&desk.outbox);
    for scope in &scopes {
        assert!(desk.outbox.resume(scope).await.unwrap());
        assert!(
            were_woken(&mut wake_ups).await,
            "there may be something to do"
        );
        assert!(
            !desk.outbox.resume(scope).await.unwrap(),
            "it is not paused"
        );
        were_woken(&mut wake_ups).await;
    }
    assert_eq!(desk.outbox.paused().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_waits_and_why_and_lets_it_go_on() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let first = message("key", "first").of_tenant("north");
    let second = message("key", "second").of_tenant("north");
    for message in [
        &first,
        &second,
        &message("other", "third"),
        &message("free", "fourth"),
    ] {
        desk.put(message).await;
    }
    desk.block(first.lane(), None, "never").await;
    desk.block(lane("other"), Some(3600.0), "no").await;
    desk.block(lane("free"), Some(-1.0), "it has ended").await;

    let waiting = desk.outbox.peek(9).await.unwrap();
    let seen: Vec<_> = waiting
        .iter()
        .map(|waiting| {
            let blocked = waiting.blocked.as_ref();
            (
                waiting.stored.row.0,
                blocked.map(|blocked| (&*blocked.error, blocked.left.is_none())),
            )
        })
        .collect();
    let never = Some(("never", true));
    assert_eq!(
        seen,
        [(1, never), (2, never), (3, Some(("no", false))), (4, None)]
    );
    assert_eq!(waiting[0].stored.message, first);
    assert_eq!(
        (waiting[0].stored.failures, waiting[0].stored.started),
        (3, 2)
    );
    let first_two = desk.outbox.peek(2).await.unwrap();
    assert_eq!(first_two, waiting[..2]);

    let blocked = desk.outbox.blocked(9).await.unwrap();
    assert_eq!(blocked.len(), 2, "one has ended");
    assert_eq!(blocked[0], *waiting[0].blocked.as_ref().unwrap());
    assert_eq!(blocked[0].cause, Some(Cause::Rejected(Class::Transient)));
    let left = blocked[1].left.expect("it is not parked").as_secs();
    assert!((1800..=3600).contains(&left), "{left}");
    assert_eq!(desk.outbox.blocked(1).await.unwrap().len(), 1);

    let mut wake_ups = wake_ups(&desk.outbox);
    assert!(desk.outbox.unblock(first.lane()).await.unwrap());
    assert!(were_woken(&mut wake_ups).await);
    assert!(
        !desk.outbox.unblock(first.lane()).await.unwrap(),
        "it is ready"
    );
    let attempts: Vec<_> = desk
        .waiting()
        .await
        .into_iter()
        .map(|row| (row.1, row.2))
        .collect();
    assert_eq!(
        attempts,
        [(0, 0), (3, 2), (3, 2), (3, 2)],
        "the first has all its attempts"
    );
    assert_eq!(desk.outbox.peek(1).await.unwrap()[0].blocked, None);
}

/// A settlement holds the lease's row, changes the message and then the lane.
/// Whoever unblocks waits for it before it holds anything.
#[tokio::test(flavor = "multi_thread")]
async fn an_unblocking_waits_for_a_settlement_and_neither_is_a_deadlock() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let message = message("key", "first");
    desk.put(&message).await;
    desk.block(message.lane(), None, "never").await;
    let bucket = i32::from(Buckets::default().of(message.lane()).0);
    desk.execute(
        "INSERT INTO {s}.outbox_lease VALUES ($1::int4, 1, 'relay', 'infinity', 0) \
         ON CONFLICT (bucket) DO UPDATE SET owner = 'relay'",
        &[&bucket],
    )
    .await;
    let mut relay = desk.place.client().await;
    let settling = relay.transaction().await.unwrap();
    let schema = &desk.place.schema;
    let held = format!("SELECT FROM {schema}.outbox_lease WHERE bucket = {bucket} FOR SHARE");
    settling.batch_execute(&held).await.unwrap();
    let row = format!("UPDATE {schema}.outbox SET failures = failures + 1");
    settling.batch_execute(&row).await.unwrap();

    let (outbox, lane) = (desk.outbox.clone(), message.lane());
    let unblocking = tokio::spawn(async move { outbox.unblock(lane).await });
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND query LIKE '%{schema}%FOR UPDATE%' AND pid <> pg_backend_pid()"
    );
    until("the unblocking waits", async || {
        desk.number(&waits).await == 1
    })
    .await;
    let error = format!("UPDATE {schema}.outbox_lane SET error = 'again'");
    settling
        .batch_execute(&error)
        .await
        .expect("nobody holds the lane");
    settling.commit().await.unwrap();
    assert!(unblocking.await.unwrap().unwrap());
    assert_eq!(desk.waiting().await, [("first".to_owned(), 0, 0)]);
    assert_eq!(desk.outbox.blocked(9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_wait_again_behind_all_others_or_are_thrown_away() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let letters = ["a", "b", "c"].map(|body| message("key", body).ordered());
    for (row, letter) in (-3..).zip(&letters) {
        desk.put_away("outbox_dead", row, row + 4, letter).await;
    }
    desk.put(&message("key", "d")).await;
    let mut wake_ups = wake_ups(&desk.outbox);
    let dead = desk.outbox.dead(9).await.unwrap();
    let seen = dead.iter().map(|dead| (dead.stored.row.0, dead.cause));
    let too_large = Cause::Rejected(Class::TooLarge);
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [(-3, too_large), (-2, too_large), (-1, too_large)]
    );
    assert_eq!(dead[0].stored.message, letters[0]);
    assert_eq!(desk.outbox.dead(2).await.unwrap(), dead[..2]);
    let discarded = desk.outbox.discard(&[RowId(-1), RowId(9), RowId(-1)]).await;
    assert_eq!(discarded.unwrap(), 1);
    assert!(!were_woken(&mut wake_ups).await);

    let again = [RowId(-2), RowId(-3), RowId(-3), RowId(-1)];
    assert_eq!(desk.outbox.requeue(&again).await.unwrap(), 2);
    assert!(were_woken(&mut wake_ups).await);
    assert_eq!(desk.outbox.requeue(&again).await.unwrap(), 0);
    assert_eq!(desk.outbox.requeue(&[]).await.unwrap(), 0);
    assert_eq!(desk.outbox.dead(9).await.unwrap(), []);
    assert_eq!(
        desk.bodies().await,
        ["d", "a", "b"],
        "behind, and in their order"
    );
    let waiting = desk.outbox.peek(9).await.unwrap();
    for (waiting, letter) in waiting[1..].iter().zip(&dead) {
        assert_eq!(waiting.stored.message, letter.stored.message);
        assert_eq!(waiting.stored.sequence, letter.stored.sequence);
        assert_eq!(waiting.stored.lane, letter.stored.lane);
        assert_eq!((waiting.stored.failures, waiting.stored.started), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_many_requeue_at_once_waits_once() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let letters: Vec<_> = (0..200)
        .map(|n| message("key", "again").with_id(MessageId::from_u128(n)))
        .collect();
    for (row, letter) in (1..).zip(&letters) {
        desk.put_away("outbox_dead", row, 1, letter).await;
    }
    let rows: Vec<_> = (1..=200).map(RowId).collect();
    let requeueing = (0..6).map(|nth| {
        let (outbox, mut rows) = (desk.outbox.clone(), rows.clone());
        if nth % 2 == 0 {
            rows.reverse();
        }
        tokio::spawn(async move { outbox.requeue(&rows).await })
    });
    let mut requeued = 0;
    for done in requeueing.collect::<Vec<_>>() {
        requeued += done.await.unwrap().expect("no deadlock");
    }
    assert_eq!(requeued, 200);
    let waiting = desk.outbox.peek(999).await.unwrap();
    let ids: Vec<_> = waiting
        .iter()
        .map(|waiting| waiting.stored.message.id())
        .collect();
    assert_eq!(
        ids,
        letters.iter().map(Message::id).collect::<Vec<_>>(),
        "in their order"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_is_published_once_more_piece_by_piece() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let published = ["a", "b", "c"].map(|body| message("key", body).ordered());
    for (row, message) in (1..).zip(&published) {
        desk.put_away("outbox_archive", row, row, message).await;
    }
    let bill = Message::new("bills", "bill");
    desk.put_away("outbox_archive", 4, 0, &bill).await;

    let mut what = Replay {
        topic: Some("orders".into()),
        ..Replay::default()
    };
    let mut wake_ups = wake_ups(&desk.outbox);
    let mut pieces = Vec::new();
    while let Some(last) = desk.outbox.replay(&what, 2).await.unwrap() {
        pieces.push(last.0);
        what.after = last;
    }
    assert_eq!(pieces, [2, 3]);
    assert!(were_woken(&mut wake_ups).await);
    let waiting = desk.outbox.peek(9).await.unwrap();
    for (waiting, old) in waiting.iter().zip(&published) {
        assert_eq!(waiting.stored.message, *old, "with the same ids");
        assert_eq!((waiting.stored.failures, waiting.stored.started), (0, 0));
    }
    let numbers = waiting
        .iter()
        .map(|waiting| waiting.stored.sequence.map(|s| (s.number, s.first)));
    assert_eq!(
        numbers.collect::<Vec<_>>(),
        [Some((1, true)), Some((2, false)), Some((3, false))]
    );
    desk.execute("DELETE FROM {s}.outbox", &[]).await;

    let as_new = Replay {
        key: Some("key".into()),
        ids: Ids::New,
        ..Replay::default()
    };
    let reached = desk.outbox.replay(&as_new, 9).await.unwrap();
    assert_eq!(reached, Some(RowId(3)));
    let waiting = desk.outbox.peek(9).await.unwrap();
    assert_eq!(desk.bodies().await, ["a", "b", "c"]);
    for (new, old) in waiting.iter().zip(&published) {
        assert_ne!(new.stored.message.id(), old.id());
        assert_eq!((new.stored.lane, new.stored.sequence), (old.lane(), None));
    }
    let nothing = Replay {
        topic: Some("nobody's".into()),
        ..Replay::default()
    };
    assert_eq!(desk.outbox.replay(&nothing, 9).await.unwrap(), None);
    assert_eq!(
        desk.outbox.replay(&Replay::default(), 0).await.unwrap(),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_keys_that_are_replayed_as_new_have_lanes_of_their_own() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    for row in 1..=3 {
        let bill = Message::new("bills", "bill");
        desk.put_away("outbox_archive", row, 0, &bill).await;
    }
    let as_new = Replay {
        ids: Ids::New,
        ..Replay::default()
    };
    desk.outbox.replay(&as_new, 9).await.unwrap();
    let waiting = desk.outbox.peek(9).await.unwrap();
    assert_eq!(waiting.len(), 3);
    for waiting in waiting {
        assert_eq!(waiting.stored.lane, waiting.stored.message.lane());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_looks_at_so_much_of_the_archive_and_says_where_to_go_on() {
    let Some(desk) = Desk::find().await else {
        return;
    };
    let archive = "INSERT INTO {s}.outbox_archive (id, lane, message_id, topic, body, failures, \
            started, enqueued_at, published_at) \
        SELECT n, n, gen_random_uuid(), CASE n WHEN 20500 THEN 'rare' ELSE 'orders' END, '', 0, \
            0, clock_timestamp(), clock_timestamp() FROM generate_series(1, 25000) n";
    desk.execute(archive, &[]).await;
    for (topic, expected, messages) in [
        (Some("rare"), &[10_000, 20_000, 20_500][..], 1),
        (None, &[10_000, 20_000, 25_000], 25_000),
    ] {
        let mut what = Replay {
            topic: topic.map(Into::into),
            ids: Ids::New,
            ..Replay::default()
        };
        let mut pieces = Vec::new();
        while let Some(last) = desk.outbox.replay(&what, 50_000).await.unwrap() {
            pieces.push(last.0);
            what.after = last;
        }
        assert_eq!(pieces, expected);
        let waiting = "SELECT count(DISTINCT message_id) FROM {s}.outbox";
        assert_eq!(desk.number(waiting).await, messages);
        desk.execute("DELETE FROM {s}.outbox", &[]).await;
    }
}
