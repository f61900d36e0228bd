//! Rows: what is enqueued, how it is found, and what becomes of it.

use std::collections::HashSet;

use super::{Bench, LONG, SHORT, StoreSubject, bodies, by_key, keyed};
use crate::MessageId;
use crate::outbox::lane::Lane;
use crate::outbox::message::Message;
use crate::outbox::publisher::Class;
use crate::outbox::store::{Cause, Failure, Fate};
use crate::outbox::{CloudEvent, Sequence, TraceContext};

pub(super) async fn suite<S: StoreSubject>(subject: &S) {
    what_commits_waits_and_what_is_rolled_back_does_not(subject).await;
    what_was_written_comes_back(subject).await;
    the_oldest_of_a_key_come_first_and_no_more_than_asked_for(subject).await;
    going_on_from_where_a_fetch_ended_finds_everything_once(subject).await;
    looking_at_few_lanes_finds_everything_in_the_end(subject).await;
    only_lanes_of_the_leases_are_looked_at(subject).await;
    busy_lanes_are_left_out(subject).await;
    what_is_published_is_gone_and_said_twice_is_no_harm(subject).await;
    what_is_tried_again_waits_with_its_whole_key(subject).await;
    what_is_not_charged_is_not_counted(subject).await;
    what_is_buried_is_out_of_the_way(subject).await;
    what_is_parked_stays_so(subject).await;
    starts_are_counted_until_an_attempt_ends(subject).await;
    ordered_messages_are_numbered_without_a_gap(subject).await;
    row_numbers_are_not_used_again(subject).await;
}

fn failure(error: &str) -> Failure {
    Failure {
        cause: Cause::Rejected(Class::Permanent),
        error: error.into(),
    }
}

async fn what_commits_waits_and_what_is_rolled_back_does_not<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    assert!(bench.ready().await.is_empty(), "a fresh store is empty");
    bench
        .commit([keyed("a", "committed"), Message::new("topic", "no key")])
        .await;
    let phantom = vec![keyed("a", "phantom")];
    subject.roll_back(&bench.store, phantom).await;
    let mut ready = bench.ready_bodies().await;
    ready.sort_unstable();
    assert_eq!(ready, ["committed", "no key"]);
}

async fn what_was_written_comes_back<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = TraceContext::parse(parent)
        .expect("a traceparent")
        .with_state("a=1");
    let full = Message::new("topic", vec![0, 159, 146, 150])
        .with_id(MessageId::from_u128(u128::MAX - 7))
        .keyed("clé 'quoted' \"\\")
        .of_tenant("ténant")
        .with_header("content-type", "text/plain; charset=\"utf-8\"")
        .with_header("twice", "1")
        .with_header("twice", "2")
        .event(&CloudEvent::new("/source", "type").about("subject"))
        .traced(trace);
    let empty = Message::new("", "");
    bench.commit([full.clone(), empty.clone()]).await;
    let ready = bench.ready().await;
    for message in [full, empty] {
        let found = ready
            .iter()
            .find(|stored| stored.message.id() == message.id());
        let found = found.expect("every message is found by its id");
        assert_eq!(found.message, message);
        assert_eq!(found.lane, message.lane());
        assert_eq!(
            (found.failures, found.started, found.sequence),
            (0, 0, None)
        );
    }
}

async fn the_oldest_of_a_key_come_first_and_no_more_than_asked_for<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    for n in 0..5 {
        bench.commit([keyed("a", n), keyed("b", n)]).await;
    }
    let fetched = bench.fetch(1000, 3, Lane::LAST, &[]).await;
    let keys = by_key(&fetched.rows);
    assert_eq!(keys["a"], ["0", "1", "2"]);
    assert_eq!(keys["b"], ["0", "1", "2"]);
    let fetched = bench.fetch(4, 3, Lane::LAST, &[]).await;
    assert_eq!(fetched.rows.len(), 4, "not more than asked for");
}

