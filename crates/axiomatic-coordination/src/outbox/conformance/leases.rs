//! Leases: one holder, epochs that grow, and a fence in front of every write.

use super::{Bench, LONG, SHORT, StoreSubject, bodies, keyed};
use crate::outbox::lane::Bucket;
use crate::outbox::record::RowId;
use crate::outbox::store::{Departing, Fate, RelayId, Settled, Settlement, Store};

pub(super) async fn suite<S: StoreSubject>(subject: &S) {
    a_bucket_has_one_holder_at_a_time(subject).await;
    a_released_bucket_is_free_at_once_and_its_rows_are_not_suspect(subject).await;
    an_expired_bucket_is_free_and_its_rows_are_suspect(subject).await;
    an_expired_lease_is_not_renewed(subject).await;
    a_lease_that_is_renewed_does_not_expire(subject).await;
    who_lost_a_lease_changes_nothing(subject).await;
    of_two_buckets_the_lost_one_is_refused_and_the_other_settled(subject).await;
    those_who_are_here_are_known_until_they_depart(subject).await;
}

async fn a_bucket_has_one_holder_at_a_time<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let other = RelayId::new("other");
    let all: Vec<_> = bench.buckets().all().collect();
    for relay in [&other, &bench.relay] {
        let claimed = bench.store.claim(relay, &all, LONG).await.expect("a claim");
        assert_eq!(claimed, [], "all are held, also against who holds them");
    }
}

async fn a_released_bucket_is_free_at_once_and_its_rows_are_not_suspect<S: StoreSubject>(
    subject: &S,
) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1)]).await;
    let bucket = Bucket(7);
    let lease = bench.leases[7];
    let released = bench
        .store
        .release(&bench.relay, &[lease], Departing::No)
        .await;
    released.expect("a release");
    let other = RelayId::new("other");
    let claimed = bench
        .store
        .claim(&other, &[bucket], LONG)
        .await
        .expect("a claim");
    assert_eq!(claimed.len(), 1);
    assert!(
        claimed[0].epoch > lease.epoch,
        "every holding has a greater epoch"
    );
    assert_eq!(claimed[0].suspect_through, RowId::default());
    // The one who had it cannot give it back for the other.
    let released = bench
        .store
        .release(&bench.relay, &[lease], Departing::No)
        .await;
    released.expect("a release of what is not held does nothing");
    let claimed = bench.store.claim(&bench.relay, &[bucket], LONG).await;
    assert_eq!(claimed.expect("a claim"), []);
}

async fn an_expired_bucket_is_free_and_its_rows_are_suspect<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1)]).await;
    let row = bench.ready().await[0].row;
    let lease = bench.lease(bench.ready().await[0].lane);
    let kept = bench.store.renew(&bench.relay, &[lease], SHORT).await;
    assert_eq!(kept.expect("a renewal"), [lease.bucket]);
    let other = RelayId::new("other");
    let claimed = bench.claim_when_free(&other, &[lease.bucket], LONG).await;
    assert!(claimed[0].epoch > lease.epoch);
    assert!(
        claimed[0].suspect_through >= row,
        "what waited may have been in flight"
    );
    // Given back in order, what is suspect stays so, and what comes is not.
    let released = bench.store.release(&other, &claimed, Departing::Yes).await;
    released.expect("a release");
    bench.commit([keyed("a", 2)]).await;
    let again = bench
        .store
        .claim(&other, &[lease.bucket], LONG)
        .await
        .expect("a claim");
    assert_eq!(again[0].suspect_through, claimed[0].suspect_through);
    assert!(bench.ready().await[1].row > again[0].suspect_through);
}

async fn an_expired_lease_is_not_renewed<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let lease = bench.leases[3];
    let mut kept = bench
        .store
        .renew(&bench.relay, &[lease], SHORT)
        .await
        .expect("a renewal");
    while !kept.is_empty() {
        subject.pass(SHORT * 2).await;
        // As short as it can be, so that it expires before the next look.
        kept = bench
            .store
            .renew(&bench.relay, &[lease], SHORT / 60)
            .await
            .expect("a renewal");
    }
    let late = bench.store.renew(&bench.relay, &[lease], LONG).await;
    assert_eq!(late.expect("a renewal"), [], "expired stays expired");
}

async fn a_lease_that_is_renewed_does_not_expire<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let kept = bench.store.renew(&bench.relay, &bench.leases, SHORT).await;
    assert_eq!(kept.expect("a renewal").len(), bench.leases.len());
    let kept = bench.store.renew(&bench.relay, &bench.leases, LONG).await;
    let kept = kept.expect("a renewal");
    subject.pass(SHORT * 2).await;
    let later = bench.store.renew(&bench.relay, &bench.leases, LONG).await;
    assert_eq!(later.expect("a renewal"), kept);
}

