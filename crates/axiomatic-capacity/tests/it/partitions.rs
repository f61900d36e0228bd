//! What is guaranteed, what is shared, and what is lent.

use std::sync::Arc;

use axiomatic_capacity::bulkhead::{
    Ask, Bulkhead, Config, Order, OwnedPermit, Partitions, Sharing, WhenFull,
};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Ratio, Reason, Rejected};
use tower::{Layer, Service, ServiceExt};

use crate::support::{Held, SECOND, Wakes, place, poll, slots};

/// Ten slots, five of them for checkout and two for search.
fn shop(sharing: Sharing) -> [Bulkhead; 3] {
    let bulkhead = Config::new(slots(10))
        .when_full(WhenFull::Wait {
            max_waiting: 4,
            max_wait: SECOND,
            order: Order::Fifo,
        })
        .clock(Clock::Manual(ManualClock::new()))
        .partitions(
            Partitions::new(sharing)
                .with("checkout", Ratio::percent(50))
                .with("search", Ratio::percent(20)),
        )
        .build()
        .unwrap();
    let within = |name: &'static str| bulkhead.within(bulkhead.partition(name).unwrap());
    [within("checkout"), within("search"), bulkhead]
}

fn fill(bulkhead: &Bulkhead) -> Vec<OwnedPermit> {
    std::iter::from_fn(|| bulkhead.admit_owned(Ask::default()).ok()).collect()
}

#[test]
fn reserved_slots_are_kept_and_there_is_never_one_call_too_many() {
    let [checkout, search, all] = shop(Sharing::Reserved);
    let greedy = fill(&search);
    assert_eq!(greedy.len(), 5, "its two, and the three that are for all");
    assert!(all.admit().is_err());
    let rest = fill(&checkout);
    assert_eq!(rest.len(), 5);
    let snapshot = all.snapshot();
    assert_eq!((snapshot.in_flight(), snapshot.limit()), (10, 10));
    let partitions: Vec<_> = snapshot
        .partitions()
        .iter()
        .map(|one| (one.name.as_str(), one.guaranteed, one.in_flight))
        .collect();
    assert_eq!(partitions, [("checkout", 5, 5), ("search", 2, 5)]);
    assert!(
        snapshot
            .to_string()
            .ends_with("; checkout: 5, 5 guaranteed; search: 5, 2 guaranteed")
    );
}

/// Netflix's limiter lets 10 become 17 so, and says it nowhere.
#[test]
fn borrowed_slots_are_lent_and_a_guarantee_is_good_at_once_on_top() {
    let [checkout, search, all] = shop(Sharing::Borrowing);
    let greedy = fill(&all);
    assert_eq!(greedy.len(), 10, "nothing is left unused");
    let guaranteed = (fill(&checkout).len(), fill(&search).len());
    assert_eq!(guaranteed, (5, 2));
    let owed = (fill(&checkout), fill(&search));
    assert_eq!(
        all.snapshot().in_flight(),
        17,
        "ten, and all that is guaranteed"
    );
    drop(greedy);
    assert_eq!(all.snapshot().in_flight(), 7);
    assert_eq!(fill(&all).len(), 3);
    drop(owed);
}

/// A slot has no name: what a partition gives back first is what it had beyond
/// its guarantee.
#[test]
fn a_partition_gives_back_what_is_for_all_before_what_is_its_own() {
    let [checkout, search, all] = shop(Sharing::Reserved);
    let mut greedy = fill(&search);
    assert!(all.admit().is_err());
    // The first that ends is one of the guaranteed two, by its history.
    drop(greedy.remove(0));
    assert_eq!(fill(&all).len(), 1);
    drop(greedy.split_off(2));
    assert_eq!(fill(&all).len(), 3);
    let heavy = checkout.admit_weighing(slots(8)).unwrap();
    assert!(
        all.admit().is_err(),
        "five of its own and the three for all"
    );
    drop(heavy);
    assert!(all.admit_weighing(slots(3)).is_ok());
}

#[test]
fn shares_follow_the_limit_and_what_is_in_flight_is_counted_anew() {
    let [checkout, search, all] = shop(Sharing::Reserved);
    let mut held = fill(&checkout);
    assert_eq!(held.len(), 8, "five and three");
    // 50 % of 4 is 2 and 20 % is none: two are for all.
    all.resize(slots(4));
    assert_eq!(all.snapshot().in_flight(), 8);
    for _ in 0..5 {
        assert!(all.admit().is_err() && search.admit().is_err() && checkout.admit().is_err());
        held.pop();
    }
    // Three are left: two within the guarantee, one of the two for all.
    assert!(checkout.admit_weighing(slots(2)).is_err());
    assert_eq!(fill(&search).len(), 1);
    all.resize(slots(20));
    assert_eq!(fill(&search).len(), 10, "four and six");
    assert_eq!(fill(&checkout).len(), 13, "seven and six");
    drop(held);
    assert_eq!(all.snapshot().in_flight(), 0);
}

#[test]
fn a_partition_whose_line_is_full_takes_nobody_elses_places() {
    let [checkout, search, all] = shop(Sharing::Reserved);
    let _greedy = fill(&search);
    let mut flood: Vec<_> = (0..4).map(|_| place(&search, Ask::default())).collect();
    let refused = search.admit_or_wait(Ask::default()).unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull);
    let rest = fill(&checkout);
    let wakes = Arc::<Wakes>::default();
    let mut patient = place(&checkout, Ask::default());
    // What becomes free of its own is its own, whoever has waited longer.
    drop(rest);
    assert!(poll(&mut patient, &wakes).is_ready());
    assert!(flood.iter_mut().all(|one| poll(one, &wakes).is_pending()));
    let mut last = None;
    assert!(all.admit_or_wait(Ask::default()).is_ok_and(|admission| {
        last = Some(admission);
        true
    }));
    drop(last);
    drop(flood);
    assert_eq!(all.snapshot().waiting(), 0);
}

#[tokio::test]
async fn requests_enter_the_partition_that_the_layer_is_told() {
    let [checkout, _, all] = shop(Sharing::Reserved);
    let partition = all.partition("checkout");
    assert_eq!(all.partition("checkin"), None);
    let held = Held::new();
    let layer = all
        .layer()
        .with_error::<Rejected>()
        .partitioned(move |path: &&str| partition.filter(|_| path.starts_with("/pay")));
    let mut service = layer.layer(held.service());
    let mut calls = Vec::new();
    for path in ["/pay/1", "/pay/2", "/look"] {
        let mut call = Box::pin(service.ready().await.unwrap().call(path));
        assert!(futures::poll!(&mut call).is_pending());
        calls.push(call);
    }
    let snapshot = checkout.snapshot();
    assert_eq!(snapshot.partitions()[0].in_flight, 2);
    assert_eq!(snapshot.in_flight(), 3);
}
