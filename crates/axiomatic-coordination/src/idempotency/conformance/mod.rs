//! What every store of idempotent requests must do, whatever its engine.
//!
//! An engine's tests implement [`Subject`] and hold it to [`laws`], or to each
//! law by its name, so that a failure says which. The laws spawn tasks: a
//! runtime of several threads shows more.

mod adoption;
mod claims;
mod fences;
mod forgetting;
mod steps;

use std::future::Future;
use std::time::Duration;

use axiomatic_core::BoxError;
use bytes::Bytes;
use serde_json::Value;

use super::{
    Adopt, Adopted, Claim, Claimed, Fence, Fingerprint, Key, Kind, Mine, Name, Owner, PhaseError,
    Phases, Scope, Step, Store, StoredRequest, StoredResponse,
};

pub use adoption::{
    only_what_was_stored_and_abandoned_long_enough_is_adopted,
    requests_are_adopted_as_often_as_they_may_be_claimed, two_adopters_never_have_the_same,
    what_is_abandoned_longest_is_adopted_first, what_is_complete_or_forgotten_is_not_adopted,
};
pub use claims::{
    a_claim_asked_again_is_answered_as_before, a_claim_does_not_wait_for_an_atomic_phase,
    a_key_is_new_then_in_progress_then_completed, another_request_under_a_key_is_a_mismatch,
    answers_are_repeated_to_the_byte, keys_are_equal_only_if_every_byte_is,
    of_first_claims_at_once_one_has_it, the_longest_name_is_taken,
    the_same_key_elsewhere_is_another,
};
pub use fences::{
    a_lease_that_ended_is_followed_by_a_higher_epoch,
    a_lease_that_ended_is_held_until_another_follows, a_renewed_lease_does_not_end,
    nothing_is_written_for_a_lease_that_was_followed, only_who_has_the_lease_completes,
    what_is_complete_or_released_is_changed_no_more,
};
pub use forgetting::{
    a_key_is_forgotten_when_its_retention_ends, a_key_whose_lease_is_held_is_not_forgotten,
    keys_are_forgotten_in_pieces,
};
pub use steps::{
    a_phase_that_fails_leaves_nothing, a_released_request_goes_on_from_its_last_step,
    a_step_recorded_again_is_one, steps_are_kept_in_their_order,
};

/// A store, and in its database a list to which the work of phases appends.
pub trait Subject: Send + Sync + Sized {
    /// The store.
    type Store: Store;

    /// One whose database is empty.
    fn fresh() -> impl Future<Output = Self> + Send;

    /// A handle of the store.
    fn store(&self) -> Self::Store;

    /// An atomic phase of this name, whose work appends the name to the list
    /// and returns the name in upper case; or fails, as the script says.
    ///
    /// # Errors
    ///
    /// What the phase said.
    fn atomic(
        &self,
        phases: &Phases<Self::Store>,
        phase: &'static str,
        script: Script,
    ) -> impl Future<Output = Result<String, PhaseError<BoxError>>> + Send;

    /// Claims while the work of an atomic phase runs, and returns what that
    /// found; the phase ends thereafter, whatever that was. Nothing if the
    /// engine's work is such that nobody else can have a turn within it.
    fn claim_within_atomic(
        &self,
        phases: &Phases<Self::Store>,
        claim: &Claim<'_>,
    ) -> impl Future<Output = Option<Result<Claimed, BoxError>>> + Send;

    /// Returns when so much time has passed by the database's clock.
    fn elapse(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// The list, in the order in which work appended to it.
    fn effects(&self) -> impl Future<Output = Vec<String>> + Send;
}

/// What the work of an atomic phase does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// It appends, and succeeds.
    Succeed,
    /// It appends, and fails.
    Fail,
}