async fn who_lost_a_lease_changes_nothing<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1)]).await;
    let stored = &bench.ready().await[0];
    let lease = bench.lease(stored.lane);
    let kept = bench.store.renew(&bench.relay, &[lease], SHORT).await;
    assert_eq!(kept.expect("a renewal").len(), 1);
    let other = RelayId::new("other");
    let claimed = bench.claim_when_free(&other, &[lease.bucket], SHORT).await;
    let zombie = &bench.relay;
    for _ in 0..2 {
        let settled = bench
            .settle_as(zombie, lease, stored, Fate::Published)
            .await;
        assert_eq!(settled, [], "a late settlement is refused");
        let started = bench.start_as(zombie, lease, stored).await;
        assert_eq!(started, [], "so is a late start");
        // The same relay under a forged epoch, and the other under an old one.
        let settled = bench
            .settle_as(zombie, claimed[0], stored, Fate::Published)
            .await;
        assert_eq!(settled, [], "the owner is compared, not only the epoch");
        let settled = bench
            .settle_as(&other, lease, stored, Fate::Published)
            .await;
        assert_eq!(settled, [], "the epoch is compared, not only the owner");
        assert_eq!(bench.ready().await[0], *stored, "nothing has changed");
        // In the second round the other's has expired too: nobody holds it.
        subject.pass(SHORT * 2).await;
    }
    let settled = bench
        .settle_as(&other, claimed[0], stored, Fate::Published)
        .await;
    assert_eq!(
        settled,
        [],
        "the expiry is compared, although nobody took it"
    );
    assert_eq!(bench.ready().await[0], *stored);
    // Won again by the one who had lost it, it is another lease.
    let again = bench.claim_when_free(zombie, &[lease.bucket], LONG).await;
    assert_eq!(
        bench
            .settle_as(zombie, lease, stored, Fate::Published)
            .await,
        []
    );
    let settled = bench
        .settle_as(zombie, again[0], stored, Fate::Published)
        .await;
    assert_eq!(settled, [lease.bucket]);
    assert!(bench.ready().await.is_empty());
}

async fn of_two_buckets_the_lost_one_is_refused_and_the_other_settled<S: StoreSubject>(
    subject: &S,
) {
    let bench = Bench::new(subject).await;
    bench
        .commit((0..64).map(|n| keyed(&format!("key {n}"), n)))
        .await;
    let ready = bench.ready().await;
    let buckets = bench.buckets();
    let first = &ready[0];
    let second = ready
        .iter()
        .find(|stored| buckets.of(stored.lane) != buckets.of(first.lane));
    let second = second.expect("64 keys are in more than one bucket");
    let lost = bench.lease(first.lane);
    let released = bench
        .store
        .release(&bench.relay, &[lost], Departing::No)
        .await;
    released.expect("a release");
    let fates = [first, second].map(|stored| Settlement {
        lease: bench.lease(stored.lane),
        rows: vec![Settled {
            row: stored.row,
            lane: stored.lane,
            fate: Fate::Published,
        }],
    });
    let kept = bench
        .store
        .settle(&bench.relay, &fates)
        .await
        .expect("a settlement");
    assert_eq!(kept, [buckets.of(second.lane)]);
    let left = bodies(&bench.ready().await);
    assert!(left.contains(&bodies(std::slice::from_ref(first))[0]));
    assert!(!left.contains(&bodies(std::slice::from_ref(second))[0]));
}

async fn those_who_are_here_are_known_until_they_depart<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let relays = ["a", "b", "c"].map(RelayId::new);
    let attend = async |relay: &RelayId, ttl| {
        let mut there = bench.store.attend(relay, ttl).await.expect("attendance");
        there.sort_unstable();
        there
    };
    assert_eq!(attend(&relays[0], LONG).await, relays[..1]);
    assert_eq!(attend(&relays[1], LONG).await, relays[..2]);
    assert_eq!(attend(&relays[2], SHORT).await.len(), 3);
    let departed = bench.store.release(&relays[1], &[], Departing::Yes).await;
    departed.expect("a departure");
    while attend(&relays[0], LONG).await.len() > 1 {
        subject.pass(SHORT / 4).await;
    }
    bench.store.tidy().await.expect("tidying");
    assert_eq!(attend(&relays[0], LONG).await, relays[..1]);
}
