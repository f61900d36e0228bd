//! Laws of messages that an outbox has numbered.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Script, Subject, config, is, message, numbered};
use crate::inbox::{Because, Config, Fate, Gap, Policy};

fn buffer(at_most: u32, patience: Duration) -> Config {
    let at_most = NonZeroU32::new(at_most).expect("not zero");
    config().out_of_order(Policy::Buffer { at_most, patience })
}

const HOUR: Duration = Duration::from_secs(3600);

/// With a buffer: reordered, repeated, and each handled once, in order, as it
/// was delivered.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_key_is_handled_in_order_whatever_the_broker_does<S: Subject>() {
    let inbox = S::fresh(buffer(3, HOUR)).await;
    let mut fates = Vec::new();
    for number in [2, 4, 2, 1, 1, 5, 7, 6, 9, 3, 4, 9, 8, 6] {
        let ordered = inbox
            .in_order("bank", &numbered(number), Script::Succeed)
            .await;
        let ordered = ordered.unwrap();
        fates.push((number, ordered.fate, ordered.handled));
    }
    let is_full = |fate: &Fate| {
        matches!(
            fate,
            Fate::Rejected {
                because: Because::Full,
                ..
            }
        )
    };
    let rejected = fates.iter().filter(|(_, fate, _)| is_full(fate));
    let rejected: Vec<_> = rejected.map(|(number, ..)| *number).collect();
    assert_eq!(rejected, [6, 9], "4, 5 and 7 fill the buffer");
    let expected = [
        (2, Fate::Held, 0),
        (4, Fate::Held, 0),
        (2, Fate::Duplicate, 0),
        (1, Fate::Done, 2),
        (1, Fate::Duplicate, 0),
        (5, Fate::Held, 0),
        (7, Fate::Held, 0),
        (3, Fate::Done, 3),
        (4, Fate::Duplicate, 0),
        (9, Fate::Held, 0),
        (8, Fate::Held, 0),
        (6, Fate::Done, 4),
    ];
    fates.retain(|(_, fate, _)| !is_full(fate));
    assert_eq!(fates, expected);
    let effects = inbox.effects().await;
    assert_eq!(effects, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

/// Whatever the order, each once.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_is_accepted_out_of_order_is_handled_once<S: Subject>() {
    let gaps_at_most = NonZeroU32::new(2).expect("not zero");
    let inbox = S::fresh(config().out_of_order(Policy::Accept { gaps_at_most })).await;
    let mut late = Vec::new();
    for number in [1, 3, 3, 6, 2, 5, 6, 4, 1, 7] {
        let ordered = inbox
            .in_order("bank", &numbered(number), Script::Succeed)
            .await;
        let ordered = ordered.unwrap();
        assert!(ordered.fate.is_acknowledged() && ordered.given_up.is_empty());
        if ordered.is_late {
            late.push(number);
        }
    }
    assert_eq!(inbox.effects().await, ["1", "3", "6", "2", "5", "4", "7"]);
    assert_eq!(late, [2, 5, 4]);
}

/// The broker keeps what came ahead.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_is_rejected_is_handled_when_it_comes_again<S: Subject>() {
    let inbox = S::fresh(config().out_of_order(Policy::Reject { patience: HOUR })).await;
    let mut rejected = 0;
    for number in [1, 4, 3, 2, 4, 3, 4] {
        let ordered = inbox
            .in_order("bank", &numbered(number), Script::Succeed)
            .await;
        if let Fate::Rejected { retry_after, .. } = ordered.unwrap().fate {
            assert!(retry_after <= HOUR);
            rejected += 1;
        }
    }
    assert_eq!(inbox.effects().await, ["1", "2", "3", "4"]);
    assert_eq!(rejected, 3);
}

/// A consumer's, a source's, a tenant's and a key's.
///
/// # Panics
///
/// If the law is broken.
pub async fn streams_have_an_order_each<S: Subject>() {
    let inbox = S::fresh(buffer(3, HOUR)).await;
    let one = numbered(1);
    let streams = [
        ("bank", one.clone()),
        ("mail", one.clone()),
        ("bank", one.clone().from_source("other")),
        ("bank", one.clone().of_tenant("")),
        ("bank", one.clone().of_tenant("acme")),
        ("bank", one.clone().keyed("another")),
    ];
    for (consumer, delivery) in &streams {
        let ordered = inbox.in_order(consumer, delivery, Script::Succeed).await;
        assert_eq!(ordered.unwrap().fate, Fate::Done, "{consumer} {delivery:?}");
    }
    assert_eq!(inbox.effects().await.len(), streams.len());
    let bare = message("without a number").keyed("key");
    let refused = inbox.in_order("bank", &bare, Script::Succeed).await;
    assert!(is(&refused, "no order"), "{refused:?}");
}

/// What was stored is stored still, and the one that came comes again.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_failure_behind_a_gap_leaves_all_as_it_was<S: Subject>() {
    let inbox = S::fresh(buffer(3, HOUR)).await;
    for number in [1, 3] {
        let ordered = inbox
            .in_order("bank", &numbered(number), Script::Succeed)
            .await;
        assert!(ordered.unwrap().fate.is_acknowledged());
    }
    for script in [Script::Fail, Script::FailAndCommit] {
        assert!(inbox.in_order("bank", &numbered(2), script).await.is_err());
        assert_eq!(inbox.effects().await, ["1"]);
    }
    let again = inbox.in_order("bank", &numbered(2), Script::Succeed).await;
    assert_eq!(again.unwrap().handled, 2);
    assert_eq!(inbox.effects().await, ["1", "2", "3"]);
}

/// Not before; by a call or by the next message; and what comes then is a
/// duplicate.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_gap_is_given_up_when_patience_is_at_its_end<S: Subject>() {
    let inbox = S::fresh(buffer(3, HOUR)).await;
    let _ = inbox
        .in_order("bank", &numbered(2), Script::Succeed)
        .await
        .unwrap();
    let given_up = inbox.give_up_overdue("bank", &numbered(2)).await;
    assert_eq!(given_up.unwrap(), (0, vec![]), "an hour is not over");

    let patience = Duration::from_millis(2);
    let inbox = S::fresh(buffer(3, patience)).await;
    let _ = inbox
        .in_order("bank", &numbered(1), Script::Succeed)
        .await
        .unwrap();
    let _ = inbox
        .in_order("bank", &numbered(4), Script::Succeed)
        .await
        .unwrap();
    inbox.elapse(patience).await;
    let given_up = inbox.give_up_overdue("bank", &numbered(1)).await.unwrap();
    let gap = Gap {
        after: 1,
        before: 4,
    };
    assert_eq!(given_up, (1, vec![gap]));
    let late = inbox
        .in_order("bank", &numbered(3), Script::Succeed)
        .await
        .unwrap();
    assert_eq!(late.fate, Fate::Duplicate);

    let _ = inbox
        .in_order("bank", &numbered(6), Script::Succeed)
        .await
        .unwrap();
    inbox.elapse(patience).await;
    let ordered = inbox
        .in_order("bank", &numbered(7), Script::Succeed)
        .await
        .unwrap();
    let gap = Gap {
        after: 4,
        before: 6,
    };
    assert_eq!((ordered.handled, &*ordered.given_up), (2, &[gap][..]));
    assert_eq!(inbox.effects().await, ["1", "4", "6", "7"]);
}
