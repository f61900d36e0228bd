//! Laws of what is said to sagas.

use std::slice::from_ref;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::{
    About, BRIEF, LONG, Subject, append, change, due, due_ids, end_of, ends, finds, held, held_by,
    leases_all, letter, loads, posts, reads, record, releases, start, starts, takes, waiting,
    writes,
};
use crate::saga::{Kind, Mail, Posted, SagaId, Stage, Started, Store, Swept, Wake};

/// Of all subjects, with texts of all sizes, whether the saga waits, runs or
/// sleeps.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn letters_keep_their_order_and_every_byte<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let all_bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let datas = [
        Bytes::new(),
        Bytes::from_static("{\"é\":\"'\u{2028}\u{1f600}\"}".as_bytes()),
        all_bytes.into(),
    ];
    let names = ["", "paid", "ümläut 'quoted' \" \\ %"];
    let letters = About::ALL.into_iter().enumerate().map(|(number, subject)| {
        // Their ids are not in the order in which they are posted.
        let id = Uuid::from_u128(u128::MAX - number as u128 * 77);
        let name = names[number % 3].into();
        let data = datas[(number * 2) % 3].clone();
        Mail {
            id,
            subject,
            name,
            data,
        }
    });
    let letters: Vec<_> = letters.collect();
    let saga = waiting(&subject).await;
    let lease = super::lease_of(&all, saga);
    posts(&subject, saga, &letters[0]).await;
    assert_eq!(due(&subject, &all).await[0].mail, letters[..1]);
    posts(&subject, saga, &letters[1]).await;
    let mut sleeps = append(saga, 0, change([]));
    sleeps.change.wake = Wake::In(LONG);
    writes(&subject, lease, &sleeps).await;
    for letter in &letters[2..] {
        posts(&subject, saga, letter).await;
    }
    assert_eq!(loads(&subject, lease, saga).await.mail, letters);
    assert_eq!(finds(&subject, saga).await.mail, letters);
    let due = due(&subject, &all).await;
    assert_eq!((due.len(), &due[0].mail), (1, &letters));
    // Nobody else has got them.
    let other = held_by(&subject, lease).await;
    assert_eq!(loads(&subject, lease, other).await.mail, []);
}

/// While it waits, when it was read, and when the saga has ended since. For
/// another saga it is another.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_letter_posted_again_is_one<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let letters = [letter("one"), letter("two")];
    for number in [0, 0, 1, 0, 1] {
        posts(&subject, saga, &letters[number]).await;
    }
    // What it is known by is its id, whatever else is said.
    let mut altered = letters[0].clone();
    altered.data = Bytes::from_static(b"2");
    posts(&subject, saga, &altered).await;
    assert_eq!(finds(&subject, saga).await.mail, letters);
    writes(&subject, &lease, &reads(saga, 1, &letters[0])).await;
    posts(&subject, saga, &letters[0]).await;
    assert_eq!(finds(&subject, saga).await.mail, letters[1..]);
    writes(&subject, &lease, &reads(saga, 2, &letters[1])).await;
    let other = held_by(&subject, &lease).await;
    posts(&subject, other, &letters[0]).await;
    assert_eq!(finds(&subject, other).await.mail, letters[..1]);

    posts(&subject, saga, &letters[1]).await;
    let none = due_ids(&subject, from_ref(&lease)).await;
    assert_eq!(none, [other], "it was read, and makes nothing due");
    writes(&subject, &lease, &append(saga, 3, super::end(Stage::Done))).await;
    posts(&subject, saga, &letters[1]).await;
    assert_eq!(finds(&subject, saga).await.mail, []);
}

/// To a saga that never was, or has ended, or was swept.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_letter_to_nobody_is_refused<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let post = async |saga: SagaId| {
        let store = subject.store();
        store.post(saga, &letter("late")).await.unwrap()
    };
    assert_eq!(post(SagaId::unique()).await, Posted::Missing);
    ends(&subject, &lease, saga, Stage::Compensated).await;
    for _ in 0..2 {
        assert_eq!(post(saga).await, Posted::Ended);
    }
    let found = finds(&subject, saga).await;
    assert_eq!(found.mail, []);
    assert_eq!(due_ids(&subject, &[lease]).await, []);
    subject
        .store()
        .sweep(Duration::ZERO, Swept::Deleted, 10)
        .await
        .unwrap();
    assert_eq!(post(saga).await, Posted::Missing);
    // A letter that came too early is not kept for whoever is to come.
    assert_eq!(starts(&subject, &start(saga)).await, Started::Waits);
    assert_eq!(finds(&subject, saga).await.mail, []);
}

