//! Laws of what is written of a saga.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::{
    BRIEF, LONG, SHORT, Subject, append, appends, change, claims, due_ids, end, end_of, ends,
    executor, finds, held, held_by, leases, letter, loads, log, posts, reads, record, releases,
    saga_in, saga_outside, start, starts, takes, writes,
};
use crate::saga::{Append, Appended, Kind, Lease, Record, SagaId, Stage, Started, Store, Wake};

/// Of all kinds, with texts and numbers of all sizes, one at a time and many.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn records_are_kept_in_order_and_to_the_byte<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let saga = saga_in(lease.bucket);
    let mut first = start(saga);
    first.held = Some((lease.clone(), change([])));
    assert_eq!(starts(&subject, &first).await, Started::Held);

    let all_bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let datas = [
        Bytes::new(),
        Bytes::from_static(b"null"),
        Bytes::from_static("\"é\\n\u{2028}'\u{1f600}\\u0000\"".as_bytes()),
        all_bytes.into(),
    ];
    let steps = ["", "book", "ümläut 'quoted' \" \\ %", "\u{1f600}"];
    let mut records = Vec::new();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        records.push(Record {
            kind,
            // Neither their order nor that of the data is the log's.
            step: steps[(number * 3) % 4].into(),
            item: [0, 1, u32::MAX][number % 3],
            attempt: [u32::MAX, 0, 1, 2][number % 4],
            data: datas[(number + 1) % 4].clone(),
            mail: (number % 5 == 0).then(Uuid::now_v7),
        });
    }
    let mut after = 0;
    // Pieces of one, of several, and of none.
    for size in [1, 1, 0, 5, 0, 8] {
        let piece = records[after..after + size].iter().cloned();
        let next = append(saga, after as u64, change(piece));
        writes(&subject, &lease, &next).await;
        after += size;
    }
    assert_eq!(after, records.len());
    assert_eq!(log(&subject, saga).await, records);
    let loaded = loads(&subject, &lease, saga).await;
    assert_eq!(loaded.records, finds(&subject, saga).await.records);
    let times = loaded.records.iter().map(|recorded| recorded.at);
    assert!(times.is_sorted(), "time goes on");
}

/// Whether it was followed, has ended though nobody followed, was given back,
/// is another's, or is of another bucket.
///
/// # Panics
///
/// If the law is broken.
pub async fn nothing_is_appended_for_a_lease_that_is_lost<S: Subject>() {
    let subject = S::fresh().await;
    let lost = async |lease: &Lease, saga: SagaId| {
        let before = finds(&subject, saga).await;
        let mut change = end(Stage::Done);
        // Not even what would be a conflict is one.
        for after in [before.records.len() as u64, 9] {
            let next = append(saga, after, change.clone());
            let appended = appends(&subject, lease, &next).await;
            assert_eq!(appended, Appended::Lost, "{lease:?}");
            change.records.clear();
        }
        assert_eq!(finds(&subject, saga).await, before, "{lease:?}");
    };
    let ended = leases(&subject, SagaId::unique(), BRIEF).await;
    let saga = held_by(&subject, &ended).await;
    end_of(&subject, BRIEF).await;
    lost(&ended, saga).await;
    let released = leases(&subject, saga, LONG).await;
    releases(&subject, &released).await;
    lost(&released, saga).await;

    let lease = leases(&subject, saga, LONG).await;
    lost(&ended, saga).await;
    lost(&released, saga).await;
    let mut forged = lease.clone();
    forged.owner = executor();
    lost(&forged, saga).await;
    let mut forged = lease.clone();
    forged.epoch.0 += 1;
    lost(&forged, saga).await;
    forged.epoch = ended.epoch;
    lost(&forged, saga).await;
    let outside = leases(&subject, saga_outside(lease.bucket), LONG).await;
    lost(&outside, saga).await;
    // Who holds it writes, though it was never taken.
    ends(&subject, &lease, saga, Stage::Done).await;
}

/// Too far, not far enough, at a saga that has ended or is not there.
///
/// # Panics
///
/// If the law is broken.
pub async fn an_append_elsewhere_is_a_conflict<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let next = append(saga, 1, change([record(Kind::Done, "book")]));
    writes(&subject, &lease, &next).await;
    let posted = letter("stays");
    posts(&subject, saga, &posted).await;
    let conflicts = async |append: &Append| {
        let appended = appends(&subject, &lease, append).await;
        assert_eq!(appended, Appended::Conflict, "{append:?}");
    };
    let before = finds(&subject, saga).await;
    let other = |after| {
        let mut other = append(saga, after, change([record(Kind::Failed, "book")]));
        other.change.stage = Stage::Unwinding;
        other.change.result = Some(Bytes::from_static(b"another"));
        other.change.wake = Wake::In(Duration::ZERO);
        other.read = 1;
        other
    };
    for after in [0, 1, 3, u64::from(u32::MAX), i64::MAX as u64] {
        conflicts(&other(after)).await;
    }
    assert_eq!(finds(&subject, saga).await, before);

    conflicts(&append(saga_in(lease.bucket), 0, change([]))).await;
    for stage in [Stage::Done, Stage::Compensated, Stage::Abandoned] {
        let ended = held_by(&subject, &lease).await;
        ends(&subject, &lease, ended, stage).await;
        let before = finds(&subject, ended).await;
        conflicts(&append(ended, 2, change([record(Kind::Resumed, "")]))).await;
        conflicts(&append(ended, 2, change([]))).await;
        conflicts(&append(ended, 1, change([record(Kind::Failed, "book")]))).await;
        assert_eq!(finds(&subject, ended).await, before);
    }
}

