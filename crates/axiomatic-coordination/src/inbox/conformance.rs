//! What every inbox must do, whatever its engine.
//!
//! An engine's tests implement [`Subject`] and hold it to [`laws`], or to each
//! law by its name, so that a failure says which.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_core::BoxError;
use bytes::Bytes;

use super::{
    Admission, Because, Config, Delivery, Fate, Gap, Id, IdRule, Ordered, Outcome, Policy,
    Quarantined,
};
use crate::outbox::Envelope;

/// An inbox with a database, whose only table of business is a list to which
/// work appends the bodies of messages.
pub trait Subject: Send + Sync + Sized {
    /// One whose database is empty.
    fn fresh(config: Config) -> impl Future<Output = Self> + Send;

    /// Handles a message once, and keeps its result: its body in upper case.
    /// Commits and returns as the script says.
    ///
    /// # Errors
    ///
    /// What the inbox or the work said.
    fn once(
        &self,
        consumer: &str,
        delivery: &Delivery,
        script: Script,
    ) -> impl Future<Output = Result<Outcome<Bytes>, BoxError>> + Send;

    /// Handles a message in the order of its key, as the script says.
    ///
    /// # Errors
    ///
    /// What the inbox or the work said.
    fn in_order(
        &self,
        consumer: &str,
        delivery: &Delivery,
        script: Script,
    ) -> impl Future<Output = Result<Ordered, BoxError>> + Send;

    /// Gives up what the stream of this delivery has missed for too long.
    ///
    /// # Errors
    ///
    /// What the inbox said.
    fn give_up_overdue(
        &self,
        consumer: &str,
        of: &Delivery,
    ) -> impl Future<Output = Result<(usize, Vec<Gap>), BoxError>> + Send;

    /// Begins an attempt, and commits that.
    ///
    /// # Errors
    ///
    /// What the inbox said.
    fn begin(
        &self,
        consumer: &str,
        delivery: &Delivery,
    ) -> impl Future<Output = Result<Admission, BoxError>> + Send;

    /// Says that an attempt failed, and commits that.
    ///
    /// # Errors
    ///
    /// What the inbox said.
    fn failed(
        &self,
        consumer: &str,
        delivery: &Delivery,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// What is in quarantine.
    fn quarantined(&self) -> impl Future<Output = Vec<Quarantined>> + Send;

    /// Releases a message from quarantine into the work, as the script says.
    ///
    /// # Errors
    ///
    /// What the inbox or the work said.
    fn release(
        &self,
        consumer: &str,
        id: &Id,
        script: Script,
    ) -> impl Future<Output = Result<Option<Outcome<()>>, BoxError>> + Send;

    /// Throws a message in quarantine away.
    ///
    /// # Errors
    ///
    /// What the inbox said.
    fn discard(
        &self,
        consumer: &str,
        id: &Id,
    ) -> impl Future<Output = Result<bool, BoxError>> + Send;

    /// Forgets what is older than the retention, at most so many.
    ///
    /// # Errors
    ///
    /// What the inbox said.
    fn sweep(&self, at_most: usize) -> impl Future<Output = Result<usize, BoxError>> + Send;

    /// Returns when so much time has passed by the database's clock.
    fn elapse(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// The list, in the order in which work appended to it.
    fn effects(&self) -> impl Future<Output = Vec<String>> + Send;
}

/// What the work does, and what becomes of its transaction.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// It appends the body to the list, and succeeds; the transaction commits.
    Succeed,
    /// It appends the body to the list, and fails; the transaction is rolled
    /// back.
    Fail,
    /// It appends the body to the list, and fails; the caller takes no notice,
    /// and commits the transaction. The error is returned all the same.
    FailAndCommit,
}

/// All laws, one after the other.
///
/// # Panics
///
/// If one of them is broken.
pub async fn laws<S: Subject>() {
    a_repeat_has_no_effect_and_is_answered_with_the_first_result::<S>().await;
    repeats_at_the_same_time_have_one_effect::<S>().await;
    each_consumer_handles_a_message_once::<S>().await;
    what_fails_leaves_nothing_and_may_come_again::<S>().await;
    a_result_that_is_too_long_leaves_nothing::<S>().await;
    a_message_without_an_id_is_refused::<S>().await;
    ids_are_equal_only_if_every_byte_is::<S>().await;
    ids_are_forgotten_by_age_and_in_pieces::<S>().await;
    a_key_is_handled_in_order_whatever_the_broker_does::<S>().await;
    what_is_accepted_out_of_order_is_handled_once::<S>().await;
    what_is_rejected_is_handled_when_it_comes_again::<S>().await;
    streams_have_an_order_each::<S>().await;
    a_failure_behind_a_gap_leaves_all_as_it_was::<S>().await;
    a_gap_is_given_up_when_patience_is_at_its_end::<S>().await;
    a_message_that_ends_processes_goes_to_quarantine::<S>().await;
    an_attempt_of_which_one_hears_is_not_counted::<S>().await;
    what_leaves_quarantine_is_handled_once_or_never::<S>().await;
}

/// The longest redelivery of the laws' broker, and the inbox's retention.
const RETENTION: Duration = Duration::from_millis(20);

fn config() -> Config {
    Config::new(IdRule::BrokerId, RETENTION).longest_result(16)
}

/// A first delivery of a message whose body is its id.
fn message(id: &str) -> Delivery {
    Delivery::new(id.to_owned()).with_broker_id(id).attempted(1)
}

/// Of the key `key`, with this number; 1 is the first.
fn numbered(number: u64) -> Delivery {
    let delivery = message(&number.to_string())
        .keyed("key")
        .with_header(Envelope::SEQUENCE, number.to_string());
    match number {
        1 => delivery.with_header(Envelope::FIRST, "1"),
        _ => delivery,
    }
}

/// Whether it is an error that says this.
fn is<T>(result: &Result<T, BoxError>, says: &str) -> bool {
    let said = result.as_ref().err().map(ToString::to_string);
    said.is_some_and(|said| said.contains(says))
}

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

