//! Laws of locks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{
    BRIEF, LONG, Script, Subject, append, change, due, end, end_of, ends, finds, held_by, lease_of,
    leases, leases_all, record, releases, saga_in, saga_outside, start, starts, writes,
};
use crate::saga::{
    Fault, Kind, Lease, Lock, LockMode, LockRequest, Locked, SagaId, Stage, Started, Store, Worked,
};

fn request(saga: SagaId, name: &str, locks: &[Lock]) -> LockRequest {
    LockRequest {
        saga,
        name: name.into(),
        locks: locks.to_vec(),
        waits: true,
    }
}

fn alone(resource: &str) -> Lock {
    Lock::exclusive(resource)
}

fn together(resource: &str) -> Lock {
    Lock::shared(resource)
}

async fn locks<S: Subject>(subject: &S, lease: &Lease, request: &LockRequest) -> Locked {
    subject.store().lock(lease, request).await.unwrap()
}

/// A saga that waits for these, or has them, by a request of the name "lock".
async fn asks<S: Subject>(subject: &S, lease: &Lease, wanted: &[Lock]) -> (SagaId, Locked) {
    let saga = held_by(subject, lease).await;
    let locked = locks(subject, lease, &request(saga, "lock", wanted)).await;
    (saga, locked)
}

async fn has<S: Subject>(subject: &S, lease: &Lease, wanted: &[Lock]) -> SagaId {
    let (saga, locked) = asks(subject, lease, wanted).await;
    assert_eq!(locked, Locked::Held);
    assert!(is_told(subject, saga, "lock").await);
    saga
}

async fn waits<S: Subject>(subject: &S, lease: &Lease, wanted: &[Lock]) -> SagaId {
    let (saga, locked) = asks(subject, lease, wanted).await;
    assert_eq!(locked, Locked::Waits);
    assert!(!is_told(subject, saga, "lock").await);
    saga
}

/// Whether it has the letter that says that it has all of a request.
async fn is_told<S: Subject>(subject: &S, saga: SagaId, name: &str) -> bool {
    let letter = LockRequest::letter(saga, name);
    finds(subject, saga).await.mail.contains(&letter)
}

/// Who stands in a line, and whether it has it.
async fn line<S: Subject>(subject: &S, resource: &str) -> Vec<(SagaId, bool)> {
    let line = subject.store().line(resource).await.unwrap();
    line.iter()
        .map(|place| (place.saga, place.has_it))
        .collect()
}

/// In the order in which they asked, whichever buckets they are of.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn who_asks_first_has_it_until_its_saga_ends<S: Subject>() {
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let mut sagas = Vec::new();
    for number in 0..4 {
        let lease = &all[number * 5];
        let saga = match number {
            0 => has(&subject, lease, &[alone("account/7")]).await,
            _ => waits(&subject, lease, &[alone("account/7")]).await,
        };
        // Nobody is in the way of those who want something else.
        has(&subject, lease, &[alone(&format!("account/7{number}"))]).await;
        sagas.push((saga, lease));
    }
    let places = subject.store().line("account/7").await.unwrap();
    assert!(places.iter().all(|place| place.mode == LockMode::Exclusive));
    for stage in [Stage::Done, Stage::Compensated, Stage::Abandoned] {
        let in_line = sagas.iter().enumerate();
        let expected: Vec<_> = in_line.map(|(at, (saga, _))| (*saga, at == 0)).collect();
        assert_eq!(line(&subject, "account/7").await, expected);
        let (first, lease) = sagas.remove(0);
        ends(&subject, lease, first, stage).await;
        assert!(is_told(&subject, sagas[0].0, "lock").await, "{stage:?}");
        // It is due, so that whoever runs it hears of it.
        let due = due(&subject, std::slice::from_ref(sagas[0].1)).await;
        assert!(due.iter().any(|loaded| loaded.saga == sagas[0].0));
        for (behind, _) in &sagas[1..] {
            assert!(!is_told(&subject, *behind, "lock").await);
        }
    }
    let (last, lease) = sagas.remove(0);
    ends(&subject, lease, last, Stage::Done).await;
    assert_eq!(line(&subject, "account/7").await, []);
}

