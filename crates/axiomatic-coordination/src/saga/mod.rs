//! Sagas: several steps, each in a place of its own, that all happen or are
//! all undone.
//!
//! **A step in the saga's own database has its effect exactly once. A step
//! elsewhere happens at least once, and once as far as the other side knows a
//! key again. In the end all steps are done, or what was done is undone, or an
//! operator was asked: whatever processes die meanwhile.**
//!
//! # The problem
//!
//! A purchase reserves stock, charges a card and books a parcel: three
//! services, and no transaction over them. Code that calls one after the other
//! stops somewhere when its process dies, and nobody knows where. So it is
//! written down what is about to be done and what was, and somebody goes on
//! from there (Garcia-Molina and Salem, *Sagas*, SIGMOD 1987). What is then
//! easily done wrong:
//!
//! - **A timeout is taken for a failure.** The card was charged, the answer was
//!   lost, and nothing is undone since nothing "happened". Here an outcome is
//!   done, failed or *unknown*, and what is unknown is undone, too.
//! - **Two executors run one saga**, since the first has only slept. Here all
//!   that is written is fenced by a lease, and all that is done elsewhere can
//!   be, by a number that grows.
//! - **The key of a retry is new**, and the card is charged twice. Here it
//!   follows from the saga and the step.
//! - **Something that must be undone comes after the point of no return.** Here
//!   that does not compile.
//! - **An undo fails**, and the saga is "stuck" in a log that nobody reads, or
//!   the process panics. Here an operator has four commands, and the log says
//!   who gave them.
//! - **The definition changes while sagas are under way**, and a log is read by
//!   other steps than it was written by. Here it has a version and a hash.
//!
//! # Example
//!
//! ```
//! use axiomatic_coordination::Memory;
//! use axiomatic_coordination::saga::{
//!     Builder, Config, Context, Ended, Executor, Fault, MemorySagas, Plans, SagaId, Was,
//! };
//!
//! async fn reserve(context: Context, order: u32) -> Result<String, Fault> {
//!     // A service is called with the step's key, and knows repeats by it.
//!     Ok(format!("reservation {} of order {order}", context.key()))
//! }
//!
//! async fn release(_: Context, _order: u32, _was: Was<String>) -> Result<(), Fault> {
//!     Ok(())
//! }
//!
//! async fn charge(_: Context, (order, _reserved): (u32, String)) -> Result<u32, Fault> {
//!     if order == 13 {
//!         return Err(Fault::failed("the card was declined"));
//!     }
//!     Ok(1250)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let mut saga = Builder::<MemorySagas, u32>::new("purchase", 1);
//! let order = saga.input();
//! let reserved = saga.step("reserve", order, reserve).compensate_with(release);
//! let (mut saga, charged) = saga.pivot("charge", (order, reserved), charge).commit();
//! let told = saga
//!     .step("tell", charged, |_, cents: u32| async move { Ok(format!("paid {cents}")) })
//!     .retriable();
//! let purchase = saga.returns(told)?;
//!
//! let store = MemorySagas::new(&Memory::new());
//! let executor = Executor::new(store, Plans::new().with(&purchase), Config::new())?;
//! let shop = async {
//!     let paid = executor.execute(&purchase, SagaId::unique(), &12).await?;
//!     assert_eq!(paid, Ended::Done("paid 1250".to_owned()));
//!     let declined = executor.execute(&purchase, SagaId::unique(), &13).await?;
//!     let Ended::Compensated(why) = declined else { panic!("{declined:?}") };
//!     assert_eq!(why.to_string(), r#"step "charge": the card was declined"#);
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! };
//! tokio::select! {
//!     done = shop => done?,
//!     ended = executor.run(std::future::pending()) => ended?,
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `axiomatic_sqlite` and `axiomatic_postgres` have stores that outlive the
//! process.
//!
//! # How it works
//!
//! A definition is a graph of steps, made by a [`Builder`]: a step is given the
//! outputs of earlier ones, by [`Handle`]s, and begins when all that it depends
//! on is done. There are three kinds:
//!
//! | a step | if the saga turns | if it fails | if it was tried as often as it may be |
//! |---|---|---|---|
//! | with [`compensate_with`](Step::compensate_with) | is undone | the saga turns | the saga turns |
//! | the [`pivot`](Builder::pivot) | there is no turning once it is done | the saga turns | an operator decides |
//! | [`retriable`](Step::retriable), behind the pivot | | is tried again | an operator decides |
//!
//! All that is known of a saga is its log. Before an action runs it is written
//! that it begins, and then what came of it:
//!
//! | a step is | and there is written | and is then |
//! |---|---|---|
//! | waiting | `began` | running |
//! | running | `done`, with its output | done |
//! | running | `failed`: it is known not to have happened | failed; the saga turns |
//! | running | `doubted`: a timeout, an error, a panic | in doubt; it is probed or begun again, after a pause |
//! | running, and its process died | nothing | as in doubt, at once |
//! | in doubt, as often as it may be | `turned`, or from the pivot on `stuck` | in doubt; or waits for an operator |
//! | done or in doubt, and the saga has turned | `undo began` | being undone, once nothing is left of what came behind it |
//! | being undone | `undone` | undone |
//! | being undone | `undo doubted` | tried again, after a pause |
//! | being undone, as often as it may be | `stuck` | waits for an operator; other branches go on |
//!
//! Steps [in the saga's own database](Builder::local_step) are not begun: their
//! effect commits with the line `done`. An [`Executor`] leases buckets of sagas
//! and runs what is in them; each line is written only if the lease is held, by
//! the database's clock and in the same statement. Who takes a bucket over goes
//! on with its sagas from their logs.
//!
//! ## Isolation
//!
//! The steps of a saga commit one by one: others see what may be undone. What
//! can be done about that is done by the definition:
//!
//! | countermeasure | says | costs |
//! |---|---|---|
//! | [a semantic lock](Builder::lock) | who locks the same waits, turns, or is put aside until this one has ended | two steps and a letter; those who lock the same come one after the other |
//! | [reading again](Versioned) | what was read must be what it was when it is written; otherwise the saga turns | a version |
//! | [changes that commute](Delta) | by so much, not to so much: in whatever order they are done and undone, they come to the same | nothing |
//!
//! A lock is a place in a line for each resource that is asked for. Whoever has
//! nobody before it, or only those with whom it shares, has the resource until
//! its saga ends; so nothing is granted, and nothing can be granted twice. All
//! places of one question are taken at once, and a saga that has places already
//! waits for no more: whoever waits does so behind those that came before it,
//! and no two wait for each other.
//!
//! ## Operators
//!
//! A saga whose [stage](Stage) is `stuck` waits for a command by a [`Client`];
//! one that is `parked` cannot be run by those who have tried. What to look at,
//! what to do, and what that leaves in the log stands on
//! [the operator's page](operating).
//!
//! # Guarantees
//!
//! - All steps are done, or all that was done is undone, in reverse
//!   (`a_saga_all_of_whose_steps_are_done_has_a_result`,
//!   `what_was_done_is_undone_in_reverse_if_a_step_fails`), whichever steps
//!   depend on which
//!   (`all_happens_or_nothing_is_left_whatever_happens`).
//! - Wherever the database crashes, and whoever dies, each saga ends with each
//!   effect once
//!   (`a_crash_at_any_step_of_the_database_loses_and_repeats_nothing`,
//!   `sagas_end_with_each_effect_once_though_executors_die_under_them`). Who
//!   follows begins again what was begun
//!   (`who_follows_begins_again_what_was_begun`).
//! - An action is launched once for each line that says that it begins, and
//!   after it is written: also if the saga was read before it was let go of
//!   (`a_saga_that_was_taken_before_it_was_let_go_launches_nothing_again`), or
//!   it is not known who began it
//!   (`what_another_has_begun_is_launched_when_it_is_written_that_it_begins`,
//!   `what_was_launched_is_not_launched_again_by_a_caller_that_asks_again`).
//! - What is in doubt is tried again under the same key, and undone if the saga
//!   turns
//!   (`what_is_in_doubt_is_tried_again_with_the_same_key_and_undone_at_last`),
//!   and not done again if a probe finds it done
//!   (`an_action_that_a_probe_finds_done_does_not_run_again`). A panic is a
//!   doubt (`an_action_that_panics_is_in_doubt`).
//! - Whoever has lost the lease writes nothing
//!   (`nothing_is_appended_for_a_lease_that_is_lost`), and stops what it does
//!   (`what_is_running_is_dropped_when_its_lease_ends`), also while the store
//!   does not answer
//!   (`what_flies_while_the_store_writes_is_dropped_when_the_lease_ends`); and
//!   begins nothing that was written in time and heard too late
//!   (`what_is_heard_too_late_to_be_written_is_not_launched`).
//! - A local step commits with the log
//!   (`a_local_step_commits_with_the_log_and_ends_the_saga_with_it`), and is not
//!   done again if its answer is lost
//!   (`local_work_whose_answer_is_lost_is_not_done_again`).
//! - Steps that do not depend on each other run at once
//!   (`steps_that_do_not_depend_on_each_other_run_at_once`), also while the
//!   store is written to
//!   (`a_step_goes_on_while_the_store_writes_what_another_has_done`), and each
//!   item of a list has a key, an action and an undo of its own
//!   (`each_item_of_a_list_has_an_action_and_an_undo_of_its_own`).
//! - A saga that waits can be signalled and cancelled
//!   (`a_signal_is_waited_for_and_a_cancelled_saga_is_unwound`), but not behind
//!   its pivot (`a_saga_is_cancelled_before_its_pivot_and_not_behind_it`,
//!   `a_saga_turns_at_its_deadline_unless_it_is_committed`); and what has not
//!   begun when it is cancelled does not begin
//!   (`a_saga_that_is_cancelled_before_its_start_is_answered_does_not_do_its_pivot`,
//!   `local_work_that_has_not_had_its_turn_is_not_done_when_the_saga_has_turned`).
//!   Each letter is read once (`a_letter_that_is_given_twice_is_read_once`).
//! - What is stuck waits for an operator, and each command is a line of the log
//!   (`an_undo_that_is_stuck_is_tried_again_when_an_operator_says_so`,
//!   `an_undo_that_is_stuck_is_left_out_when_an_operator_says_so`,
//!   `a_saga_that_is_resumed_goes_forward_with_new_keys`,
//!   `a_saga_that_is_given_up_ends_as_it_is`).
//! - Sagas that lock the same come one after the other
//!   (`sagas_that_lock_the_same_come_one_after_the_other`), in the order in which
//!   they asked (`who_asks_first_has_it_until_its_saga_ends`,
//!   `those_who_share_have_it_together_and_pass_nobody`), and until what was done
//!   is undone (`locks_are_kept_until_what_was_done_is_undone`). No two wait for
//!   each other (`no_two_sagas_wait_for_each_other`), and each has its turn
//!   (`of_those_who_ask_at_once_each_has_its_turn`). Who takes a saga over has
//!   its locks (`a_saga_that_is_taken_over_has_its_locks_still`).
//! - A saga turns if it would wait and may not
//!   (`a_saga_that_does_not_wait_turns_if_another_has_what_it_asks_for`), or has
//!   waited too long (`a_saga_that_has_waited_too_long_turns_and_leaves_the_line`);
//!   one that is put aside is not in memory
//!   (`a_saga_that_is_put_aside_is_not_in_memory_and_goes_on_when_its_turn_has_come`).
//! - What was changed since it was read is not written over
//!   (`a_value_that_was_changed_since_it_was_read_has_the_saga_turn`), and changes
//!   that commute come to the same
//!   (`deltas_come_to_the_same_in_whatever_order_they_are_done_and_undone`).
//! - A saga is run by whoever has its bucket
//!   (`a_saga_begun_by_a_client_is_run_by_whoever_has_its_bucket`), also when the
//!   caller that ran it goes away
//!   (`a_saga_whose_caller_goes_away_at_any_poll_goes_on`,
//!   `a_saga_that_begins_when_its_caller_has_gone_is_run`), or when its lease is
//!   prolonged too late
//!   (`what_was_dropped_before_its_lease_was_heard_to_be_prolonged_is_run_again`),
//!   or the executor ends by an error or is dropped
//!   (`an_executor_that_runs_again_goes_on_with_what_it_ran`,
//!   `what_a_caller_runs_is_dropped_when_the_executor_has_gone`).
//!   Who shuts down waits for what is running
//!   (`who_shuts_down_waits_for_what_is_running_and_begins_nothing_more`).
//! - A saga that cannot be run is put aside, and costs the others nothing
//!   (`a_saga_of_an_unknown_definition_waits_for_who_knows_it`,
//!   `a_saga_that_ends_its_process_is_put_aside_and_an_operator_brings_it_back`),
//!   to where it was
//!   (`a_saga_that_ends_its_process_while_it_is_unwound_is_resumed_to_be_unwound`);
//!   also if it is the store that takes nothing of it
//!   (`a_saga_whose_lines_are_refused_is_parked_and_the_others_go_on`), and
//!   though it has letters that nobody can read
//!   (`a_parked_saga_with_a_letter_keeps_nobody_from_being_run`). Local work
//!   that is refused has not happened
//!   (`local_work_that_is_refused_is_tried_again_and_given_up`).
//!   One of an older version is run by who says that it runs it
//!   (`a_saga_of_an_older_version_is_run_by_who_says_that_it_runs_it`).
//! - What has ended is kept for its retention
//!   (`a_saga_that_has_ended_is_kept_for_its_retention_and_then_swept`), and what
//!   is archived then is found (`what_is_archived_is_found_and_otherwise_gone`).
//!
//! # Cost
//!
//! - In the store: one transaction when a saga begins, and one for each step
//!   that ends; steps that end together share one. It has two lines for a step
//!   elsewhere, `began` and `done`, and one for a local step.
//! - In memory, three steps that do nothing: 15 allocations, of which those of
//!   the store in memory are a part. Nothing is kept of a saga that has ended.
//! - A lock: two steps more, so four or five lines, and a letter. A saga without
//!   one pays nothing but a look, when it ends, whether it stands in a line.
//! - For each bucket that an executor holds: a renewal with all others of it,
//!   each third of a lease.
//! - A saga that waits for longer than [`keep`](Config::keep) leaves the memory,
//!   and is loaded with its log when it goes on.
//!
//! # Trying a definition
//!
//! With the feature `trial`, the module `trial` runs any definition over the
//! database in memory with each step in turn repeated, failed, unanswered, and
//! the database crashed at each of its steps, and says what was not idempotent
//! or not undone. It also compares a definition with a committed snapshot, so
//! that nobody changes one by accident while sagas of it are under way.
//!
//! # What the other side must do
//!
//! - Know a key again, for as long as a saga can last: also the key of
//!   something that was undone since, or that was refused. An action that was
//!   delayed can arrive after its undo.
//! - Undo what may never have been, and say that all is well.
//! - Refuse a [fencing token](Context::fence) that is smaller than one it has
//!   seen of this saga, if what a zombie repeats would do harm in spite of its
//!   key.
//!
//! # When not to use it
//!
//! - If all effects are in one database: use a transaction.
//! - If the second effect is only that somebody hears of the first: use an
//!   [outbox](crate::outbox).
//! - If nobody at all may see what may be undone: the steps of a saga commit one
//!   by one, and what is reserved is visible until it is released. A
//!   [lock](Builder::lock) keeps out those who lock the same, and no others.
//! - If a step can neither be undone nor be tried until it is done, and there
//!   are two of them: a saga has one pivot.
//! - For long programs with loops and branches: a definition is a graph that is
//!   known before. Such programs are what engines of durable execution are for.
//!
//! # Choosing parameters
//!
//! - **Timeout of a step**: longer than the other side takes at its worst. What
//!   takes longer may have happened, and is asked again.
//! - **Attempts**: few where turning is cheap; none counted (0) where turning
//!   is not possible.
//! - **Lease**: an executor that dies is missed for so long. An executor stops
//!   when it cannot renew, so longer than the longest pause of the database.
//!
//! # References
//!
//! - H. Garcia-Molina, K. Salem: *Sagas*. SIGMOD 1987.
//! - C. Richardson: *Microservices Patterns*, chapter 4: compensatable, pivot
//!   and retriable transactions, and countermeasures against lost isolation.
//! - L. Frank, T. Zahle: *Semantic ACID Properties in Multidatabases Using Remote
//!   Procedure Calls and Update Propagations*. Software: Practice and Experience
//!   28(1), 1998: the countermeasures, as semantic locks, rereading and
//!   commutative updates.

