//! One for each key.

use std::pin::pin;

use axiomatic_capacity::bulkhead::{Ask, Config, KeyedBulkhead};
use axiomatic_core::keyed::WhenFull as WhenCrowded;
use axiomatic_core::{Mode, Reason, Rejected};
use tower::{Layer, Service, ServiceExt};

use crate::support::{Held, MILLI, SECOND, slots, waiting};

fn tenants(each: u32, cap: u32, when_full: WhenCrowded) -> KeyedBulkhead<String> {
    KeyedBulkhead::new(
        Config::new(slots(each)).named("tenants"),
        slots(cap),
        when_full,
    )
    .unwrap()
}

#[test]
fn a_key_that_is_full_takes_nothing_from_the_others() {
    let tenants = tenants(2, 10, WhenCrowded::Refuse);
    let busy: Vec<_> = (0..2)
        .map(|_| tenants.admit("slow", Ask::default()).unwrap())
        .collect();
    let refused = tenants.admit("slow", Ask::default()).unwrap_err();
    assert_eq!(
        (refused.reason(), refused.name().as_str()),
        (Reason::Full, "tenants")
    );
    assert!(tenants.admit("quick", Ask::default()).is_ok());
    drop(busy);
    assert!(tenants.admit("slow", Ask::default()).is_ok());
}

#[test]
fn keys_in_use_keep_their_places_and_idle_ones_give_them_up() {
    let tenants = tenants(1, 2, WhenCrowded::Refuse);
    let busy = tenants.admit("a", Ask::default()).unwrap();
    let handle = tenants.bulkhead("b").unwrap();
    assert_eq!(
        tenants.admit("c", Ask::default()).unwrap_err().reason(),
        Reason::Full
    );
    assert_eq!(tenants.evict_idle(), 0);
    drop(handle);
    assert!(tenants.admit("c", Ask::default()).is_ok());
    // Not a new one without what is in flight.
    assert!(tenants.admit("a", Ask::default()).is_err());
    drop(busy);
    assert_eq!(tenants.evict_idle(), 2);
}

#[test]
fn without_a_place_a_key_shares_is_refused_or_passes_as_was_chosen() {
    let shared = tenants(1, 1, WhenCrowded::Shared);
    let _first = shared.admit("a", Ask::default()).unwrap();
    let _second = shared.admit("b", Ask::default()).unwrap();
    assert!(shared.admit("c", Ask::default()).is_err(), "b and c share");
    let admitted = tenants(1, 1, WhenCrowded::Admit);
    let _first = admitted.admit("a", Ask::default()).unwrap();
    let unseen = [(); 3].map(|()| admitted.admit("b", Ask::default()).unwrap());
    drop(unseen);
}

#[test]
fn a_new_limit_reaches_every_key_at_once_and_those_that_come_later() {
    let tenants = tenants(1, 10, WhenCrowded::Refuse);
    let _busy = tenants.admit("old", Ask::default()).unwrap();
    tenants.resize(slots(2));
    let _second = tenants.admit("old", Ask::default()).unwrap();
    assert!(tenants.admit("old", Ask::default()).is_err());
    assert!(
        tenants
            .admit("new", Ask::default().weighing(slots(2)))
            .is_ok()
    );
    let mut limits = Vec::new();
    tenants.for_each(|_, bulkhead| limits.push(bulkhead.snapshot().limit()));
    assert_eq!(limits, [2, 2]);
}

#[test]
fn in_shadow_and_off_nobody_is_refused() {
    let tenants = tenants(1, 10, WhenCrowded::Refuse);
    tenants.set_mode(Mode::Shadow);
    let _both = [(); 2].map(|()| tenants.admit("a", Ask::default()).unwrap());
    assert_eq!(tenants.would_refuse(), 1);
    tenants.set_mode(Mode::Off);
    assert!(tenants.admit("a", Ask::default()).is_ok());
    tenants.set_mode(Mode::Enforce);
    assert!(tenants.admit("a", Ask::default()).is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_slot_of_their_own_key() {
    let config = Config::new(slots(1)).when_full(waiting(Default::default()));
    let tenants: KeyedBulkhead<u32> =
        KeyedBulkhead::new(config, slots(10), WhenCrowded::Refuse).unwrap();
    let held = Held::new();
    let layer = tenants
        .queued_layer(|tenant: &u32| *tenant)
        .with_error::<Rejected>();
    let mut service = layer.layer(held.service());
    let mut first = pin!(service.ready().await.unwrap().call(1));
    let mut second = pin!(service.ready().await.unwrap().call(1));
    let mut other = pin!(service.ready().await.unwrap().call(2));
    for call in [first.as_mut(), second.as_mut(), other.as_mut()] {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(held.called(), 2);
    // One with somebody waiting is in use.
    assert_eq!(tenants.evict_idle(), 0);
    held.let_end(3);
    tokio::time::timeout(SECOND, first).await.unwrap().unwrap();
    tokio::time::timeout(MILLI, second).await.unwrap().unwrap();
    other.await.unwrap();
    assert_eq!(tenants.evict_idle(), 2);
}
