//! What every store of sagas must do, whatever its engine.
//!
//! An engine's tests implement [`Subject`] and hold it to [`laws`], or to each
//! law by its name, so that a failure says which. The laws spawn tasks, and
//! one of them has work block a thread: they need a runtime of several.

mod appending;
mod finding;
mod leases;
mod locking;
mod mail;
mod racing;
mod starting;
mod subject;
mod sweeping;
mod taking;
mod working;

use std::slice::from_ref;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::{
    Append, Appended, BUCKETS, Change, Definition, ExecutorId, Found, Kind, Lease, Loaded, Mail,
    Posted, Record, SagaId, Stage, Start, Started, Store, Subject as About, Taken, Wake,
};
use crate::outbox::Bucket;

pub use appending::{
    a_change_sets_the_stage_and_the_result, a_saga_is_due_when_the_change_says,
    an_append_asked_again_is_one, an_append_elsewhere_is_a_conflict,
    nothing_is_appended_for_a_lease_that_is_lost, records_are_kept_in_order_and_to_the_byte,
};
pub use finding::{
    a_saga_is_loaded_as_it_was_taken, only_who_holds_the_lease_loads,
    sagas_are_counted_by_their_stage, sagas_are_listed_in_the_order_of_their_ids,
};
pub use leases::{
    a_bucket_is_held_by_one_executor, a_claim_asked_again_is_answered_as_before,
    a_lease_is_given_back_by_who_holds_it, a_lease_that_ended_is_followed_by_a_greater_epoch,
    attending_prolongs_only_leases_that_have_not_ended, what_was_held_is_due_when_another_claims,
    who_attends_is_here_until_its_time_is_over,
};
pub use locking::{
    a_request_made_again_is_one, nothing_is_locked_for_a_lease_that_is_lost,
    of_those_who_ask_at_once_each_has_its_turn, those_who_share_have_it_together_and_pass_nobody,
    who_asks_first_has_it_until_its_saga_ends, who_does_not_wait_stands_in_no_line,
    who_ends_while_it_waits_leaves_the_line, who_stands_in_line_waits_for_no_more,
    whoever_waits_hears_when_it_has_all, work_that_ends_a_saga_leaves_its_lines,
};
pub use mail::{
    a_held_saga_with_mail_is_given_until_it_is_read, a_letter_posted_again_is_one,
    a_letter_to_nobody_is_refused, letters_keep_their_order_and_every_byte,
    letters_of_a_parked_saga_wait_for_its_time_or_for_another,
    mail_makes_a_saga_due_whatever_the_change_says, reading_throws_away_the_oldest_letters,
    who_waits_hears_that_there_is_something_to_do,
};
pub use racing::{
    letters_posted_while_others_are_read_are_kept, of_appends_at_one_place_one_is_written,
    of_claims_at_once_one_has_the_bucket, of_starts_at_once_one_begins,
    of_takes_at_once_one_has_each_saga, what_a_zombie_writes_is_not_among_what_its_followers_write,
};
pub use starting::{
    a_deadline_is_counted_from_the_start, a_saga_begins_with_what_it_was_given,
    a_saga_started_again_is_not_changed, a_saga_started_for_a_lease_that_is_lost_waits,
    a_saga_started_with_a_lease_is_held_by_it,
};
pub use subject::{Gate, Script, Subject};
pub use sweeping::{
    of_two_that_are_archived_the_later_is_found, only_what_has_ended_long_enough_ago_is_swept,
    sagas_are_swept_in_pieces, what_is_archived_is_found_and_otherwise_gone,
    who_is_swept_is_as_if_it_had_never_been,
};
pub use taking::{
    a_saga_that_cannot_be_read_costs_the_others_nothing,
    loads_are_counted_until_the_saga_goes_forward, no_more_sagas_are_taken_than_asked_for,
    nothing_is_taken_for_a_lease_that_is_lost, the_longest_due_are_taken_first,
    what_is_taken_is_not_taken_again,
};
pub use working::{
    an_effect_and_its_record_are_one, nobody_follows_before_work_has_ended,
    work_is_not_run_elsewhere, work_is_not_run_for_a_lease_that_is_lost,
    work_that_errs_leaves_nothing,
};