mod change;
#[cfg(feature = "tokio")]
mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "tokio")]
mod definition;
#[cfg(feature = "tokio")]
mod executor;
mod fault;
#[cfg(feature = "conformance")]
pub mod history;
mod id;
#[cfg(feature = "tokio")]
mod isolation;
mod locks;
#[cfg(feature = "tokio")]
mod machine;
mod mail;
mod memory;
#[cfg(feature = "tokio")]
mod overview;
mod record;
mod store;
#[cfg(feature = "trial")]
pub mod trial;

#[cfg(feature = "tokio")]
#[doc = include_str!("../../docs/operating-sagas.md")]
pub mod operating {}

pub use change::{Append, Appended, Change, Wake};
#[cfg(feature = "tokio")]
pub use client::{Client, Ended, StartError, Why};
#[cfg(feature = "tokio")]
pub use definition::{
    After, Builder, Committed, Context, DefinitionError, Description, Each, Handle, Inputs,
    LocalAction, Phase, Probed, Saga, Step, StepKey, Undoable, Was, encode,
};
#[cfg(feature = "tokio")]
pub use executor::{Config, ConfigError, Executor, ExecutorError, Plans, Snapshot};
pub use fault::Fault;
pub use id::{BUCKETS, ExecutorId, Lease, SagaId};
#[cfg(feature = "tokio")]
pub use isolation::{Busy, Delta, Versioned};
pub use locks::{InLine, Lock, LockMode, LockRequest, Locked};
pub use mail::{Mail, Posted, Subject};
#[cfg(feature = "tokio")]
pub use memory::MemoryLocal;
pub use memory::{MemorySagas, MemoryWork};
#[cfg(feature = "tokio")]
pub use overview::Overview;
pub use record::{Kind, Record, Recorded, Stage};
pub use store::{
    Attended, Broken, Definition, Departing, Found, Loaded, Start, Started, Store, Summary, Swept,
    Taken, Then, Worked,
};

pub(crate) use memory::SagaTables;