async fn going_on_from_where_a_fetch_ended_finds_everything_once<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let messages = (0..40).map(|n| keyed(&format!("key {n}"), n));
    bench.commit(messages).await;
    let (mut after, mut found) = (Lane::LAST, Vec::new());
    for _ in 0..10 {
        let fetched = bench.fetch(4, 1, after, &[]).await;
        assert_eq!(fetched.rows.len(), 4);
        after = fetched.reached.expect("it found something");
        found.extend(bodies(&fetched.rows));
    }
    let different: HashSet<_> = found.iter().collect();
    assert_eq!(
        (found.len(), different.len()),
        (40, 40),
        "each once in one round"
    );
    let fetched = bench.fetch(4, 1, after, &[]).await;
    assert_eq!(
        bodies(&fetched.rows),
        found[..4],
        "and then again from the first"
    );
}

async fn looking_at_few_lanes_finds_everything_in_the_end<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench
        .commit((0..12).map(|n| keyed(&format!("key {n}"), n)))
        .await;
    let (mut after, mut found) = (Lane::LAST, HashSet::new());
    for _ in 0..12 {
        let fetch = crate::outbox::Fetch {
            leases: &bench.leases,
            after,
            busy: &[],
            rows: 100,
            per_lane: 1,
            lanes: 5,
        };
        let fetched = crate::outbox::Store::fetch(&bench.store, &fetch)
            .await
            .expect("a fetch");
        assert!(fetched.rows.len() <= 5);
        assert!(!fetched.came_round, "5 of 12 lanes are not all");
        after = fetched.reached.expect("it looked at something");
        found.extend(bodies(&fetched.rows));
    }
    assert_eq!(found.len(), 12);
}

async fn only_lanes_of_the_leases_are_looked_at<S: StoreSubject>(subject: &S) {
    let mut bench = Bench::new(subject).await;
    bench
        .commit((0..64).map(|n| keyed(&format!("key {n}"), n)))
        .await;
    let all = bench.ready().await;
    let buckets = bench.buckets();
    bench.leases.retain(|lease| lease.bucket.0 % 3 == 1);
    let some = bench.ready().await;
    let expected = all
        .iter()
        .filter(|stored| buckets.of(stored.lane).0 % 3 == 1);
    let expected: HashSet<_> = expected.map(|stored| stored.row).collect();
    let found: HashSet<_> = some.iter().map(|stored| stored.row).collect();
    assert_eq!(found, expected);
    assert!(!found.is_empty());
}

async fn busy_lanes_are_left_out<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench
        .commit(["a", "b", "c"].map(|key| keyed(key, key)))
        .await;
    let mut busy = ["a", "c"].map(|key| Lane::of_key(None, key));
    busy.sort_unstable();
    let fetched = bench.fetch(10, 10, Lane::LAST, &busy).await;
    assert_eq!(bodies(&fetched.rows), ["b"]);
    assert!(fetched.came_round);
}

async fn what_is_published_is_gone_and_said_twice_is_no_harm<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1), keyed("a", 2)]).await;
    let ready = bench.ready().await;
    for _ in 0..2 {
        assert!(
            bench.settle(&ready[0], Fate::Published).await,
            "the lease is held"
        );
        assert_eq!(bench.ready_bodies().await, ["2"]);
    }
}

async fn what_is_tried_again_waits_with_its_whole_key<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench
        .commit([keyed("a", 1), keyed("a", 2), keyed("b", 3)])
        .await;
    let first = &bench
        .fetch(1, 1, Lane::of_key(None, "a").before(), &[])
        .await
        .rows[0];
    assert_eq!(bodies(std::slice::from_ref(first)), ["1"]);
    let again = |after| Fate::Again {
        after,
        failure: Some(failure("no")),
    };
    assert!(bench.settle(first, again(LONG)).await);
    assert_eq!(
        bench.ready_bodies().await,
        ["3"],
        "nothing overtakes it, others go on"
    );
    assert!(bench.settle(first, again(SHORT)).await);
    assert!(bench.settle(&bench.ready().await[0], Fate::Published).await);
    let ready = bench.until_ready().await;
    assert_eq!(bodies(&ready), ["1", "2"]);
    assert_eq!(ready[0].failures, 2);
    assert_eq!(ready[1].failures, 0);
}