/// All laws, one after the other.
///
/// # Panics
///
/// If one of them is broken.
pub async fn laws<S: Subject>() {
    who_attends_is_here_until_its_time_is_over::<S>().await;
    a_bucket_is_held_by_one_executor::<S>().await;
    a_claim_asked_again_is_answered_as_before::<S>().await;
    a_lease_that_ended_is_followed_by_a_greater_epoch::<S>().await;
    attending_prolongs_only_leases_that_have_not_ended::<S>().await;
    a_lease_is_given_back_by_who_holds_it::<S>().await;
    what_was_held_is_due_when_another_claims::<S>().await;
    a_saga_begins_with_what_it_was_given::<S>().await;
    a_saga_started_again_is_not_changed::<S>().await;
    a_saga_started_with_a_lease_is_held_by_it::<S>().await;
    a_saga_started_for_a_lease_that_is_lost_waits::<S>().await;
    a_deadline_is_counted_from_the_start::<S>().await;
    the_longest_due_are_taken_first::<S>().await;
    no_more_sagas_are_taken_than_asked_for::<S>().await;
    what_is_taken_is_not_taken_again::<S>().await;
    nothing_is_taken_for_a_lease_that_is_lost::<S>().await;
    loads_are_counted_until_the_saga_goes_forward::<S>().await;
    a_saga_that_cannot_be_read_costs_the_others_nothing::<S>().await;
    a_saga_is_loaded_as_it_was_taken::<S>().await;
    only_who_holds_the_lease_loads::<S>().await;
    records_are_kept_in_order_and_to_the_byte::<S>().await;
    nothing_is_appended_for_a_lease_that_is_lost::<S>().await;
    an_append_elsewhere_is_a_conflict::<S>().await;
    an_append_asked_again_is_one::<S>().await;
    a_change_sets_the_stage_and_the_result::<S>().await;
    a_saga_is_due_when_the_change_says::<S>().await;
    letters_keep_their_order_and_every_byte::<S>().await;
    a_letter_posted_again_is_one::<S>().await;
    letters_of_a_parked_saga_wait_for_its_time_or_for_another::<S>().await;
    a_letter_to_nobody_is_refused::<S>().await;
    mail_makes_a_saga_due_whatever_the_change_says::<S>().await;
    a_held_saga_with_mail_is_given_until_it_is_read::<S>().await;
    reading_throws_away_the_oldest_letters::<S>().await;
    who_waits_hears_that_there_is_something_to_do::<S>().await;
    an_effect_and_its_record_are_one::<S>().await;
    work_that_errs_leaves_nothing::<S>().await;
    work_is_not_run_for_a_lease_that_is_lost::<S>().await;
    work_is_not_run_elsewhere::<S>().await;
    nobody_follows_before_work_has_ended::<S>().await;
    sagas_are_listed_in_the_order_of_their_ids::<S>().await;
    sagas_are_counted_by_their_stage::<S>().await;
    only_what_has_ended_long_enough_ago_is_swept::<S>().await;
    sagas_are_swept_in_pieces::<S>().await;
    who_is_swept_is_as_if_it_had_never_been::<S>().await;
    what_is_archived_is_found_and_otherwise_gone::<S>().await;
    of_two_that_are_archived_the_later_is_found::<S>().await;
    who_asks_first_has_it_until_its_saga_ends::<S>().await;
    those_who_share_have_it_together_and_pass_nobody::<S>().await;
    whoever_waits_hears_when_it_has_all::<S>().await;
    who_does_not_wait_stands_in_no_line::<S>().await;
    who_stands_in_line_waits_for_no_more::<S>().await;
    a_request_made_again_is_one::<S>().await;
    nothing_is_locked_for_a_lease_that_is_lost::<S>().await;
    who_ends_while_it_waits_leaves_the_line::<S>().await;
    work_that_ends_a_saga_leaves_its_lines::<S>().await;
    of_those_who_ask_at_once_each_has_its_turn::<S>().await;
    of_claims_at_once_one_has_the_bucket::<S>().await;
    of_starts_at_once_one_begins::<S>().await;
    of_takes_at_once_one_has_each_saga::<S>().await;
    of_appends_at_one_place_one_is_written::<S>().await;
    letters_posted_while_others_are_read_are_kept::<S>().await;
    what_a_zombie_writes_is_not_among_what_its_followers_write::<S>().await;
}

