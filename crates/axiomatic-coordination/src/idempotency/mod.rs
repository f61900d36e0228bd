//! Idempotent requests: a client repeats a request until it has an answer, and
//! its effects happen once.
//!
//! **Exactly-once effects inside the store's database; elsewhere, once as far
//! as the other side knows a key again. A plain handler without phases is
//! at-least-once where its process dies.**
//!
//! # The problem
//!
//! A client whose connection breaks cannot know whether its payment was made.
//! It must ask again, and a server that runs every request pays some of them
//! twice. So the client names its request with a key, and the server remembers
//! keys. What is then easily done wrong:
//!
//! - **Check, then act.** Two requests at once both find that the key is new,
//!   and both run. Middleware that stores the answer after the handler, and
//!   claims nothing before it, lets that happen.
//! - **The answer is stored after the effects**, and the process dies in
//!   between: the repeat does them again. Or it is stored before, and they are
//!   rolled back.
//! - **A claim without an end** is held by a process that died, and every
//!   repeat is told that the request is being run.
//! - **A claim with an end** is followed by another while the first has only
//!   slept: the zombie wakes, and writes its answer and effects, too.
//! - **One key, two requests**: the second is told the answer of the first. Or
//!   another tenant's.
//! - **The key is forgotten** while a repeat is on its way.
//!
//! # Example
//!
//! ```
//! use axiomatic_coordination::Memory;
//! use axiomatic_coordination::idempotency::http::{Config, Tenants};
//! use axiomatic_coordination::idempotency::{MemoryIdempotency, Phases};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! async fn charge(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     let phases = request.extensions().get::<Phases<MemoryIdempotency>>();
//!     let phases = phases.expect("the layer puts it there");
//!     // In the database: committed with the recovery point behind it.
//!     let book = phases.phase("book").atomic(|tx| {
//!         let booked = tx.read("booked").map_or(0, |booked| booked.len()) + 1;
//!         tx.put("booked", vec![0; booked]);
//!         Ok::<_, Infallible>(booked)
//!     });
//!     // Elsewhere: under a key that is the same each time.
//!     let pay = |key| async move { Ok::<_, Infallible>(format!("payment {key}")) };
//!     let status = match book.await {
//!         Ok(_) if phases.phase("pay").foreign(pay).await.is_ok() => 201,
//!         // Not stored: a repeat goes on from the last phase that has ended.
//!         _ => 503,
//!     };
//!     Ok(Response::builder().status(status).body(Full::default()).expect("a response"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Memory::new();
//! let store = MemoryIdempotency::new(&database);
//! let layer = Config::new(Tenants::single()).layer(store)?;
//! let service = layer.layer(service_fn(charge));
//! for repeat in 0..3 {
//!     let request = Request::post("/charges").header("Idempotency-Key", "\"8e03978e\"");
//!     let request = request.body(Full::from("12.50"))?;
//!     let response = service.clone().oneshot(request).await?;
//!     assert_eq!(response.status(), 201);
//!     let replayed = response.headers().contains_key("Idempotent-Replayed");
//!     assert_eq!(replayed, repeat > 0);
//! }
//! assert_eq!(database.read("booked").map(|booked| booked.len()), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! `axiomatic_sqlite` and `axiomatic_postgres` have stores that outlive the
//! process. What [`http`] does over HTTP, [`Store`] and [`Phases`] do for any
//! other protocol.
//!
//! # How it works
//!
//! A [claim](Store::claim) is one transaction: a key that is new becomes ours,
//! with a [`Lease`] that has a number, its epoch. All that is written of a
//! request is fenced by it: a store writes nothing for a lease that another
//! has followed.
//!
//! | the key is | a claim finds | and then |
//! |---|---|---|
//! | new, or forgotten | [`Mine`](Claimed::Mine), with no steps | it is run |
//! | leased | [`InProgress`](Claimed::InProgress) | it is not |
//! | leased, and the lease has ended | [`Mine`](Claimed::Mine), with a higher epoch and the steps so far | it goes on from there; who had it before is a zombie |
//! | released | the same, at once | the same |
//! | completed | [`Completed`](Claimed::Completed) | the answer is given again |
//! | any of these but new, with another fingerprint | [`Mismatch`](Claimed::Mismatch) | nothing |
//!
//! A handler that is to be run again safely does its work in [`Phases`]. Each
//! ends with a recovery point; when the request is run again, a phase that has
//! ended is not run, and returns what it returned.
//!
//! | the work of a phase | happens | because |
//! |---|---|---|
//! | `atomic`: in the store's database | exactly once | it commits with the recovery point, and only while the lease is held |
//! | `foreign`: elsewhere, under a [`DerivedKey`] | at least once; once if the other side knows the key again | a process may die between the work and its recovery point |
//! | outside of any phase | at least once, where processes die or answers are not stored | nothing tells that it was done |
//!
//! ## Answers
//!
//! | a request | is answered | `type`, behind `urn:axiomatic:idempotency:` |
//! |---|---|---|
//! | that is new | by the handler | |
//! | that was answered | with the same, and `Idempotent-Replayed: true` | |
//! | that is being run | 409 with `Retry-After`; or it [waits](http::InProgress::Wait), and then as above | `in-progress` |
//! | whose key was used for another | 422 | `key-reused` |
//! | without a key | 400, or by the handler if none is [required](http::Config::required) | `key-missing` |
//! | with a key that is none, or two | 400 | `key-bad` |
//! | of nobody | 400 | `tenant-unknown` |
//! | whose tenant, method and route have more than 2 KiB together | 414 | `scope-too-long` |
//! | with a body that is too long | 413 | `request-too-large` |
//! | with a body of unknown length | 411 | `length-required` |
//! | with a body that breaks off | 400 | `body-unreadable` |
//! | while the store does not answer | 503 with `Retry-After`; the handler was not run, or its answer is not known to be stored | `store-unavailable` |
//! | whose answer is too long, or of unknown length | 500, which is stored | `response-not-storable` |
//! | whose answer breaks off | 500, which is not stored | `response-failed` |
//!
//! All but the handler's are `application/problem+json` (RFC 9457).
//!
//! | the handler answers | is stored ([`deterministic`](http::Statuses::deterministic)) | with [`all`](http::Statuses::all) |
//! |---|---|---|
//! | 2xx, 3xx | yes | yes |
//! | 4xx but the next | yes | yes |
//! | 401, 403, 407, 408, 425, 429 | no: another credential or another time may change it | yes |
//! | 5xx | no: a repeat goes on from the last phase | yes |
//! | it panics, or its error is no response | no | no |
//!
//! # Guarantees
//!
//! - Of requests at once one runs (`of_first_claims_at_once_one_has_it`), and
//!   all are given the same answer, to the byte
//!   (`of_requests_at_once_one_runs_and_those_that_wait_get_its_answer`,
//!   `a_repeat_is_answered_with_the_first_answer_to_the_byte`).
//! - Wherever the database crashes, an atomic phase happens once, and a foreign
//!   one under one key (`wherever_the_database_crashes_each_effect_happens_once`).
//! - A foreign phase's key is that of no other phase and no other request
//!   (`a_derived_key_is_that_of_no_other_phase_and_no_other_request`); two
//!   phases of one name are an error, and so is a result that is not the
//!   phase's (`two_phases_of_one_name_are_an_error`,
//!   `a_result_that_is_not_the_phases_is_an_error`).
//! - Nothing is run without a claim (`without_its_claim_nothing_is_run`), and
//!   no answer is given that is not stored
//!   (`an_answer_is_not_given_before_it_is_stored`), but those that a repeat
//!   may change (`answers_are_stored_by_their_status`).
//! - A request that failed, or whose process died, goes on from its last phase
//!   (`a_repeat_goes_on_from_the_last_phase`,
//!   `a_lease_that_ended_is_followed_by_a_higher_epoch`).
//! - A zombie writes nothing (`nothing_is_written_for_a_lease_that_was_followed`);
//!   its handler is stopped, and its client given the answer of who followed
//!   (`a_handler_whose_lease_is_lost_is_stopped_and_its_client_finds_the_others_answer`,
//!   `a_zombies_answer_is_not_given`).
//! - A request whose client goes away is run to its end
//!   (`a_client_that_goes_away_does_not_stop_its_request`), and keeps its lease
//!   for as long as that takes
//!   (`a_request_that_takes_longer_than_its_lease_keeps_it`).
//! - A key is used for one request (`a_key_used_for_another_request_is_refused`)
//!   of one tenant and one route (`a_key_is_of_one_tenant_and_one_route`), and
//!   compared by its bytes (`keys_are_equal_only_if_every_byte_is`).
//! - It is remembered for a day at least
//!   (`a_configuration_that_would_not_do_what_it_is_for_is_refused`), and for as
//!   long as its request runs (`a_key_whose_lease_is_held_is_not_forgotten`).
//! - A panic or an error of the handler reaches its client as without the layer,
//!   and the repeat runs (`a_handlers_panic_reaches_its_client_and_the_repeat_runs`,
//!   `a_handlers_error_reaches_its_client_and_the_repeat_runs`).
//! - A completer runs what was stored and abandoned
//!   (`an_abandoned_request_is_run_without_its_client`), each by one
//!   (`two_completers_run_each_request_once`), and gives up what always fails
//!   (`a_request_that_always_fails_is_given_up`).
//!
//! # Cost
//!
//! - A request that is run: a claim, and an answer that is stored, each a
//!   transaction; one more for each foreign phase and each third of a lease. An
//!   atomic phase adds two statements to a transaction that there would be
//!   anyway.
//! - A repeat: one claim, which reads.
//! - Over HTTP: a task, a hash of the body (SHA-256), and both bodies in
//!   memory. Nothing is streamed.
//! - In the store: a row for each key for as long as it is remembered, with
//!   the answer, and the request too while it runs if it is
//!   [resumable](http::Config::resumable).
//! - In wait mode, each who waits asks the store every 10 to 500 ms.
//!
//! How long any of this takes was not measured.
//!
//! # When not to use it
//!
//! - For what is idempotent by itself, such as `PUT` of a whole thing with its
//!   version: then a repeat is harmless, and a key is one more thing to keep.
//! - For answers that are streams, or large: they are refused. Answer with
//!   where the large thing is.
//! - For messages of a broker: the [inbox](crate::inbox) is made for those.
//! - If the effects are in a database that the store is not in, and the other
//!   side knows no keys: then no phase can be exactly once. Move the store
//!   there, or look there first for what was done.
//! - Other layers must stand in the right place: authentication outside, since
//!   [tenants](http::Tenants::by) come from it; compression, CORS and what else
//!   speaks with one client outside, too, since answers are for any client.
//!   What is task-local outside is not there in the handler, which is run in a
//!   task of its own.
//!
//! # Choosing parameters
//!
//! - **Retention**: longer than the longest schedule by which a client repeats.
//!   A key that is forgotten is new.
//! - **Lease**: how long a repeat waits after a process has died. Longer than
//!   the longest pause of a process that lives, or it is stopped for nothing.
//! - **Wait** or conflict: wait if clients repeat at once and requests take
//!   less than a few seconds; else let them come back.
//! - **Phases**: one for each effect elsewhere, and one atomic one for what is
//!   in the database between two of those. Their names are stored: rename none
//!   while requests are under way.
//!
//! # Differences from
//!
//! - **Stripe's API** takes the key bare and stores what the handler says,
//!   failures too: that is [`Statuses::all`](http::Statuses::all). A client that
//!   was told of a failure must then ask with a new key, and knows that it may
//!   do so; with our default it asks with the same one, and the request goes
//!   on. There, too, what was refused before the handler ran is not stored.
//! - **The IETF's draft** (`idempotency-key-header`, not an RFC) has the key
//!   as a quoted string of structured fields, and 400, 409 and 422 as here. It
//!   leaves open what a fingerprint is and what is stored. Both forms of a key
//!   are understood, and are the same key.

mod claim;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "http")]
pub mod http;
mod key;
mod memory;
mod message;
mod phases;
mod step;
mod store;

pub use claim::{Adopt, Adopted, Claim, Claimed, Fence, Lease, Mine, Owner};
pub use key::{Fingerprint, Key, KeyError, Name, Scope};
pub(crate) use memory::IdempotencyTables;
pub use memory::MemoryIdempotency;
pub use message::{StoredRequest, StoredResponse, StoredShape};
pub use phases::{Begun, DerivedKey, Phase, PhaseError, Phases};
pub use step::{Kind, Step};
pub use store::Store;