/// Whether it sleeps as the letter comes, or is sent to sleep with mail that
/// is not read: also mail that came after it was taken.
///
/// # Panics
///
/// If the law is broken.
pub async fn mail_makes_a_saga_due_whatever_the_change_says<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let leases = [lease.clone()];
    let mut after = 1;
    for wake in [Wake::In(LONG), Wake::In(Duration::MAX)] {
        let mut sleeps = append(saga, after, change([]));
        sleeps.change.wake = wake;
        writes(&subject, &lease, &sleeps).await;
        assert_eq!(due_ids(&subject, &leases).await, []);
        let first = letter("wakes it");
        posts(&subject, saga, &first).await;
        let taken = due(&subject, &leases).await;
        assert_eq!(taken[0].saga, saga);
        assert_eq!(taken[0].mail, from_ref(&first));
        // One more comes, which whoever has taken it has not seen.
        let second = letter("unseen");
        posts(&subject, saga, &second).await;
        let mut sleeps = reads(saga, after, &first);
        sleeps.change.wake = wake;
        writes(&subject, &lease, &sleeps).await;
        let taken = due(&subject, &leases).await;
        assert_eq!(taken.len(), 1, "{wake:?}");
        assert_eq!(taken[0].mail, from_ref(&second));
        // And again, though it was seen: it is not read.
        let mut sleeps = append(saga, after + 1, change([]));
        sleeps.change.wake = wake;
        writes(&subject, &lease, &sleeps).await;
        assert_eq!(due_ids(&subject, &leases).await, [saga], "{wake:?}");
        let mut sleeps = reads(saga, after + 1, &second);
        sleeps.change.wake = wake;
        writes(&subject, &lease, &sleeps).await;
        assert_eq!(due_ids(&subject, &leases).await, [], "all is read");
        after += 2;
    }
    // Who follows finds it, too.
    let mut sleeps = append(saga, after, change([]));
    sleeps.change.wake = Wake::In(Duration::MAX);
    writes(&subject, &lease, &sleeps).await;
    releases(&subject, &lease).await;
    posts(&subject, saga, &letter("between")).await;
    let next = super::leases(&subject, saga, LONG).await;
    assert_eq!(due_ids(&subject, &[next]).await, [saga]);
}

/// Nobody can read them: a saga that is parked would else be taken and parked
/// again without end.
///
/// # Panics
///
/// If the law is broken.
pub async fn letters_of_a_parked_saga_wait_for_its_time_or_for_another<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let leases = [lease.clone()];
    let parks = |wake| {
        let mut parks = append(saga, 1, change([]));
        parks.change.stage = Stage::Parked;
        parks.change.wake = wake;
        parks.change.progress = false;
        parks
    };
    let letters: Vec<_> = (0..3).map(|n| letter(&n.to_string())).collect();
    for (at, wake) in [Wake::In(LONG), Wake::In(Duration::MAX)].iter().enumerate() {
        posts(&subject, saga, &letters[at]).await;
        // Each that comes makes it due, with all.
        let taken = due(&subject, &leases).await;
        assert_eq!(taken[0].mail, letters[..=at]);
        writes(&subject, &lease, &parks(*wake)).await;
        assert_eq!(due_ids(&subject, &leases).await, [], "{wake:?}");
    }
    // One that is there already is none.
    posts(&subject, saga, &letters[0]).await;
    assert_eq!(due_ids(&subject, &leases).await, []);
    posts(&subject, saga, &letters[2]).await;
    assert_eq!(due_ids(&subject, &leases).await, [saga]);
    writes(&subject, &lease, &parks(Wake::In(BRIEF))).await;
    let none = takes(&subject, &leases, 10).await;
    assert_eq!((none.sagas.len(), none.more), (0, false));
    assert!(none.next.is_some_and(|next| next <= BRIEF), "{none:?}");
    end_of(&subject, BRIEF).await;
    let taken = due(&subject, &leases).await;
    assert_eq!(taken[0].mail, letters);
    // It goes on, and all that was put off is there.
    let mut goes_on = append(saga, 1, change([]));
    goes_on.change.wake = Wake::In(LONG);
    writes(&subject, &lease, &goes_on).await;
    assert_eq!(due_ids(&subject, &leases).await, [saga]);
}