/// Those who share would keep one who wants it alone waiting for ever, if they
/// passed it.
///
/// # Panics
///
/// If the law is broken.
pub async fn those_who_share_have_it_together_and_pass_nobody<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let one = has(&subject, &lease, &[together("tariff")]).await;
    let two = has(&subject, &lease, &[together("tariff")]).await;
    let writer = waits(&subject, &lease, &[alone("tariff")]).await;
    let three = waits(&subject, &lease, &[together("tariff")]).await;
    let four = waits(&subject, &lease, &[together("tariff")]).await;
    let places = subject.store().line("tariff").await.unwrap();
    let modes: Vec<_> = places.iter().map(|place| place.mode).collect();
    let (shared, exclusive) = (LockMode::Shared, LockMode::Exclusive);
    assert_eq!(modes, [shared, shared, exclusive, shared, shared]);

    ends(&subject, &lease, two, Stage::Done).await;
    assert!(!is_told(&subject, writer, "lock").await);
    ends(&subject, &lease, one, Stage::Done).await;
    assert!(is_told(&subject, writer, "lock").await);
    assert!(!is_told(&subject, three, "lock").await);
    ends(&subject, &lease, writer, Stage::Done).await;
    assert!(is_told(&subject, three, "lock").await);
    assert!(is_told(&subject, four, "lock").await);
    let both = vec![(three, true), (four, true)];
    assert_eq!(line(&subject, "tariff").await, both);
}

/// And not before; what it has already others wait for.
///
/// # Panics
///
/// If the law is broken.
pub async fn whoever_waits_hears_when_it_has_all<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let a = has(&subject, &lease, &[alone("a")]).await;
    let b = has(&subject, &lease, &[alone("b")]).await;
    let all = waits(&subject, &lease, &[alone("a"), together("b"), alone("c")]).await;
    let c = waits(&subject, &lease, &[alone("c")]).await;
    ends(&subject, &lease, a, Stage::Done).await;
    assert_eq!(line(&subject, "a").await, [(all, true)]);
    assert!(!is_told(&subject, all, "lock").await, "it has not b");
    ends(&subject, &lease, b, Stage::Done).await;
    assert!(is_told(&subject, all, "lock").await);
    assert_eq!(line(&subject, "c").await, [(all, true), (c, false)]);
    ends(&subject, &lease, all, Stage::Done).await;
    assert!(is_told(&subject, c, "lock").await);
    // Of nothing one has all, and stands in no line by that.
    let none = has(&subject, &lease, &[]).await;
    let more = request(none, "more", &[alone("c")]);
    assert_eq!(locks(&subject, &lease, &more).await, Locked::Waits);
    assert_eq!(line(&subject, "c").await, [(c, true), (none, false)]);
}

/// Also not in those of what it could have had.
///
/// # Panics
///
/// If the law is broken.
pub async fn who_does_not_wait_stands_in_no_line<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let first = has(&subject, &lease, &[alone("b")]).await;
    let saga = held_by(&subject, &lease).await;
    let mut wanted = request(saga, "lock", &[alone("a"), together("b")]);
    wanted.waits = false;
    assert_eq!(locks(&subject, &lease, &wanted).await, Locked::Busy);
    assert_eq!(line(&subject, "a").await, []);
    assert_eq!(line(&subject, "b").await, [(first, true)]);
    ends(&subject, &lease, first, Stage::Done).await;
    assert!(!is_told(&subject, saga, "lock").await);
    // It may ask again, and has it.
    assert_eq!(locks(&subject, &lease, &wanted).await, Locked::Held);
    assert!(is_told(&subject, saga, "lock").await);
}