/// As when the answer to the first was lost: also if letters were read, and if
/// it was the saga's end.
///
/// # Panics
///
/// If the law is broken.
pub async fn an_append_asked_again_is_one<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let letters = [letter("one"), letter("two")];
    for letter in &letters {
        posts(&subject, saga, letter).await;
    }
    let again = async |append: &Append| {
        writes(&subject, &lease, append).await;
        let once = finds(&subject, saga).await;
        for _ in 0..2 {
            writes(&subject, &lease, append).await;
            assert_eq!(finds(&subject, saga).await, once);
        }
    };
    let records = [record(Kind::Done, "book"), record(Kind::Began, "charge")];
    again(&append(saga, 1, change(records))).await;
    again(&reads(saga, 3, &letters[0])).await;
    assert_eq!(finds(&subject, saga).await.mail, letters[1..]);
    // The same line as before is another, in its place.
    again(&append(saga, 4, change([record(Kind::Began, "charge")]))).await;
    again(&append(saga, 5, change([record(Kind::Began, "charge")]))).await;
    assert_eq!(log(&subject, saga).await.len(), 6);
    // What is the same but for one thing is not the same.
    let mut other = append(saga, 5, change([record(Kind::Began, "charge")]));
    other.change.records[0].data = Bytes::from_static(b"1");
    let appended = appends(&subject, &lease, &other).await;
    assert_eq!(appended, Appended::Conflict);
    again(&append(saga, 6, end(Stage::Done))).await;
    assert_eq!(log(&subject, saga).await.len(), 7);
    // And whoever has lost the lease hears that, and not that it was done.
    releases(&subject, &lease).await;
    let late = append(saga, 6, end(Stage::Done));
    assert_eq!(appends(&subject, &lease, &late).await, Appended::Lost);
}

/// A change that sets no result leaves the one that there is.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_change_sets_the_stage_and_the_result<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let mut last = None;
    let results: [Option<&'static [u8]>; 7] = [
        None,
        Some(b"first"),
        None,
        Some("\u{1f600} 'why' \0".as_bytes()),
        Some(b""),
        None,
        Some(b"{}"),
    ];
    let mut before = finds(&subject, saga).await.summary;
    let stages = [
        Stage::Running,
        Stage::Parked,
        Stage::Running,
        Stage::Stuck,
        Stage::Unwinding,
        Stage::Parked,
        Stage::Compensated,
    ];
    for (stage, result) in stages.into_iter().zip(results) {
        subject.elapse(Duration::from_millis(2)).await;
        let mut next = append(saga, 1, change([]));
        next.change.stage = stage;
        next.change.result = result.map(Bytes::from_static);
        writes(&subject, &lease, &next).await;
        last = result.map(Bytes::from_static).or(last);
        let summary = finds(&subject, saga).await.summary;
        assert_eq!((summary.stage, &summary.result), (stage, &last));
        assert_eq!(summary.started, before.started);
        assert!(summary.changed > before.changed, "{summary:?}");
        if !stage.is_end() {
            assert_eq!(loads(&subject, &lease, saga).await.stage, stage);
        }
        before = summary;
    }
}

/// Not before, and not at all while it is held or after it has ended.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_saga_is_due_when_the_change_says<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let leases = [lease.clone()];
    let waking = |wake| {
        let mut next = append(saga, 1, change([]));
        next.change.wake = wake;
        next
    };
    writes(&subject, &lease, &waking(Wake::In(Duration::ZERO))).await;
    assert_eq!(due_ids(&subject, &leases).await, [saga]);
    // Whoever writes may change his mind.
    for wake in [Wake::In(LONG), Wake::In(Duration::MAX), Wake::Held] {
        writes(&subject, &lease, &waking(Wake::In(Duration::ZERO))).await;
        writes(&subject, &lease, &waking(wake)).await;
        let taken = takes(&subject, &leases, 10).await;
        assert_eq!((taken.sagas.len(), taken.more), (0, false), "{wake:?}");
        match wake {
            Wake::In(LONG) => {
                let next = taken.next.expect("it is due some day");
                assert!(next <= LONG && next > LONG / 2, "{next:?}");
            }
            _ => assert_eq!(taken.next, None, "{wake:?}"),
        }
    }
    writes(&subject, &lease, &waking(Wake::In(BRIEF))).await;
    let next = takes(&subject, &leases, 10).await.next;
    assert!(next.is_none_or(|next| next <= BRIEF), "{next:?}");
    end_of(&subject, BRIEF).await;
    if next.is_some() {
        assert_eq!(due_ids(&subject, &leases).await, [saga]);
    }
    // By whoever has the bucket then.
    writes(&subject, &lease, &waking(Wake::In(SHORT))).await;
    releases(&subject, &lease).await;
    end_of(&subject, SHORT).await;
    let followers = claims(&subject, &executor(), &[lease.bucket], LONG).await;
    assert_eq!(due_ids(&subject, &followers).await, [saga]);
    // The end is the end, whatever the change says.
    let mut last = append(saga, 1, end(Stage::Done));
    last.change.wake = Wake::In(Duration::ZERO);
    writes(&subject, &followers[0], &last).await;
    let none = takes(&subject, &followers, 10).await;
    assert_eq!((none.sagas.len(), none.more, none.next), (0, false, None));
    releases(&subject, &followers[0]).await;
    let next = claims(&subject, &executor(), &[lease.bucket], LONG).await;
    assert_eq!(due_ids(&subject, &next).await, []);
    let stands = subject.store().find(saga).await.unwrap();
    assert!(stands.is_some(), "until it is swept");
}
