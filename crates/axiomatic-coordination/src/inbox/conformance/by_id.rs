//! Laws of messages that are recognised by their ids.

use std::time::Duration;

use bytes::Bytes;

use super::{Forgets, RETENTION, Script, Subject, config, is, message};
use crate::inbox::{Delivery, Outcome};

/// A message handled again does nothing, and says when the first was and what
/// came of it.
///
/// # Panics
///
/// If the law is broken, as with all that follow.
pub async fn a_repeat_has_no_effect_and_is_answered_with_the_first_result<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let paid = message("paid");
    let first = inbox.once("bank", &paid, Script::Succeed).await.unwrap();
    assert_eq!(first, Outcome::Done(Bytes::from("PAID")));
    inbox.elapse(Duration::from_millis(2)).await;
    let mut answers = Vec::new();
    for attempt in 2..4 {
        let again = paid.clone().attempted(attempt);
        answers.push(inbox.once("bank", &again, Script::Succeed).await.unwrap());
    }
    assert_eq!(answers[0], answers[1], "the first time is always the same");
    let Outcome::Duplicate { result, .. } = &answers[0] else {
        panic!("handled twice: {answers:?}");
    };
    assert_eq!(result.as_deref(), Some(&b"PAID"[..]));
    assert_eq!(inbox.effects().await, ["paid"]);
}

/// No check and then an act: who comes second waits, or is refused, or finds
/// the first.
///
/// # Panics
///
/// If the law is broken.
pub async fn repeats_at_the_same_time_have_one_effect<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let paid = message("paid");
    for round in 0..20 {
        let paid = paid.clone().with_broker_id(format!("{round}"));
        let all = (0..8).map(|_| inbox.once("bank", &paid, Script::Succeed));
        let all = futures::future::join_all(all).await;
        let done = all.iter().flatten().filter(|one| !one.is_duplicate());
        assert_eq!(done.count(), 1, "round {round}: {all:?}");
    }
    assert_eq!(inbox.effects().await.len(), 20);
}

/// Two consumers of one database are two.
///
/// # Panics
///
/// If the law is broken.
pub async fn each_consumer_handles_a_message_once<S: Subject>() {
    let inbox = S::fresh(config()).await;
    for consumer in ["bank", "mail", "bank", "mail"] {
        let _ = inbox
            .once(consumer, &message("paid"), Script::Succeed)
            .await
            .unwrap();
    }
    assert_eq!(inbox.effects().await, ["paid", "paid"]);
}

/// Neither the effect nor that the message was seen, also if the caller goes
/// on with the transaction.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_fails_leaves_nothing_and_may_come_again<S: Subject>() {
    let inbox = S::fresh(config()).await;
    for script in [Script::Fail, Script::FailAndCommit] {
        let failed = inbox.once("bank", &message("paid"), script).await;
        assert!(failed.is_err(), "{script:?}");
        assert_eq!(inbox.effects().await, [""; 0], "{script:?}");
    }
    let again = message("paid").attempted(2);
    let again = inbox.once("bank", &again, Script::Succeed).await.unwrap();
    assert!(!again.is_duplicate());
    assert_eq!(inbox.effects().await, ["paid"]);
}

/// It cannot be answered again, so it is not done.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_result_that_is_too_long_leaves_nothing<S: Subject>() {
    let inbox = S::fresh(config()).await;
    for bytes in [16, 17] {
        let long = message(&"x".repeat(bytes));
        let answer = inbox.once("bank", &long, Script::Succeed).await;
        assert_eq!(answer.is_ok(), bytes == 16, "{answer:?}");
    }
    assert_eq!(inbox.effects().await, ["x".repeat(16)]);
}

/// It is never handled as if it were new.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_message_without_an_id_is_refused<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let long = Delivery::new("long").with_broker_id("x".repeat(256));
    let all = [
        (Delivery::new("none"), "without its id"),
        (Delivery::new("empty").with_broker_id(""), "empty"),
        (long, "256 bytes"),
    ];
    for (delivery, says) in all {
        let refused = inbox.once("bank", &delivery, Script::Succeed).await;
        assert!(is(&refused, says), "{refused:?}");
        let refused = inbox.begin("bank", &delivery).await;
        assert!(is(&refused, says), "{refused:?}");
    }
    assert_eq!(inbox.effects().await, [""; 0]);
}

/// Ids are text of any form.
///
/// # Panics
///
/// If the law is broken.
pub async fn ids_are_equal_only_if_every_byte_is<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let long = ["y".repeat(255), format!("{}z", "y".repeat(254))];
    let ids = [
        "a", "A", "a ", " a", "a\0", "a\0b", "'--", "1", "01", "1.0", "é", "e\u{301}",
    ];
    let ids = ids.into_iter().chain(long.iter().map(String::as_str));
    let ids: Vec<_> = ids.collect();
    for _ in 0..2 {
        for id in &ids {
            let delivery = Delivery::new("body").with_broker_id(*id);
            let _ = inbox
                .once("bank", &delivery, Script::Succeed)
                .await
                .unwrap();
        }
    }
    assert_eq!(inbox.effects().await.len(), ids.len());
}

/// What may come again is remembered; what is older goes, so many at a time.
///
/// # Panics
///
/// If the law is broken.
pub async fn ids_are_forgotten_by_age_and_in_pieces<S: Subject>() {
    let long = config().retention(Duration::from_secs(3600));
    let inbox = S::fresh(long).await;
    let _ = inbox
        .once("bank", &message("kept"), Script::Succeed)
        .await
        .unwrap();
    inbox.elapse(Duration::from_millis(2)).await;
    assert_eq!(inbox.sweep(10).await.unwrap(), 0, "younger than an hour");
    let again = inbox.once("bank", &message("kept"), Script::Succeed).await;
    assert!(again.unwrap().is_duplicate(), "younger than an hour");

    let inbox = S::fresh(config().retention(RETENTION)).await;
    for id in 0..5 {
        let message = message(&id.to_string());
        let _ = inbox.once("bank", &message, Script::Succeed).await.unwrap();
    }
    inbox.elapse(RETENTION + Duration::from_millis(2)).await;
    match S::FORGETS {
        Forgets::AtMost => forgets_at_most(&inbox).await,
        Forgets::Pieces => forgets_pieces(&inbox).await,
    }
}

async fn forgets_at_most<S: Subject>(inbox: &S) {
    let young = message("young");
    let _ = inbox.once("bank", &young, Script::Succeed).await.unwrap();
    let mut pieces = Vec::new();
    while pieces.last() != Some(&0) {
        pieces.push(inbox.sweep(2).await.unwrap());
    }
    // That the young one is old by now may be: then it is the sixth.
    assert!([5, 6].contains(&pieces.iter().sum::<usize>()), "{pieces:?}");
    assert!(pieces.iter().all(|piece| *piece <= 2), "{pieces:?}");
    let again = inbox
        .once("bank", &message("0"), Script::Succeed)
        .await
        .unwrap();
    assert!(!again.is_duplicate(), "forgotten");
}

async fn forgets_pieces<S: Subject>(inbox: &S) {
    // How long it takes is the engine's to say: that it ends is the law.
    for _ in 0..1000 {
        inbox.sweep(2).await.unwrap();
        let again = inbox.once("bank", &message("0"), Script::Succeed).await;
        if !again.unwrap().is_duplicate() {
            return;
        }
        inbox.elapse(RETENTION).await;
    }
    panic!("never forgotten");
}