/// So no two wait for each other. What it has it keeps; and it is not in its
/// own way.
///
/// # Panics
///
/// If the law is broken.
pub async fn who_stands_in_line_waits_for_no_more<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let one = has(&subject, &lease, &[alone("a")]).await;
    let two = has(&subject, &lease, &[alone("b")]).await;
    let more = |saga, resource| request(saga, "more", &[alone(resource)]);
    assert_eq!(locks(&subject, &lease, &more(one, "b")).await, Locked::Busy);
    assert_eq!(locks(&subject, &lease, &more(two, "a")).await, Locked::Busy);
    assert_eq!(line(&subject, "a").await, [(one, true)]);
    // What nobody has, and what it has itself.
    let free = request(one, "more", &[alone("a"), alone("c")]);
    assert_eq!(locks(&subject, &lease, &free).await, Locked::Held);
    assert!(is_told(&subject, one, "more").await);
    // One that waits is refused as well.
    let third = waits(&subject, &lease, &[alone("a")]).await;
    assert_eq!(
        locks(&subject, &lease, &more(third, "c")).await,
        Locked::Busy
    );
    ends(&subject, &lease, two, Stage::Done).await;
    ends(&subject, &lease, one, Stage::Done).await;
    assert!(is_told(&subject, third, "lock").await);
    assert_eq!(line(&subject, "c").await, []);

    // Nor does it share what it waits to have alone.
    has(&subject, &lease, &[together("d")]).await;
    let fourth = waits(&subject, &lease, &[alone("d")]).await;
    let share = request(fourth, "more", &[together("d")]);
    assert_eq!(locks(&subject, &lease, &share).await, Locked::Busy);
}

/// Whether it waits or has it, and though it would not wait.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_request_made_again_is_one<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let first = has(&subject, &lease, &[alone("a")]).await;
    let second = waits(&subject, &lease, &[alone("a"), alone("b")]).await;
    let mut again = request(second, "lock", &[alone("a"), alone("b")]);
    for waits in [true, false] {
        again.waits = waits;
        assert_eq!(locks(&subject, &lease, &again).await, Locked::Waits);
    }
    assert_eq!(line(&subject, "a").await, [(first, true), (second, false)]);
    assert_eq!(line(&subject, "b").await, [(second, true)]);
    ends(&subject, &lease, first, Stage::Done).await;
    assert_eq!(locks(&subject, &lease, &again).await, Locked::Held);
    assert_eq!(line(&subject, "a").await, [(second, true)]);
    // Its letter is one, also when it was read.
    let found = finds(&subject, second).await;
    assert_eq!(found.mail.len(), 1);
    let reading = super::reads(second, 1, &found.mail[0]);
    writes(&subject, &lease, &reading).await;
    assert_eq!(locks(&subject, &lease, &again).await, Locked::Held);
    assert_eq!(finds(&subject, second).await.mail, []);
}

/// By a lease that ended, was given back, or is of another bucket; and for a
/// saga that has ended, or never was.
///
/// # Panics
///
/// If the law is broken.
pub async fn nothing_is_locked_for_a_lease_that_is_lost<S: Subject>() {
    let subject = S::fresh().await;
    let saga = SagaId::unique();
    let short = leases(&subject, saga, BRIEF).await;
    assert_eq!(starts(&subject, &start(saga)).await, Started::Waits);
    let outside = leases(&subject, saga_outside(saga.bucket()), LONG).await;
    let wanted = request(saga, "lock", &[alone("a")]);
    assert_eq!(locks(&subject, &outside, &wanted).await, Locked::Lost);
    end_of(&subject, BRIEF).await;
    assert_eq!(locks(&subject, &short, &wanted).await, Locked::Lost);
    let back = leases(&subject, saga, LONG).await;
    releases(&subject, &back).await;
    assert_eq!(locks(&subject, &back, &wanted).await, Locked::Lost);
    let lease = leases(&subject, saga, LONG).await;
    let nobody = request(saga_in(lease.bucket), "lock", &[alone("a")]);
    assert_eq!(locks(&subject, &lease, &nobody).await, Locked::Lost);
    let ended = held_by(&subject, &lease).await;
    ends(&subject, &lease, ended, Stage::Done).await;
    let late = request(ended, "lock", &[alone("a")]);
    assert_eq!(locks(&subject, &lease, &late).await, Locked::Lost);
    assert_eq!(line(&subject, "a").await, []);
    assert!(!is_told(&subject, saga, "lock").await);
    assert_eq!(locks(&subject, &lease, &wanted).await, Locked::Held);
}