/// Longer than a law takes on the slowest machine.
const LONG: Duration = Duration::from_secs(3600);

/// Short enough to wait for its end, where nothing has to be done before.
const SHORT: Duration = Duration::from_millis(20);

/// Long enough to do something before its end.
const BRIEF: Duration = Duration::from_millis(400);

/// Until what was to last so long is over.
async fn end_of<S: Subject>(subject: &S, time: Duration) {
    subject.elapse(time + Duration::from_millis(5)).await;
}

fn executor() -> ExecutorId {
    ExecutorId::new("host")
}

async fn claims<S: Subject>(
    subject: &S,
    executor: &ExecutorId,
    wanted: &[Bucket],
    ttl: Duration,
) -> Vec<Lease> {
    let mut claimed = subject.store().claim(executor, wanted, ttl).await.unwrap();
    claimed.sort_by_key(|lease| lease.bucket);
    claimed
}

/// A lease of the saga's bucket, which nobody holds, by somebody new.
async fn leases<S: Subject>(subject: &S, saga: SagaId, ttl: Duration) -> Lease {
    let bucket = saga.bucket();
    let claimed = claims(subject, &executor(), &[bucket], ttl).await;
    assert_eq!(claimed.len(), 1, "nobody holds {bucket}");
    claimed.into_iter().next().expect("there is one")
}

/// Leases of all buckets, in their order, by somebody new.
async fn leases_all<S: Subject>(subject: &S) -> Vec<Lease> {
    let buckets: Vec<_> = BUCKETS.all().collect();
    let all = claims(subject, &executor(), &buckets, LONG).await;
    assert_eq!(all.len(), buckets.len());
    all
}

fn lease_of(all: &[Lease], saga: SagaId) -> &Lease {
    &all[usize::from(saga.bucket().0)]
}

async fn releases<S: Subject>(subject: &S, lease: &Lease) {
    let leases = from_ref(lease);
    let store = subject.store();
    let released = store.release(&lease.owner, leases, super::Departing::No);
    released.await.unwrap();
}

/// A saga of this bucket.
fn saga_in(bucket: Bucket) -> SagaId {
    loop {
        let saga = SagaId::unique();
        if saga.bucket() == bucket {
            return saga;
        }
    }
}

/// A saga of another bucket than that.
fn saga_outside(bucket: Bucket) -> SagaId {
    loop {
        let saga = SagaId::unique();
        if saga.bucket() != bucket {
            return saga;
        }
    }
}

