//! Laws of work in the saga's own database.

use std::slice::from_ref;
use std::time::Duration;

use super::{
    BRIEF, Gate, LONG, SHORT, Script, Subject, append, change, claims, due, due_ids, end, end_of,
    executor, finds, held, held_by, leases, letter, loads, log, posts, record, releases, saga_in,
    saga_outside, writes,
};
use crate::saga::{Change, Fault, Kind, Lease, SagaId, Stage, Store, Wake, Worked};

fn script(effect: &'static str, returns: Result<Change, Fault>) -> Script {
    Script {
        effect,
        gate: None,
        returns,
    }
}

fn done() -> Change {
    change([record(Kind::Done, "book"), record(Kind::Began, "charge")])
}

async fn works<S: Subject>(
    subject: &S,
    lease: &Lease,
    saga: SagaId,
    after: u64,
    script: Script,
) -> Worked {
    let work = subject.work(script);
    let store = subject.store();
    store.append_with(lease, saga, after, work).await.unwrap()
}

/// And it is as if the change had been appended by itself.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn an_effect_and_its_record_are_one<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let worked = works(&subject, &lease, saga, 1, script("book", Ok(done()))).await;
    match worked {
        Worked::Done(change) => assert_eq!(change, done()),
        other => panic!("it was not done: {other:?}"),
    }
    assert_eq!(subject.effects().await, ["book"]);
    assert_eq!(log(&subject, saga).await.len(), 3);
    assert_eq!(log(&subject, saga).await[1..], done().records);
    assert_eq!(due_ids(&subject, from_ref(&lease)).await, [], "it is held");
    // It can send it to sleep, with a result, and end it.
    let mut sleeps = done();
    sleeps.wake = Wake::In(Duration::ZERO);
    sleeps.stage = Stage::Unwinding;
    sleeps.result = Some("why".into());
    let worked = works(&subject, &lease, saga, 3, script("sleep", Ok(sleeps))).await;
    assert!(matches!(worked, Worked::Done(_)), "{worked:?}");
    let found = finds(&subject, saga).await.summary;
    assert_eq!(found.stage, Stage::Unwinding);
    assert_eq!(found.result.as_deref(), Some(&b"why"[..]));
    let taken = due(&subject, from_ref(&lease)).await;
    assert_eq!((taken[0].saga, taken[0].loads), (saga, 1));
    // Mail makes it due here, too.
    posts(&subject, saga, &letter("unread")).await;
    let mut sleeps = done();
    sleeps.wake = Wake::In(Duration::MAX);
    let worked = works(&subject, &lease, saga, 5, script("mail", Ok(sleeps))).await;
    assert!(matches!(worked, Worked::Done(_)), "{worked:?}");
    assert_eq!(due_ids(&subject, from_ref(&lease)).await, [saga]);
    let loads = loads(&subject, &lease, saga).await.loads;
    assert_eq!(loads, 1, "it went forward, and was taken");
    let last = script("end", Ok(end(Stage::Done)));
    let worked = works(&subject, &lease, saga, 7, last).await;
    assert!(matches!(worked, Worked::Done(_)), "{worked:?}");
    assert_eq!(finds(&subject, saga).await.summary.stage, Stage::Done);
    let counts = subject.store().count().await.unwrap();
    assert_eq!(counts, [0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(subject.effects().await, ["book", "sleep", "mail", "end"]);
}

/// No effect and no line, whatever it says; and it can be done anew.
///
/// # Panics
///
/// If the law is broken.
pub async fn work_that_errs_leaves_nothing<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let before = finds(&subject, saga).await;
    let failed = script("failed", Err(Fault::failed("no such account")));
    match works(&subject, &lease, saga, 1, failed).await {
        Worked::Faulted(Fault::Failed(error)) => {
            assert_eq!(error.to_string(), "no such account");
        }
        other => panic!("it did not fail: {other:?}"),
    }
    let unknown = script("unknown", Err(Fault::unknown("who knows")));
    match works(&subject, &lease, saga, 1, unknown).await {
        Worked::Faulted(Fault::Unknown(error)) => assert_eq!(error.to_string(), "who knows"),
        other => panic!("it is not unknown: {other:?}"),
    }
    assert_eq!(subject.effects().await, [""; 0]);
    assert_eq!(finds(&subject, saga).await, before);
    let worked = works(&subject, &lease, saga, 1, script("book", Ok(done()))).await;
    assert!(matches!(worked, Worked::Done(_)), "{worked:?}");
    assert_eq!(subject.effects().await, ["book"]);
}

