//! What is moved to the archive.

use super::races::begin;
use super::*;

/// A saga with all that there may be of it, and one with as little as may be;
/// with bytes and names that would be mangled by what is not careful.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_in_the_archive() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let awkward = "{\"a\", NULL} \\ ' ü";
    let (full, lease) = scene.held(&leases).await;
    let mut records = Vec::new();
    for number in 0..5u32 {
        let mut record = record(Kind::Done, if number % 2 == 0 { awkward } else { "" });
        record.item = u32::MAX - number;
        record.attempt = number;
        record.data = match number {
            0 => Bytes::new(),
            _ => vec![0, 1, b'\\', b'"', b',', 0xff, number as u8].into(),
        };
        record.mail = (number == 3).then(|| letter(1).id);
        records.push(record);
    }
    for number in 1..4 {
        let mut letter = letter(number);
        letter.name = awkward.into();
        letter.data = vec![0, b'}', number as u8].into();
        assert_eq!(scene.post(full, &letter).await, Posted::Accepted);
    }
    let mut end = change(records);
    end.stage = Stage::Abandoned;
    end.result = Some(vec![0, 0xff].into());
    let append = Append {
        saga: full,
        after: 1,
        change: end,
        read: 1,
    };
    assert_eq!(scene.append(&lease, &append).await, Appended::Held);

    // Ended with its start, and without a line.
    let bare = SagaId::unique();
    let mut start = start_held(bare, &lease_of(&leases, bare));
    let (_, change) = start.held.as_mut().expect("it is held");
    change.records.clear();
    change.stage = Stage::Done;
    start.input = Bytes::new();
    start.definition.version = u32::MAX;
    assert_eq!(scene.store.start(&start).await.unwrap(), Started::Held);

    let found = async |saga| scene.store.find(saga).await.expect("an answer");
    let kept = [found(full).await, found(bare).await];
    let full_one = kept[0].as_ref().expect("it is there");
    assert_eq!((full_one.records.len(), full_one.mail.len()), (6, 2));
    let swept = scene.store.sweep(Duration::ZERO, Swept::Archived, 10).await;
    assert_eq!(swept.unwrap(), 2);
    let left = "SELECT (SELECT count(*) FROM {schema}.saga) \
                + (SELECT count(*) FROM {schema}.saga_event) \
                + (SELECT count(*) FROM {schema}.saga_mail)";
    assert_eq!(scene.number(left).await, 0);
    assert_eq!([found(full).await, found(bare).await], kept);
    // An operator reads it as it is, and empties it by time.
    let lines = format!(
        "SELECT count(*) FROM {{schema}}.saga_archive v, unnest(v.log_kind, v.log_step, \
         v.log_data, v.log_at) l(kind, step, data, at) WHERE v.saga = '{full}' \
         AND l.kind = 'done' AND v.ended <= now()"
    );
    assert_eq!(scene.number(&lines).await, 5);
    scene
        .execute("DELETE FROM {schema}.saga_archive WHERE ended <= now()")
        .await;
    assert_eq!([found(full).await, found(bare).await], [None, None]);
}

/// It is in the one place or in the other, for all who look, and if the server
/// ends in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_saga_is_archived_as_it_is_deleted() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    let mut last = line(saga, 1, "b");
    last.change.stage = Stage::Done;
    assert_eq!(scene.append(&lease, &last).await, Appended::Held);
    let found = async || scene.store.find(saga).await.expect("an answer");
    let kept = found().await;
    let archived = "SELECT count(*) FROM {schema}.saga_archive";
    let mut rival = scene.place.client().await;
    for breaks in [true, false] {
        let lock = format!("SELECT FROM {{schema}}.saga_event WHERE saga = '{saga}' FOR UPDATE");
        let tx = begin(&scene, &mut rival, &lock).await;
        let store = scene.store.clone();
        let sweeping = tokio::spawn(async move {
            loop {
                match store.sweep(Duration::ZERO, Swept::Archived, 10).await {
                    // It may have had the connection that broke before.
                    Err(error) if !breaks && error.why().is_transient() => {}
                    swept => return swept,
                }
            }
        });
        scene.until_one_waits_for_a_lock().await;
        assert_eq!(scene.number(archived).await, 0, "it is there still");
        assert_eq!(found().await, kept);
        if breaks {
            let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE application_name = '{schema}' AND wait_event_type = 'Lock'";
            assert_eq!(scene.number(end).await, 1);
        }
        tx.rollback().await.expect("ends");
        let swept = sweeping.await.expect("no panic");
        match breaks {
            true => assert!(swept.is_err()),
            false => assert_eq!(swept.unwrap(), 1),
        }
        assert_eq!(scene.number(archived).await, i64::from(!breaks));
        assert_eq!(found().await, kept);
    }
}