fn start(saga: SagaId) -> Start {
    Start {
        saga,
        definition: Definition {
            name: "transfer".into(),
            version: 3,
            hash: u64::MAX - 6,
        },
        input: Bytes::from_static(br#"{"amount":17}"#),
        deadline: None,
        held: None,
    }
}

async fn starts<S: Subject>(subject: &S, start: &Start) -> Started {
    subject.store().start(start).await.unwrap()
}

/// A saga that waits, and has just begun to.
async fn waiting<S: Subject>(subject: &S) -> SagaId {
    let saga = SagaId::unique();
    assert_eq!(starts(subject, &start(saga)).await, Started::Waits);
    saga
}

/// Begins a saga which this lease holds, with one line.
async fn held_by<S: Subject>(subject: &S, lease: &Lease) -> SagaId {
    let mut start = start(saga_in(lease.bucket));
    start.held = Some((lease.clone(), change([record(Kind::Began, "book")])));
    assert_eq!(starts(subject, &start).await, Started::Held);
    start.saga
}

/// A saga with one line, and the lease that holds it.
async fn held<S: Subject>(subject: &S) -> (SagaId, Lease) {
    let lease = leases(subject, SagaId::unique(), LONG).await;
    (held_by(subject, &lease).await, lease)
}

fn record(kind: Kind, step: &str) -> Record {
    Record {
        kind,
        step: step.into(),
        item: 0,
        attempt: 1,
        data: Bytes::new(),
        mail: None,
    }
}

/// A change by which the saga goes on, held.
fn change(records: impl IntoIterator<Item = Record>) -> Change {
    Change {
        records: records.into_iter().collect(),
        stage: Stage::Running,
        wake: Wake::Held,
        result: None,
        progress: true,
    }
}

/// The change by which a saga ends.
fn end(stage: Stage) -> Change {
    let kind = match stage {
        Stage::Done => Kind::Done,
        Stage::Compensated => Kind::Undone,
        _ => Kind::Abandoned,
    };
    let mut end = change([record(kind, "book")]);
    (end.stage, end.result) = (stage, Some(Bytes::from_static(b"\"at last\"")));
    end
}

fn append(saga: SagaId, after: u64, change: Change) -> Append {
    Append {
        saga,
        after,
        change,
        read: 0,
    }
}

async fn appends<S: Subject>(subject: &S, lease: &Lease, append: &Append) -> Appended {
    subject.store().append(lease, append).await.unwrap()
}

/// Appends what must be written.
async fn writes<S: Subject>(subject: &S, lease: &Lease, append: &Append) {
    assert_eq!(appends(subject, lease, append).await, Appended::Held);
}

/// Ends a saga that this lease holds, and which has one line.
async fn ends<S: Subject>(subject: &S, lease: &Lease, saga: SagaId, stage: Stage) {
    writes(subject, lease, &append(saga, 1, end(stage))).await;
}

async fn takes<S: Subject>(subject: &S, leases: &[Lease], at_most: usize) -> Taken {
    let store = subject.store();
    store.take(leases, at_most, LONG).await.unwrap()
}

/// What is due, all of which can be read.
async fn due<S: Subject>(subject: &S, leases: &[Lease]) -> Vec<Loaded> {
    let taken = takes(subject, leases, 1000).await;
    assert!(!taken.more, "a law has less");
    let sagas = taken.sagas.into_iter();
    sagas.map(|saga| saga.expect("it can be read")).collect()
}

/// The ids of what is due.
async fn due_ids<S: Subject>(subject: &S, leases: &[Lease]) -> Vec<SagaId> {
    let due = due(subject, leases).await;
    due.iter().map(|loaded| loaded.saga).collect()
}

async fn finds<S: Subject>(subject: &S, saga: SagaId) -> Found {
    let found = subject.store().find(saga).await.unwrap();
    found.expect("it is there")
}

/// What a saga's log says.
async fn log<S: Subject>(subject: &S, saga: SagaId) -> Vec<Record> {
    let records = finds(subject, saga).await.records.into_iter();
    records.map(|recorded| recorded.record).collect()
}

fn letter(name: &str) -> Mail {
    Mail {
        id: Uuid::now_v7(),
        subject: About::Signal,
        name: name.into(),
        data: Bytes::from_static(br#""payload""#),
    }
}

async fn posts<S: Subject>(subject: &S, saga: SagaId, mail: &Mail) {
    let posted = subject.store().post(saga, mail).await.unwrap();
    assert_eq!(posted, Posted::Accepted);
}

/// The append by which a letter is read that is the oldest.
fn reads(saga: SagaId, after: u64, mail: &Mail) -> Append {
    let mut record = record(Kind::Signalled, &mail.name);
    record.mail = Some(mail.id);
    let mut append = append(saga, after, change([record]));
    append.read = 1;
    append
}

/// What a saga's lease lets one load.
async fn loads<S: Subject>(subject: &S, lease: &Lease, saga: SagaId) -> Loaded {
    let loaded = subject.store().load(lease, saga).await.unwrap();
    loaded.expect("the lease is held")
}
