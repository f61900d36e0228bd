//! What is due, in its order, whatever is due when in which bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use axiomatic_coordination::saga::{BUCKETS, Lease, SagaId, Store};
use proptest::prelude::*;

use super::scene::{Scene, letter, start};
use crate::scene::HOUR;

/// Since when, or in how many hours, a saga is due; and by mail since when.
#[derive(Clone, Copy, Debug)]
struct Due {
    time: Option<i64>,
    mail: Option<i64>,
    is_held: bool,
}

fn due() -> impl Strategy<Value = Due> {
    let time = prop_oneof![3 => (1_i64..40).prop_map(Some), 1 => Just(None)];
    let mail = prop_oneof![1 => (1_i64..40).prop_map(Some), 2 => Just(None)];
    (time, mail, any::<bool>()).prop_map(|(time, mail, is_held)| Due {
        time,
        mail,
        is_held: is_held && time.is_none(),
    })
}

impl Due {
    fn since(self) -> Option<i64> {
        self.time.into_iter().chain(self.mail).min()
    }
}

/// Begins sagas that are due so.
async fn stage(scene: &Scene, due: &[Due]) -> BTreeMap<SagaId, Due> {
    let mut sagas = BTreeMap::new();
    for due in due {
        let saga = SagaId::unique();
        scene.sagas.start(&start(saga)).await.unwrap();
        if due.mail.is_some() {
            scene.sagas.post(saga, &letter("go")).await.unwrap();
        }
        let never = (!due.is_held).then_some(i64::MAX);
        let set = "UPDATE saga SET wake = ?2, mailed = ?3 WHERE saga = ?1";
        let values = (saga.0.as_bytes(), due.time.or(never), due.mail);
        scene.place.look().execute(set, values).unwrap();
        sagas.insert(saga, *due);
    }
    sagas
}

async fn run(due: Vec<Due>, at_most: usize, mut held: Vec<u16>) {
    let scene = Scene::new();
    let mut sagas = stage(&scene, &due).await;
    let all = scene.claim_all().await;
    held.sort_unstable();
    held.dedup();
    // A claim makes due what somebody had: that is another test's.
    for (saga, due) in &sagas {
        if due.is_held {
            let set = "UPDATE saga SET wake = NULL WHERE saga = ?1";
            let set = scene.place.look().execute(set, [saga.0.as_bytes()]);
            set.unwrap();
        }
    }
    let leases: Vec<Lease> = held
        .iter()
        .map(|place| all[usize::from(*place)].clone())
        .collect();
    sagas.retain(|saga, due| held.contains(&saga.bucket().0) && due.since().is_some());
    loop {
        let expected = {
            let mut expected: Vec<_> = sagas.iter().map(|(id, due)| (due.since(), *id)).collect();
            expected.sort_by_key(|(since, _)| *since);
            expected
        };
        let taken = scene.sagas.take(&leases, at_most, HOUR).await.unwrap();
        let given: Vec<_> = taken
            .sagas
            .iter()
            .map(|saga| saga.as_ref().unwrap())
            .collect();
        let since = given.iter().map(|loaded| sagas[&loaded.saga].since());
        let since: Vec<_> = since.collect();
        let first: Vec<_> = expected
            .iter()
            .take(at_most)
            .map(|(since, _)| *since)
            .collect();
        assert_eq!(since, first, "the longest due first");
        assert_eq!(taken.more, expected.len() > at_most);
        assert_eq!(taken.next, None);
        if given.is_empty() {
            break;
        }
        for loaded in given {
            let due = sagas.remove(&loaded.saga).unwrap();
            assert_eq!(loaded.loads, u32::from(!due.is_held));
            assert_eq!(loaded.mail.len(), usize::from(due.mail.is_some()));
            // As if its mail was read.
            let read = "UPDATE saga SET mailed = NULL WHERE saga = ?1";
            let read = scene.place.look().execute(read, [loaded.saga.0.as_bytes()]);
            read.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_longest_due_of_all_held_buckets_are_taken_first(
        due in prop::collection::vec(due(), 0..40),
        at_most in 1_usize..8,
        held in prop::collection::vec(0..BUCKETS.count(), 1..64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(run(due, at_most, held));
    }
}

#[tokio::test]
async fn who_has_taken_all_is_told_when_the_next_is_due() {
    let scene = Scene::new();
    let leases = scene.claim_all().await;
    let next = async |at_most| {
        let taken = scene.sagas.take(&leases, at_most, HOUR).await.unwrap();
        (taken.sagas.len(), taken.more, taken.next)
    };
    assert_eq!(next(5).await, (0, false, None));
    let sagas = [(); 4].map(|()| SagaId::unique());
    for saga in sagas {
        scene.sagas.start(&start(saga)).await.unwrap();
    }
    let sleep = |saga: SagaId, hours: i64| {
        let sleep = "UPDATE saga SET wake = unixepoch() * 1000000 + ?2 * 3600000000 \
                     WHERE saga = ?1";
        let slept = scene
            .place
            .look()
            .execute(sleep, (saga.0.as_bytes(), hours));
        assert_eq!(slept.unwrap(), 1);
    };
    sleep(sagas[2], 9);
    sleep(sagas[3], 5);
    let in_hours = |next: Option<Duration>| next.map(|next| next.as_secs().div_ceil(3600));
    let (taken, more, later) = next(1).await;
    assert_eq!((taken, more, in_hours(later)), (1, true, Some(5)));
    let (taken, more, later) = next(1).await;
    assert_eq!((taken, more, in_hours(later)), (1, false, Some(5)));
    let (taken, more, later) = next(1).await;
    assert_eq!((taken, more, in_hours(later)), (0, false, Some(5)));
    sleep(sagas[3], -1);
    let (taken, more, later) = next(0).await;
    assert_eq!((taken, more, in_hours(later)), (0, true, Some(9)));
}
