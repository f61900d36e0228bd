//! A request body that can be sent again, as far as it was kept.
//!
//! # The problem
//!
//! A body is a stream: once read, it is gone. A retry that wants to send a
//! request again must have kept it, and to keep bodies of any size is to let
//! callers decide on one's memory: 1,000 uploads of 10 MB are 10 GB. To
//! collect a body before it is sent, on the other hand, delays every request
//! for the sake of the few that fail.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::repeat::Repeat;
//! use axiomatic_core::{BoxError, Context};
//! use axiomatic_http::{ReplayBody, WhenIdempotent, replay};
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::{BodyExt, Full};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let upload = Full::<Bytes>::from("not idempotent itself, but PUT");
//! let first = Request::put("/report").body(ReplayBody::new(upload, replay::UP_TO))?;
//! let second = WhenIdempotent.repeat(&Context::default(), &first).ok_or("not repeatable")?;
//!
//! let sent = first.into_body().collect().await?.to_bytes();
//! // It failed. Is there still all of it?
//! assert!(WhenIdempotent.is_intact(&second));
//! assert_eq!(second.into_body().collect().await?.to_bytes(), sent);
//! # Ok(())
//! # }
//! ```
//!
//! In a stack, [`ReplayLayer`] wraps the bodies, outside of what repeats.
//!
//! # How it works
//!
//! The body that is sent first reads from the original and keeps what it has
//! read. Another one, made by [`again`](ReplayBody::again) before or
//! meanwhile, begins with what was kept and goes on with the original; what
//! it reads there is kept in turn. So the first attempt waits for nothing,
//! and an attempt that begins while an earlier one still sends, as a hedge
//! does, gets every byte too, whichever of the two comes first to a byte.
//!
//! | The original | Kept | Another attempt |
//! |---|---|---|
//! | says from the start that it is longer than the cap | no | is not made: `again` and the rule say so |
//! | turns out to be longer | no longer | is not [intact](ReplayBody::is_intact): who asks does not begin it, who does not ask gets [`ReplayError::Outgrown`] from the body |
//! | turns out to be longer while two attempts read it | no longer | the one that began last goes on; the other's body ends with [`ReplayError::Superseded`], or [`ReplayError::Outgrown`] if it is behind |
//! | breaks | no | is not intact: it would break too |
//! | ends | to its end, with its trailers | reads what was kept |
//! | has nothing in it | | is as empty, without cost |
//!
//! An attempt that failed is over for its caller, while the connection may
//! hold on to its body for a while and even read it. That is why the attempt
//! that began last has the right of way, and why whether a body is intact
//! should be asked right before it is sent.
//!
//! The bytes are the same, and so are the trailers; how they are cut into
//! frames need not be. The length that a body announces is the original's.
//!
//! **For those who repeat**, [`WhenIdempotent`](crate::WhenIdempotent) is the
//! rule that knows: its [`is_intact`](axiomatic_core::repeat::Repeat::is_intact)
//! says whether the second request is still all there. A [`ReplayBody`] is
//! not `Clone`, so that rules which do not know do not compile with it:
//!
//! ```compile_fail,E0277
//! use axiomatic_core::Context;
//! use axiomatic_core::repeat::{Always, Repeat};
//! use axiomatic_http::ReplayBody;
//! use http::Request;
//! use http_body_util::Full;
//!
//! let body = ReplayBody::new(Full::<bytes::Bytes>::default(), 100);
//! Always.repeat(&Context::default(), &Request::new(body));
//! ```
//!
//! # Guarantees
//!
//! - Another attempt sends the same bytes and trailers, however the body is
//!   cut and wherever the first one stopped
//!   (`the_second_attempt_sends_the_same_wherever_the_first_stopped`).
//! - So do two at once, in any order of their polls, and none is left asleep
//!   (`two_attempts_at_once_both_send_it_all`,
//!   `an_attempt_does_not_depend_on_one_that_was_put_away`, and over threads
//!   `no_schedule_leaves_a_reader_asleep`).
//! - The first attempt waits for nothing but the original
//!   (`the_first_attempt_streams`).
//! - No more is kept than the cap, and then nothing
//!   (`a_body_that_outgrows_the_cap_is_sent_and_cannot_be_repeated`); one that
//!   says so is not repeatable from the start
//!   (`a_body_known_to_exceed_the_cap_is_not_repeatable_from_the_start`).
//! - The attempt that began last goes on when two outgrow the cap
//!   (`of_two_attempts_that_outgrow_the_cap_the_later_goes_on`).
//! - An error of the original reaches who read it, as it is, and nobody
//!   begins again (`a_body_that_breaks_is_not_repeated`).
//! - It can be dropped at any point, and the original goes with the last
//!   (`dropped_at_any_point_it_lets_go`).
//! - A body without content, and one that is never repeated, cost nothing
//!   (`what_is_never_repeated_is_passed_on`, `every_claim_of_allocations_holds`).
//! - Over real sockets too, also while a connection still holds the first
//!   (`a_second_attempt_sends_the_body_over_real_sockets`).
//!
//! # Cost
//!
//! Two allocations for a request that is repeatable and has a body, and a
//! clone of each frame while it is kept, which for `Bytes` is a count. A
//! frame is read under a lock that only the attempts of this one request
//! share. Nothing else is locked, and nothing is kept once no other attempt
//! can come. A frame counts towards the cap with
//! [`FRAME`] bytes at least, since that is what a handle to it
//! takes; what the handle keeps alive, the buffer it was cut from, is up to
//! the original.
//!
//! # When not to use it
//!
//! Where the body is in memory anyhow: `Full<Bytes>` and `String` are
//! `Clone`, which costs less. And where uploads exceed the cap as a rule: it
//! keeps in vain what it then throws away.
//!
//! # Differences from
//!
//! linkerd2-proxy's `ReplayBody`, where this comes from, hands the original
//! from one attempt to the next: the next one panics if it is polled while
//! the one before has not been dropped, so its retry does not begin when an
//! answer came before the body was sent.

mod body;
mod error;
mod layer;
mod recording;
mod wakers;

pub use body::ReplayBody;
pub use error::ReplayError;
pub use layer::{ReplayLayer, ReplayService};
pub use recording::FRAME;

/// How many bytes of a body are kept if nobody says otherwise: 64 KiB, as in
/// linkerd. It holds the calls of an API; what is longer is an upload.
pub const UP_TO: usize = 64 * 1024;