/// Each time, which is no load. What nobody holds is held once it is given.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_held_saga_with_mail_is_given_until_it_is_read<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let leases = [lease.clone()];
    let mail = letter("read me");
    posts(&subject, saga, &mail).await;
    for _ in 0..3 {
        let taken = due(&subject, &leases).await;
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].loads, 0);
        assert_eq!(taken[0].mail, from_ref(&mail));
    }
    // A change that does not read it changes nothing of that.
    let next = append(saga, 1, change([record(Kind::Done, "book")]));
    writes(&subject, &lease, &next).await;
    assert_eq!(due_ids(&subject, &leases).await, [saga]);
    writes(&subject, &lease, &reads(saga, 2, &mail)).await;
    let none = takes(&subject, &leases, 10).await;
    assert_eq!((none.sagas.len(), none.more, none.next), (0, false, None));

    // One that waits is loaded once, with its mail.
    let waits = super::saga_in(lease.bucket);
    assert_eq!(starts(&subject, &start(waits)).await, Started::Waits);
    posts(&subject, waits, &mail).await;
    for _ in 0..2 {
        let taken = due(&subject, &leases).await;
        assert_eq!((taken[0].saga, taken[0].loads), (waits, 1));
    }
    let mut read = reads(waits, 0, &mail);
    read.change.progress = false;
    writes(&subject, &lease, &read).await;
    assert_eq!(due_ids(&subject, &leases).await, [], "it is held");
    assert_eq!(loads(&subject, &lease, waits).await.loads, 1);
}

/// And no others: what came since stays, in its order.
///
/// # Panics
///
/// If the law is broken.
pub async fn reading_throws_away_the_oldest_letters<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let other = held_by(&subject, &lease).await;
    let letters: Vec<_> = (0..5).map(|n| letter(&n.to_string())).collect();
    for letter in &letters {
        posts(&subject, saga, letter).await;
        posts(&subject, other, letter).await;
    }
    let mut read = append(saga, 1, change([]));
    for letter in &letters[..3] {
        let mut record = record(Kind::Signalled, &letter.name);
        record.mail = Some(letter.id);
        read.change.records.push(record);
    }
    read.read = 3;
    writes(&subject, &lease, &read).await;
    assert_eq!(finds(&subject, saga).await.mail, letters[3..]);
    writes(&subject, &lease, &reads(saga, 4, &letters[3])).await;
    assert_eq!(finds(&subject, saga).await.mail, letters[4..]);
    assert_eq!(loads(&subject, &lease, saga).await.mail, letters[4..]);
    assert_eq!(finds(&subject, other).await.mail, letters, "another's stay");
    // What was not written was not read.
    let conflict = reads(other, 5, &letters[0]);
    let appended = super::appends(&subject, &lease, &conflict).await;
    assert_eq!(appended, crate::saga::Appended::Conflict);
    assert_eq!(finds(&subject, other).await.mail, letters);
}

/// In the same process, when a saga begins that nobody holds, when one gets a
/// letter, when one sleeps anew, and when a bucket is given back.
///
/// # Panics
///
/// If the law is broken.
pub async fn who_waits_hears_that_there_is_something_to_do<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let store = subject.store();
    let mut wake_ups = store.wake_ups();
    let mut heard = async |what: &str| {
        // What never comes would be waited for without end.
        let heard = tokio::time::timeout(Duration::from_secs(30), wake_ups.next());
        heard
            .await
            .unwrap_or_else(|_| panic!("nobody heard: {what}"));
    };
    waiting(&subject).await;
    heard("it begins").await;
    posts(&subject, saga, &letter("signal")).await;
    heard("a letter").await;
    let sleeps = held_by(&subject, &lease).await;
    let mut later = append(sleeps, 1, change([]));
    later.change.wake = Wake::In(Duration::ZERO);
    writes(&subject, &lease, &later).await;
    heard("it sleeps").await;
    releases(&subject, &lease).await;
    heard("given back").await;
}
