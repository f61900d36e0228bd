//! Laws of what a claim finds.

use std::time::Duration;

use super::{
    LONG, SHORT, Subject, claim, claims, completes, end_of_short, mine, name, phases, releases,
    response,
};
use crate::idempotency::{Claimed, Fence, Fingerprint, Key, Mine, Scope, Store, StoredResponse};

/// The states of a key, in their order.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn a_key_is_new_then_in_progress_then_completed<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("first");
    let first = claim(&name);
    let ours = mine(&subject, &first).await;
    assert_eq!(ours.lease.record, first.owner.0, "the first claim names it");
    assert_eq!((ours.attempts, ours.steps.len()), (1, 0));

    match claims(&subject, &claim(&name)).await {
        Claimed::InProgress { lease_ends_in } => {
            assert!(lease_ends_in > Duration::ZERO && lease_ends_in <= LONG);
        }
        other => panic!("two have it: {other:?}"),
    }
    completes(&subject, &ours, "done").await;
    for _ in 0..2 {
        let answer = claims(&subject, &claim(&name)).await;
        assert_eq!(answer, Claimed::Completed(response("done")));
    }
}

/// Whether it runs, was given up, or is complete. It changes nothing.
///
/// # Panics
///
/// If the law is broken.
pub async fn another_request_under_a_key_is_a_mismatch<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("used");
    let mut other = claim(&name);
    other.fingerprint = Fingerprint([8; 32]);

    let first = mine(&subject, &claim(&name)).await;
    assert_eq!(claims(&subject, &other).await, Claimed::Mismatch, "runs");
    releases(&subject, &first).await;
    assert_eq!(
        claims(&subject, &other).await,
        Claimed::Mismatch,
        "given up"
    );
    let mut short = claim(&name);
    short.lease = SHORT;
    let second = mine(&subject, &short).await;
    end_of_short(&subject).await;
    assert_eq!(claims(&subject, &other).await, Claimed::Mismatch, "ended");
    completes(&subject, &second, "done").await;
    assert_eq!(
        claims(&subject, &other).await,
        Claimed::Mismatch,
        "complete"
    );
    let again = claims(&subject, &claim(&name)).await;
    assert_eq!(again, Claimed::Completed(response("done")));
}