    let inbox = S::fresh(config().retention(RETENTION)).await;
    for id in 0..5 {
        let message = message(&id.to_string());
        let _ = inbox.once("bank", &message, Script::Succeed).await.unwrap();
    }
    inbox.elapse(RETENTION + Duration::from_millis(2)).await;
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

/// After as many attempts as the configuration says, of which nobody heard
/// how they ended.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_message_that_ends_processes_goes_to_quarantine<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let poison = message("poison").keyed("key").with_header("a", "b");
    for attempt in 1..5 {
        let delivery = poison.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Handle, "attempt {attempt}");
        // And the process ends.
    }
    assert_eq!(inbox.quarantined().await, []);
    for attempt in 5..7 {
        let delivery = poison.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Quarantined, "attempt {attempt}");
    }
    let mail = inbox.begin("mail", &poison.clone().attempted(2)).await;
    assert_eq!(mail.unwrap(), Admission::Handle, "another consumer");
    let quarantined = inbox.quarantined().await;
    let [found] = &quarantined[..] else {
        panic!("one: {quarantined:?}");
    };
    assert_eq!(
        (&*found.consumer, found.id.as_str(), found.started),
        ("bank", "poison", 3)
    );
    assert_eq!(found.delivery, poison.attempted(5), "as it was delivered");
    assert_eq!(inbox.effects().await, [""; 0]);
}

/// Neither a failure nor a success, however often.
///
/// # Panics
///
/// If the law is broken.
pub async fn an_attempt_of_which_one_hears_is_not_counted<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let sick = message("sick");
    for attempt in 2..12 {
        let delivery = sick.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Handle, "attempt {attempt}");
        assert!(inbox.once("bank", &delivery, Script::Fail).await.is_err());
        inbox.failed("bank", &delivery).await.unwrap();
    }
    // Handled, and the acknowledgement is lost again and again.
    for attempt in 12..20 {
        let delivery = sick.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Handle, "attempt {attempt}");
        let _ = inbox
            .once("bank", &delivery, Script::Succeed)
            .await
            .unwrap();
    }
    assert_eq!(inbox.effects().await, ["sick"]);
}

/// An operator decides.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_leaves_quarantine_is_handled_once_or_never<S: Subject>() {
    let inbox = S::fresh(config().starts(NonZeroU32::MIN)).await;
    for poison in [message("released"), message("discarded")] {
        for attempt in 2..4 {
            let _ = inbox
                .begin("bank", &poison.clone().attempted(attempt))
                .await
                .unwrap();
        }
    }
    assert_eq!(inbox.quarantined().await.len(), 2);
    let id = |id: &str| Id::new(id).expect("an id");
    let (released, discarded) = (id("released"), id("discarded"));

    assert!(
        inbox
            .release("bank", &released, Script::Fail)
            .await
            .is_err()
    );
    assert_eq!(inbox.quarantined().await.len(), 2, "it is there still");
    let done = inbox
        .release("bank", &released, Script::Succeed)
        .await
        .unwrap();
    assert_eq!(done, Some(Outcome::Done(())));
    let again = inbox
        .release("bank", &released, Script::Succeed)
        .await
        .unwrap();
    assert_eq!(again, None);

    assert!(inbox.discard("bank", &discarded).await.unwrap());
    assert!(!inbox.discard("bank", &discarded).await.unwrap());
    assert_eq!(inbox.quarantined().await, []);
    for body in ["released", "discarded"] {
        let again = message(body).attempted(9);
        assert_eq!(
            inbox.begin("bank", &again).await.unwrap(),
            Admission::Handle
        );
        let again = inbox.once("bank", &again, Script::Succeed).await.unwrap();
        assert!(again.is_duplicate(), "{body}");
    }
    assert_eq!(inbox.effects().await, ["released"]);
}