/// Nor is it if the log is another, the saga has ended, or is gone.
///
/// # Panics
///
/// If the law is broken.
pub async fn work_is_not_run_elsewhere<S: Subject>() {
    let subject = S::fresh().await;
    let (saga, lease) = held(&subject).await;
    let ended = held_by(&subject, &lease).await;
    writes(&subject, &lease, &append(ended, 1, end(Stage::Done))).await;
    let missing = saga_in(lease.bucket);
    let next = append(saga, 1, change([record(Kind::Done, "book")]));
    writes(&subject, &lease, &next).await;
    let before = finds(&subject, saga).await;
    for (saga, after) in [(saga, 0), (saga, 1), (saga, 3), (ended, 2), (missing, 0)] {
        let worked = works(&subject, &lease, saga, after, script("work", Ok(done()))).await;
        assert!(matches!(worked, Worked::Conflict), "{after}: {worked:?}");
    }
    assert_eq!(subject.effects().await, [""; 0]);
    assert_eq!(finds(&subject, saga).await, before);
}

/// Whether it was followed, has ended though nobody followed, was given back,
/// is another's, or is of another bucket.
///
/// # Panics
///
/// If the law is broken.
pub async fn work_is_not_run_for_a_lease_that_is_lost<S: Subject>() {
    let subject = S::fresh().await;
    let lost = async |lease: &Lease, saga: SagaId| {
        // Not even what would be a conflict is one.
        for after in [1, 9] {
            let zombie = script("zombie", Ok(done()));
            let worked = works(&subject, lease, saga, after, zombie).await;
            assert!(matches!(worked, Worked::Lost), "{lease:?}: {worked:?}");
        }
        assert_eq!(log(&subject, saga).await.len(), 1);
        assert_eq!(subject.effects().await, [""; 0]);
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
    let outside = leases(&subject, saga_outside(lease.bucket), LONG).await;
    lost(&outside, saga).await;
    let worked = works(&subject, &lease, saga, 1, script("book", Ok(done()))).await;
    assert!(matches!(worked, Worked::Done(_)), "{worked:?}");
}

/// Though the lease ends while it runs: whoever follows sees all of it, or
/// sees nothing and nothing of it comes later.
///
/// # Panics
///
/// If the law is broken.
pub async fn nobody_follows_before_work_has_ended<S: Subject>() {
    let subject = S::fresh().await;
    let lease = leases(&subject, SagaId::unique(), BRIEF).await;
    let saga = held_by(&subject, &lease).await;
    let (gate, arrives, open) = Gate::new();
    let mut slow = script("slow", Ok(done()));
    slow.gate = Some(gate);
    let work = subject.work(slow);
    let (store, bucket) = (subject.store(), [lease.bucket]);
    let working = tokio::spawn(async move { store.append_with(&lease, saga, 1, work).await });
    arrives.await.expect("the work is run");
    end_of(&subject, BRIEF).await;

    let store = subject.store();
    let mut following = tokio::spawn(async move {
        let executor = executor();
        loop {
            // Who cannot have a turn may hear of it as an error.
            let claimed = store.claim(&executor, &bucket, LONG).await;
            let claimed = claimed.unwrap_or_default();
            if !claimed.is_empty() {
                let taken = store.take(&claimed, 10, LONG).await.unwrap();
                break (claimed, taken);
            }
            // There is nothing to await: the row is another's.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    // That it does not follow cannot be awaited, either.
    let early = tokio::time::timeout(SHORT * 10, &mut following).await;
    open.send(()).expect("the work waits");
    // Whether it was done or not is for the engine to say, if it says it.
    let worked = working.await.expect("it does not panic");
    let (claimed, taken) = match early {
        Ok(followed) => followed.expect("it does not panic"),
        Err(_) => following.await.expect("it does not panic"),
    };
    let taken = taken
        .sagas
        .into_iter()
        .map(|saga| saga.expect("it can be read"));
    let seen: Vec<_> = taken
        .map(|loaded| (loaded.saga, loaded.records.len()))
        .collect();
    let is_done = match worked {
        Ok(Worked::Done(_)) => true,
        Ok(Worked::Lost) | Err(_) => false,
        Ok(other) => panic!("neither done nor lost: {other:?}"),
    };
    let lines = if is_done { 3 } else { 1 };
    assert_eq!(seen, [(saga, lines)], "who follows sees it as it stays");
    assert_eq!(log(&subject, saga).await.len(), lines);
    let effects = subject.effects().await;
    assert_eq!(effects, ["slow"][..usize::from(is_done)]);
    // And goes on from there.
    let next = append(saga, lines as u64, change([record(Kind::Began, "book")]));
    writes(&subject, &claimed[0], &next).await;
    let none = claims(&subject, &executor(), &bucket, LONG).await;
    assert_eq!(none, []);
}