/// Those behind it do not wait for it.
///
/// # Panics
///
/// If the law is broken.
pub async fn who_ends_while_it_waits_leaves_the_line<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let one = has(&subject, &lease, &[together("a")]).await;
    let writer = waits(&subject, &lease, &[alone("a")]).await;
    let two = waits(&subject, &lease, &[together("a")]).await;
    ends(&subject, &lease, writer, Stage::Compensated).await;
    assert!(is_told(&subject, two, "lock").await);
    assert_eq!(line(&subject, "a").await, [(one, true), (two, true)]);
}

/// And work that errs does not.
///
/// # Panics
///
/// If the law is broken.
pub async fn work_that_ends_a_saga_leaves_its_lines<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), LONG).await;
    let first = has(&subject, &lease, &[alone("a")]).await;
    let second = waits(&subject, &lease, &[alone("a")]).await;
    let store = subject.store();
    let works = |returns| {
        let work = subject.work(Script {
            effect: "worked",
            gate: None,
            returns,
        });
        store.append_with(&lease, first, 1, work)
    };
    let erred = works(Err(Fault::failed("no"))).await.unwrap();
    assert!(matches!(erred, Worked::Faulted(_)), "{erred:?}");
    assert_eq!(line(&subject, "a").await, [(first, true), (second, false)]);
    assert!(!is_told(&subject, second, "lock").await);
    let done = works(Ok(end(Stage::Done))).await.unwrap();
    assert!(matches!(done, Worked::Done(_)), "{done:?}");
    assert_eq!(line(&subject, "a").await, [(second, true)]);
    assert!(is_told(&subject, second, "lock").await);
    // What only goes on stays in line.
    let going_on = change([record(Kind::Began, "next")]);
    writes(&subject, &lease, &append(second, 1, going_on)).await;
    assert_eq!(line(&subject, "a").await, [(second, true)]);
}

/// Two have one thing never, and each has its turn, though all ask and end at
/// once.
///
/// # Panics
///
/// If the law is broken.
pub async fn of_those_who_ask_at_once_each_has_its_turn<S: Subject>() {
    const SAGAS: usize = 36;
    let subject = S::fresh().await;
    let all = leases_all(&subject).await;
    let resources = ["a", "b", "c"];
    let taken: Arc<Mutex<[bool; 3]>> = Arc::default();
    let mut tasks = Vec::new();
    for number in 0..SAGAS {
        let saga = SagaId::unique();
        let lease = lease_of(&all, saga).clone();
        let mut start = start(saga);
        start.held = Some((lease.clone(), change([record(Kind::Began, "book")])));
        assert_eq!(starts(&subject, &start).await, Started::Held);
        // One or two of three, in every combination.
        let wanted: Vec<usize> = match number % 6 {
            three @ 3..=5 => vec![three - 3],
            both => (0..3).filter(|resource| *resource != both).collect(),
        };
        let locks: Vec<_> = wanted.iter().map(|at| alone(resources[*at])).collect();
        let request = request(saga, "lock", &locks);
        let (store, taken) = (subject.store(), Arc::clone(&taken));
        tasks.push(tokio::spawn(async move {
            let locked = store.lock(&lease, &request).await.unwrap();
            assert!(matches!(locked, Locked::Held | Locked::Waits));
            let letter = LockRequest::letter(saga, "lock");
            while !store
                .find(saga)
                .await
                .unwrap()
                .unwrap()
                .mail
                .contains(&letter)
            {
                assert_eq!(locked, Locked::Waits, "it was said to have it");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            for resource in &wanted {
                let was_taken = std::mem::replace(&mut taken.lock().unwrap()[*resource], true);
                assert!(!was_taken, "two have it");
            }
            tokio::task::yield_now().await;
            for resource in &wanted {
                taken.lock().unwrap()[*resource] = false;
            }
            let appended = store
                .append(&lease, &append(saga, 1, end(Stage::Done)))
                .await;
            assert_eq!(appended.unwrap(), crate::saga::Appended::Held);
        }));
    }
    for task in tasks {
        let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
        ended.expect("each has its turn").expect("no panic");
    }
    for resource in resources {
        assert_eq!(line(&subject, resource).await, []);
    }
}
