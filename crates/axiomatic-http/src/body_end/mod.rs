//! A call is over when the body of its answer is.
//!
//! # The problem
//!
//! The head of an answer is a promise. A server writes `200` before it has
//! read the rows that it will send, and once it is written there is no other
//! way to fail than to break off. A client that counts a call as a success at
//! its head counts every transfer that was cut, and every gRPC call that
//! failed after its first byte, as a success: the outage that breaks bodies
//! is invisible to it.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::{BoxError, Ratio};
//! use axiomatic_failure::circuit_breaker::{Config, TripWhen, Window};
//! use axiomatic_http::Http;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! # use http_body_util::combinators::BoxBody;
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # type Bytes = axum::body::Bytes;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let breaker = Config::new(Window::last(Duration::from_secs(10)))
//!     .trip_when(TripWhen::failure_rate(Ratio::percent(50), 20))
//!     .build()?;
//! let mut prices = ServiceBuilder::new()
//!     .layer(breaker.layer().with_binding(Http.to_body_end()))
//!     .service(service_fn(async |_: Request<()>| {
//!         Ok::<_, BoxError>(Response::new(Full::<Bytes>::from("12.50")))
//!     }));
//!
//! let response = prices.ready().await?.call(Request::new(())).await?;
//! assert_eq!(breaker.snapshot().counts().total(), 0, "so far only a promise");
//! response.into_body().collect().await?;
//! assert_eq!(breaker.snapshot().counts().total(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Where the answer means something else, say so, of the head, of the end, or
//! of both:
//!
//! ```
//! use axiomatic_core::{BoxError, Classify, Outcome};
//! use axiomatic_http::Http;
//! use http::{HeaderMap, Response};
//!
//! let binding = Http
//!     .to_body_end()
//!     // The end first: it needs to know only the head's outcome.
//!     .end_classified_by(|head: Outcome, end: Result<Option<&HeaderMap>, &BoxError>| match end {
//!         Ok(Some(trailers)) if trailers.contains_key("x-aborted") => Outcome::Transient,
//!         Ok(_) => head,
//!         Err(_) => Outcome::Transient,
//!     })
//!     .classified_by(|result: Result<&Response<String>, &BoxError>| match result {
//!         Ok(response) if response.status() == 404 => Outcome::Transient,
//!         other => Classify::classify(&Http, other),
//!     });
//! # let _ = binding;
//! ```
//!
//! # How it works
//!
//! | Head | The call is over |
//! |---|---|
//! | bad (`Transient`, `Throttled`), or no evidence (`Ignored`) | at once: the body of a 500 can only explain it |
//! | good (`Success`, `Permanent`), and there is no body | at once, without a poll: `is_end_stream`, or a status that has none (1xx, 204, 304) |
//! | good, with a body | when the body ends, breaks, panics, or is dropped |
//!
//! An answer to `HEAD`, and one of `Content-Length: 0`, has a body that says
//! that it is at its end, as hyper's does; the method is not looked at, nor
//! is the header.
//!
//! | The body | The call |
//! |---|---|
//! | ends: it returns `None` or trailers, or says that it is at its end after a frame | is what [`ClassifyEnd`] says: by default what its head said |
//! | yields an error | is what [`ClassifyEnd`] says: by default `Transient` |
//! | panics while it is polled | panicked, when the body is dropped |
//! | is dropped before its end | is cancelled |
//! | is dropped at its end, unpolled | has ended |
//!
//! "At its end" includes a body whose length is known and has come: whoever
//! forwards it to a client by its `Content-Length` has no reason to poll it
//! once more. It does not where the end is judged by trailers, which may
//! still be under way.
//!
//! The duration of a call now includes its body, at the pace of whoever reads
//! it. A slow reader makes a slow call.
//!
//! # Guarantees
//!
//! - A call is settled when its body has ended, with trailers or without
//!   (`the_end_of_the_body_settles`, `trailers_settle`), and once, however
//!   the body goes on (`settled_once_whatever_is_polled_after_the_end`,
//!   `settled_once_however_the_body_goes_on`).
//! - An answer without a body is over without a poll
//!   (`an_answer_without_a_body_is_over_with_its_head`).
//! - A bad head is settled at once (`a_bad_head_is_settled_at_once`).
//! - A body that breaks is a failed call (`an_error_of_the_body_settles`).
//! - A body that is dropped early cancels its call, at any point of it
//!   (`dropped_before_the_end_is_cancelled_at_every_point`); one that has
//!   ended, though nobody polled for it, does not
//!   (`dropped_at_its_end_is_over`).
//! - A panic of the body is the call's own, a neighbour's is not
//!   (`a_panic_of_the_body_is_the_calls_and_a_neighbours_is_not`).
//! - Frames, errors, length and end pass unaltered (`the_body_passes_unaltered`).
//! - It asks nothing of body, data and error
//!   (`needs_nothing_of_the_body_and_its_types`).
//! - A body that hyper cuts trips a breaker, one that hyper completes does not
//!   (`a_breaker_sees_what_becomes_of_real_bodies`).
//!
//! # Cost
//!
//! No allocation and no box: the permit travels in the body, which is larger
//! by the permit and a few bytes. A frame costs a call of `is_end_stream` on
//! top of its own poll.
//!
//! # When not to use it
//!
//! - For bodies that are meant to stay open: a subscription, a long poll,
//!   server-sent events. Their permit is held for as long, and a call that has
//!   not ended is evidence of nothing. While a breaker is closed, it learns
//!   nothing from a stream of hours, and an outage of such streams reaches it
//!   when they break. While it is half-open, a stream holds a probe's place,
//!   and at the end of its lease (30 s by default) counts as failed, however
//!   healthy: the breaker opens again. A bulkhead's place is taken for as
//!   long, which may be what you want. Settle at the head, with
//!   [`Http`](crate::Http), or set the lease above the longest good body.
//! - Where the reader decides how long the body takes, and slowness counts:
//!   [`slow_after`] then measures the reader.
//! - Where readers rarely read to the end: those calls are cancelled, and say
//!   nothing, while failures still count. A rate over what remains is too
//!   high.
//! - Alone against bodies that hang: nothing ends them. Put a timeout on the
//!   body, whose error counts as a failure.
//! - Over HTTP/1.0 and other bodies that end with the connection: a body that
//!   was cut looks complete.
//!
//! [`slow_after`]: https://docs.rs/axiomatic-failure/latest/axiomatic_failure/circuit_breaker/struct.Config.html#method.slow_after
//!
//! # References
//!
//! RFC 9110, sections 6.4 and 6.5 (content and trailers); RFC 9112, sections
//! 6.3 (which answers have a body) and 8 (incomplete messages).

mod binding;
mod body;
mod classify;

pub use binding::ToBodyEnd;
pub use body::PermitBody;
pub use classify::{ByHead, ClassifyEnd};