/// No check and then an act.
///
/// # Panics
///
/// If the law is broken.
pub async fn of_first_claims_at_once_one_has_it<S: Subject>() {
    let subject = S::fresh().await;
    for round in 0..20 {
        let tasks = (0..8).map(|_| {
            let store = subject.store();
            tokio::spawn(async move {
                let name = name(&format!("round {round}"));
                store.claim(&claim(&name)).await
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut ours = 0;
        for task in tasks {
            match task.await.expect("a claim does not panic").unwrap() {
                Claimed::Mine(_) => ours += 1,
                Claimed::InProgress { .. } => {}
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(ours, 1, "round {round}");
    }
}

/// The owner says that it is the same claim, whose answer was lost: of a new
/// key, and of one that another has given up.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_claim_asked_again_is_answered_as_before<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("lost answer");
    let first = claim(&name);
    let ours = mine(&subject, &first).await;
    assert_eq!(mine(&subject, &first).await, ours);
    releases(&subject, &ours).await;

    let second = claim(&name);
    let ours = mine(&subject, &second).await;
    assert_eq!(mine(&subject, &second).await, ours);
    assert_eq!(ours.attempts, 2, "asking again is no attempt");
    assert!(matches!(
        claims(&subject, &claim(&name)).await,
        Claimed::InProgress { .. }
    ));
    completes(&subject, &ours, "done").await;
    let again = claims(&subject, &second).await;
    assert_eq!(again, Claimed::Completed(response("done")));
}

/// It finds the key in progress, whatever the phase holds locked.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_claim_does_not_wait_for_an_atomic_phase<S: Subject>() {
    let subject = S::fresh().await;
    let name = name("busy");
    let ours = mine(&subject, &claim(&name)).await;
    let phases = phases(&subject, &name, &ours);
    let other = claim(&name);
    let found = subject.claim_within_atomic(&phases, &other);
    // A claim that waits for the phase would wait for ever.
    let found = tokio::time::timeout(Duration::from_secs(30), found).await;
    let found = found.expect("the claim waits for the phase");
    if let Some(found) = found {
        let found = found.unwrap();
        assert!(matches!(found, Claimed::InProgress { .. }), "{found:?}");
    }
}

/// Bytes that are no text, headers that are repeated, nothing at all.
///
/// # Panics
///
/// If the law is broken.
pub async fn answers_are_repeated_to_the_byte<S: Subject>() {
    let subject = S::fresh().await;
    let all_bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let many = (0..200).map(|n| {
        (
            "set-cookie".into(),
            format!("c{n}='\"\\;\t\u{e9}\u{ff}").into(),
        )
    });
    let answers = [
        StoredResponse {
            status: 204,
            headers: Vec::new(),
            body: Default::default(),
        },
        StoredResponse {
            status: 599,
            headers: many.collect(),
            body: all_bytes.into(),
        },
        response("\0"),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let name = name(&number.to_string());
        let ours = mine(&subject, &claim(&name)).await;
        let store = subject.store();
        let done = store.complete(&ours.lease, &answer, LONG).await;
        assert_eq!(done.unwrap(), Fence::Held);
        let again = claims(&subject, &claim(&name)).await;
        assert_eq!(again, Claimed::Completed(answer));
    }
}

/// Tenant, method and route are compared as they are, and do not run into
/// one another.
///
/// # Panics
///
/// If the law is broken.
pub async fn the_same_key_elsewhere_is_another<S: Subject>() {
    let subject = S::fresh().await;
    let scopes = [
        ("acme", "POST", "/charges"),
        ("other", "POST", "/charges"),
        ("acme", "PATCH", "/charges"),
        ("acme", "POST", "/refunds"),
        ("", "POST", "/charges"),
        ("acmePOST", "", "/charges"),
        ("acme", "", "POST/charges"),
        ("Acme", "POST", "/charges"),
        ("acme ", "POST", "/charges"),
        ("acme", "POST", "/charges/"),
    ];
    let mut records: Vec<Mine> = Vec::new();
    for (tenant, method, route) in scopes {
        let mut name = name("same");
        name.scope.tenant = tenant.into();
        name.scope.method = method.into();
        name.scope.route = route.into();
        let ours = mine(&subject, &claim(&name)).await;
        assert_eq!(ours.attempts, 1, "{:?}", name.scope);
        records.push(ours);
    }
    // And what is done to one is done to no other.
    completes(&subject, &records[0], "done").await;
    for ours in &records[1..] {
        releases(&subject, ours).await;
    }
}

/// And is known again.
///
/// # Panics
///
/// If the law is broken.
pub async fn the_longest_name_is_taken<S: Subject>() {
    let subject = S::fresh().await;
    // What an engine cannot make shorter.
    let mut state = 7_u64;
    let mut text = |length: usize| -> String {
        let mut letter = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + (state >> 57) as u8 % 94)
        };
        (0..length).map(|_| letter()).collect()
    };
    let mut name = name(&text(Key::LONGEST));
    name.scope.tenant = text(Scope::LONGEST / 2).into();
    name.scope.route = text(Scope::LONGEST - Scope::LONGEST / 2 - "POST".len()).into();
    assert_eq!(name.scope.length(), Scope::LONGEST);
    let ours = mine(&subject, &claim(&name)).await;
    completes(&subject, &ours, "done").await;
    let again = claims(&subject, &claim(&name)).await;
    assert_eq!(again, Claimed::Completed(response("done")));
}

/// No case is folded, nothing trimmed, no number read as one.
///
/// # Panics
///
/// If the law is broken.
pub async fn keys_are_equal_only_if_every_byte_is<S: Subject>() {
    let subject = S::fresh().await;
    let long = ["y".repeat(255), format!("{}z", "y".repeat(254))];
    let keys = [
        "a", "A", "a ", " a", "a  ", "'--", "%", "_", "1", "01", "1.0", "\\", "\\\\", "\"a\"",
    ];
    let keys = keys.into_iter().chain(long.iter().map(String::as_str));
    for key in keys {
        let name = name(key);
        let ours = mine(&subject, &claim(&name)).await;
        assert_eq!(ours.attempts, 1, "{key:?} is new");
        completes(&subject, &ours, "done").await;
        let again = claims(&subject, &claim(&name)).await;
        assert!(matches!(again, Claimed::Completed(_)), "{key:?} is known");
    }
}