async fn what_is_not_charged_is_not_counted<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1)]).await;
    let ready = bench.ready().await;
    let failure = None;
    let after = SHORT;
    assert!(
        bench
            .settle(&ready[0], Fate::Again { after, failure })
            .await
    );
    assert_eq!(bench.until_ready().await[0].failures, 0);
}

async fn what_is_buried_is_out_of_the_way<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1), keyed("a", 2)]).await;
    let ready = bench.ready().await;
    assert!(bench.settle(&ready[0], Fate::Buried(failure("no"))).await);
    assert_eq!(bench.ready_bodies().await, ["2"]);
}

async fn what_is_parked_stays_so<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1), keyed("b", 2)]).await;
    let of_a = bench.ready().await;
    let of_a = of_a.iter().find(|stored| stored.message.key() == Some("a"));
    let of_a = of_a.expect("it is ready");
    assert!(bench.settle(of_a, Fate::Parked(failure("no"))).await);
    bench.commit([keyed("a", 3)]).await;
    subject.pass(SHORT).await;
    assert_eq!(bench.ready_bodies().await, ["2"], "also what came later");
}

async fn starts_are_counted_until_an_attempt_ends<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1)]).await;
    let stored = &bench.ready().await[0];
    let lease = bench.lease(stored.lane);
    for started in 1..=3 {
        let before = &bench.ready().await[0];
        // Once more, as by a relay to which the answer was lost.
        for _ in 0..2 {
            assert_eq!(
                bench.start_as(&bench.relay, lease, before).await,
                [lease.bucket]
            );
            assert_eq!(bench.ready().await[0].started, started);
        }
    }
    let failure = None;
    let after = SHORT;
    assert!(bench.settle(stored, Fate::Again { after, failure }).await);
    assert_eq!(bench.until_ready().await[0].started, 0);
}

async fn ordered_messages_are_numbered_without_a_gap<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let ordered = |n: u32| keyed("a", n).ordered();
    bench.commit([ordered(0), keyed("a", 1), ordered(2)]).await;
    subject.roll_back(&bench.store, vec![ordered(99)]).await;
    bench
        .commit([ordered(3), Message::new("topic", "4").ordered()])
        .await;
    let ready = bench.ready().await;
    let of_a = ready.iter().filter(|stored| stored.message.key().is_some());
    let numbers: Vec<_> = of_a.map(|stored| stored.sequence).collect();
    let Some(Sequence {
        number,
        first: true,
    }) = numbers[0]
    else {
        panic!("the first of a key says so: {numbers:?}");
    };
    assert!(number > 0, "0 is no number: consumers begin before it");
    let next = |more| {
        Some(Sequence {
            number: number + more,
            first: false,
        })
    };
    assert_eq!(numbers[1..], [None, next(1), next(2)]);
    // Of another tenant, it is another key.
    bench.commit([ordered(5).of_tenant("other")]).await;
    let ready = bench.ready().await;
    let other = ready
        .iter()
        .find(|stored| stored.message.tenant().is_some());
    assert!(
        other
            .and_then(|stored| stored.sequence)
            .is_some_and(|sequence| sequence.first)
    );
}

async fn row_numbers_are_not_used_again<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let mut last = None;
    for n in 0..3 {
        bench.commit([keyed("a", n)]).await;
        let stored = &bench.ready().await[0];
        assert!(
            Some(stored.row) > last,
            "{last:?} and then {:?}",
            stored.row
        );
        last = Some(stored.row);
        assert!(bench.settle(stored, Fate::Published).await);
    }
}