/// All laws, one after the other.
///
/// # Panics
///
/// If one of them is broken.
pub async fn laws<S: Subject>() {
    a_key_is_new_then_in_progress_then_completed::<S>().await;
    another_request_under_a_key_is_a_mismatch::<S>().await;
    of_first_claims_at_once_one_has_it::<S>().await;
    a_claim_asked_again_is_answered_as_before::<S>().await;
    a_claim_does_not_wait_for_an_atomic_phase::<S>().await;
    answers_are_repeated_to_the_byte::<S>().await;
    the_same_key_elsewhere_is_another::<S>().await;
    keys_are_equal_only_if_every_byte_is::<S>().await;
    the_longest_name_is_taken::<S>().await;
    a_lease_that_ended_is_followed_by_a_higher_epoch::<S>().await;
    a_lease_that_ended_is_held_until_another_follows::<S>().await;
    a_renewed_lease_does_not_end::<S>().await;
    nothing_is_written_for_a_lease_that_was_followed::<S>().await;
    only_who_has_the_lease_completes::<S>().await;
    what_is_complete_or_released_is_changed_no_more::<S>().await;
    a_released_request_goes_on_from_its_last_step::<S>().await;
    steps_are_kept_in_their_order::<S>().await;
    a_step_recorded_again_is_one::<S>().await;
    a_phase_that_fails_leaves_nothing::<S>().await;
    a_key_is_forgotten_when_its_retention_ends::<S>().await;
    a_key_whose_lease_is_held_is_not_forgotten::<S>().await;
    keys_are_forgotten_in_pieces::<S>().await;
    only_what_was_stored_and_abandoned_long_enough_is_adopted::<S>().await;
    what_is_abandoned_longest_is_adopted_first::<S>().await;
    requests_are_adopted_as_often_as_they_may_be_claimed::<S>().await;
    two_adopters_never_have_the_same::<S>().await;
    what_is_complete_or_forgotten_is_not_adopted::<S>().await;
}

/// Longer than a law takes on the slowest machine.
const LONG: Duration = Duration::from_secs(3600);

/// Short enough to wait for its end.
const SHORT: Duration = Duration::from_millis(20);

/// Until what was to last [`SHORT`] is over.
async fn end_of_short<S: Subject>(subject: &S) {
    subject.elapse(SHORT + Duration::from_millis(5)).await;
}

fn name(key: &str) -> Name {
    let scope = Scope {
        tenant: "acme".into(),
        method: "POST".into(),
        route: "/charges".into(),
    };
    let key = Key::new(key).expect("a key");
    Name { scope, key }
}

/// A claim by somebody new, with a long lease and a long retention.
fn claim(name: &Name) -> Claim<'_> {
    Claim {
        name,
        fingerprint: Fingerprint([7; 32]),
        owner: Owner::unique(),
        lease: LONG,
        retention: LONG,
        request: None,
    }
}

/// One who adopts what was just abandoned, however often it was claimed.
fn adopt() -> Adopt {
    Adopt {
        owner: Owner::unique(),
        lease: LONG,
        abandoned_for: Duration::ZERO,
        attempts: u32::MAX,
    }
}

async fn claims<S: Subject>(subject: &S, claim: &Claim<'_>) -> Claimed {
    subject.store().claim(claim).await.unwrap()
}

/// A claim that must be ours.
async fn mine<S: Subject>(subject: &S, claim: &Claim<'_>) -> Mine {
    match claims(subject, claim).await {
        Claimed::Mine(mine) => mine,
        other => panic!("not ours: {other:?}"),
    }
}

async fn adopts<S: Subject>(subject: &S, adopt: &Adopt) -> Option<Adopted> {
    subject.store().adopt(adopt).await.unwrap()
}

fn phases<S: Subject>(subject: &S, name: &Name, mine: &Mine) -> Phases<S::Store> {
    Phases::new(subject.store(), name.clone(), mine.clone())
}

fn step(name: &str, value: impl Into<Value>) -> Step {
    Step {
        name: name.into(),
        kind: Kind::Foreign,
        value: value.into(),
    }
}

fn response(body: impl Into<Bytes>) -> StoredResponse {
    StoredResponse {
        status: 201,
        headers: vec![("content-type".into(), "text/plain".into())],
        body: body.into(),
    }
}

fn request(body: impl Into<Bytes>) -> StoredRequest {
    StoredRequest {
        method: "POST".into(),
        uri: "/charges?currency=eur".into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.into(),
    }
}

/// Completes what is held.
async fn completes<S: Subject>(subject: &S, mine: &Mine, body: &'static str) {
    let done = subject
        .store()
        .complete(&mine.lease, &response(body), LONG)
        .await;
    assert_eq!(done.unwrap(), Fence::Held);
}

/// Gives up what is held.
async fn releases<S: Subject>(subject: &S, mine: &Mine) {
    let done = subject.store().release(&mine.lease).await;
    assert_eq!(done.unwrap(), Fence::Held);
}
