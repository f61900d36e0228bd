//! What every inbox must do, whatever its engine.
//!
//! An engine's tests implement [`Subject`] and hold it to [`laws`], or to each
//! law by its name, so that a failure says which.

mod by_id;
mod by_number;
mod poison;

use std::future::Future;
use std::time::Duration;

use axiomatic_core::BoxError;
use bytes::Bytes;

use super::{Admission, Config, Delivery, Gap, Id, IdRule, Ordered, Outcome, Quarantined};
use crate::outbox::Envelope;

pub use by_id::{
    a_message_without_an_id_is_refused,
    a_repeat_has_no_effect_and_is_answered_with_the_first_result,
    a_result_that_is_too_long_leaves_nothing, each_consumer_handles_a_message_once,
    ids_are_equal_only_if_every_byte_is, ids_are_forgotten_by_age_and_in_pieces,
    repeats_at_the_same_time_have_one_effect, what_fails_leaves_nothing_and_may_come_again,
};
pub use by_number::{
    a_failure_behind_a_gap_leaves_all_as_it_was, a_gap_is_given_up_when_patience_is_at_its_end,
    a_key_is_handled_in_order_whatever_the_broker_does, streams_have_an_order_each,
    what_is_accepted_out_of_order_is_handled_once, what_is_rejected_is_handled_when_it_comes_again,
};
pub use poison::{
    a_message_that_ends_processes_goes_to_quarantine, an_attempt_of_which_one_hears_is_not_counted,
    what_leaves_quarantine_is_handled_once_or_never,
};

/// An inbox with a database, whose only table of business is a list to which
/// work appends the bodies of messages.
pub trait Subject: Send + Sync + Sized {
    /// In which pieces ids are forgotten.
    const FORGETS: Forgets = Forgets::AtMost;

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

    /// Forgets what is older than the retention, at most so many, and returns
    /// how many; or, in [pieces](Forgets::Pieces), how many of those.
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

/// In which pieces an inbox forgets ids.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Forgets {
    /// So many as it is told to, at most.
    AtMost,
    /// Pieces of its own, in which ids stand by their age. One goes when all
    /// that can stand in it is old, which takes longer than the retention.
    Pieces,
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
