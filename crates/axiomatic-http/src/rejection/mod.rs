//! Refusals as answers: for services that have no other way to fail.
//!
//! # The problem
//!
//! A refusal inside a server is an error; its caller can only be told in
//! HTTP. A server that drops the connection, or answers 500, hides the two
//! facts that the caller needs: that asking again is worth it, and when. A
//! caller that does not know when asks at once, and the refusals become the
//! load.
//!
//! axum asks the question in the type: its services have the error
//! [`Infallible`](std::convert::Infallible), so a layer that refuses does not
//! fit until its refusals are answers.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
//! use axiomatic_http::RejectionLayer;
//! use axum::{Router, body::Body, extract::Request, response::Response};
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // Stands for a service under a limiter that has nothing left.
//! let limited = service_fn(async |_: Request| -> Result<Response, BoxError> {
//!     Err(Rejected::new(Pattern::RateLimiter, Reason::Limited)
//!         .with_retry_after(Duration::from_millis(300))
//!         .into())
//! });
//! let service = ServiceBuilder::new()
//!     .layer(RejectionLayer::new())
//!     .service(limited);
//! let app: Router = Router::new().route_service("/", service);
//!
//! let response = app.oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(response.status(), 429);
//! let wait: u64 = response.headers()["retry-after"].to_str()?.parse()?;
//! assert!((1..=2).contains(&wait));
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! | Reason | Status |
//! |---|---|
//! | `Limited` | 429 Too Many Requests |
//! | `Expired`, `Elapsed` | 504 Gateway Timeout |
//! | `Unrepeated` | 502 Bad Gateway |
//! | `Open`, `Full`, `QueueFull`, `WaitedTooLong`, `Shed`, and those to come | 503 Service Unavailable |
//!
//! A rejection that knows when to come back says so in `Retry-After`, in
//! whole seconds rounded up and never 0, plus [some more by
//! chance](crate::retry_after::jittered). A limiter that refuses a thousand
//! calls in one moment would otherwise invite a thousand for another one. The
//! clients could spread themselves, and ours do, but the server cannot know
//! that of all of them and is the one that pays; so it is the default, at
//! the expense of a second, or a quarter of a longer wait, on average.
//! [`exact`](RejectionLayer::exact) leaves it out. The body is one line of text that
//! gives the kind of refusal and nothing of the inside: neither the name of
//! the mechanism nor its state. The one exception is asked for: policies that it
//! was told to [announce](RejectionLayer::announcing) are named in the fields
//! `RateLimit-Policy` and `RateLimit` of the calls that they refuse, as
//! [`rate_limit`](crate::rate_limit) has them. A level that it was told to
//! [announce](RejectionLayer::announcing_level) is in every answer of its own
//! making: it says what is refused, and of what nothing.
//!
//! An error that is no rejection becomes a 500 without details, or what
//! [`otherwise`](RejectionLayer::otherwise) makes of it.
//!
//! An error from `poll_ready` is an answer too: readiness then reports ready,
//! and the next call gets the answer without reaching the inner service.
//!
//! The body of the inner service's responses is kept, and refusals need one:
//! it has to be `From<&'static str>`, which `axum::body::Body`,
//! `http_body_util::Full` and `String` are. A body that is not, such as
//! hyper's `Incoming` in a proxy, is first mapped to one that is:
//! `.map_response(|response: Response<Incoming>| response.map(Body::new))`.
//!
//! # Guarantees
//!
//! - Every reason has the status of the table (`each_reason_has_its_status`).
//! - What this side refuses, [`Http`](crate::Http) on the other side reads as
//!   refused (`what_one_side_refuses_the_other_side_understands`).
//! - Those who are refused together are not told to come back together
//!   (`who_is_refused_together_does_not_come_back_together`,
//!   `jitter_adds_up_to_half_as_much_and_every_second_as_often`).
//! - Responses pass as they are (`an_answer_passes_unaltered`).
//! - A policy is named where it was announced, and refused
//!   (`a_refusal_names_the_policy_that_may_be_named`,
//!   `a_policy_that_nobody_announced_is_not_named`,
//!   `a_refusal_for_ever_says_no_time`).
//! - What is refused, or goes wrong, is answered with the level of that moment,
//!   and an answer from further in is not touched
//!   (`a_refusal_says_which_level_is_admitted`,
//!   `a_shedder_that_admits_everything_says_nothing`).
//! - Every error becomes an answer, and none of them shows the inside
//!   (`a_failed_readiness_is_an_answer`,
//!   `another_error_is_an_answer_without_details`,
//!   `another_error_is_what_the_closure_makes_of_it`,
//!   `tells_nothing_of_the_inside`).
//! - It fits axum's router (`fits_a_router_of_axum`).
//!
//! # Cost
//!
//! Nothing on the way of a response: no allocation, no box around the future;
//! with policies that are announced, a count of who shares them, and with a
//! level a clone of the closure that knows it. A refusal
//! allocates the header map and what the body's `From` does, and
//! rolls dice of its own, which no thread shares; one that names its policy
//! allocates what it says of it, and shares the policy, and a level is one
//! allocation. Not measured.
//!
//! # When not to use it
//!
//! On the side of the client: there the error type carries the refusal, with
//! its reason, and a response of one's own making is easily taken for one
//! from the other side.
//!
//! # References
//!
//! RFC 9110, sections 10.2.3 (`Retry-After`) and 15.6; RFC 6585, section 4
//! (429).

mod future;
mod layer;
mod respond;
mod service;
mod spread;
mod wording;

pub use future::ResponseFuture;
pub use layer::RejectionLayer;
pub use respond::{InternalError, Respond, response};
pub use service::RejectionService;
