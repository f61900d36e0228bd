//! What is left of a rate, in header fields: announced by who limits, and heard
//! by who is limited.
//!
//! # The problem
//!
//! A client that may make a hundred calls a minute, and is not told so, finds
//! out by being refused; then it waits for as long as it guesses. A thousand of
//! them that do so ask for more than there is all the time, and each refusal
//! costs a request on both sides. What it had to know the limiter knew before:
//! how much is left, for how long that is all, and how much there is in a
//! minute.
//!
//! It is easily said wrongly. Cut to whole seconds, a wait of 300 ms is 0, and
//! the client is told to come back now: it is refused once more, as with
//! tower-governor, whose `Retry-After` is cut so. And what it says of itself is
//! easily believed: a limit by the leftmost address in `X-Forwarded-For` is one
//! by an address that the client writes there.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::allowance::{Allowance, Announce, Heed, Policy};
//! use axiomatic_http::Http;
//! use http::Response;
//! use std::time::Duration;
//!
//! // A limiter of 100 a minute, of which 3 are left, has the next in 300 ms.
//! let search = Policy::new("search".into(), 100, Duration::from_secs(60));
//! let left = Allowance::new(search, 3, Duration::from_millis(300));
//! let mut answer = Response::new("found");
//! Http.announce(&mut answer, || left);
//! assert_eq!(answer.headers()["ratelimit-policy"], r#""search";q=100;w=60"#);
//! assert_eq!(answer.headers()["ratelimit"], r#""search";r=3;t=1"#);
//!
//! // On the other side:
//! let heard = Http.heed(&answer).ok_or("it said nothing")?;
//! assert_eq!(heard.remaining(), Some(3));
//! assert_eq!(heard.more_after(), Some(Duration::from_secs(1)));
//! # Ok::<(), &str>(())
//! ```
//!
//! The layers of a rate limiter call both for whom a binding is given. By hand,
//! [`announce`] and [`heed`] do the same to any headers. A refusal becomes an
//! answer in [`RejectionLayer`](crate::RejectionLayer), which names the
//! policies that it was [told to announce](crate::RejectionLayer::announcing).
//!
//! # How it works
//!
//! What is written are the two fields of
//! [draft-ietf-httpapi-ratelimit-headers-11][draft] (May 2026), a draft still:
//!
//! | Field | Says | Rounded |
//! |---|---|---|
//! | `RateLimit-Policy: "search";q=100;w=60` | the quota and its window, in seconds (section 3.1) | the window up |
//! | `RateLimit: "search";r=3;t=1` | what is left, and the seconds within which there is no more than that (sections 4.1.1, 4.1.2) | the time up, and never 0 |
//!
//! Rounded so, they promise less than there is, never more. `t` is not the time
//! until everything is there again, as drafts before the tenth had it, but until
//! the next one is: of a limiter that gives back one after the other, a client
//! that has used up its burst need not wait for all of it. Both are lists, and
//! limiters around one another (of a route, of a tenant, of everybody) make one
//! list of it, the innermost first. A name is quoted, and what is not printable
//! ASCII in it is an underscore.
//!
//! What is read is the first of these that says something:
//!
//! | Form | Of |
//! |---|---|
//! | `RateLimit: "a";r=50;t=30`, and its `RateLimit-Policy` if there is one | drafts from the eighth on |
//! | `RateLimit: limit=100, remaining=50, reset=5` | the seventh |
//! | `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset` | those before |
//! | the same three with `X-RateLimit-`, or with `X-Rate-Limit-` | GitHub, and many others |
//! | `RateLimit-Policy` alone, of which the lowest rate | drafts from the eighth on |
//!
//! Of several limits the one that runs out first is heard; what counts bytes,
//! or calls at a time, limits no rate of requests (`qu`), and is passed over. A
//! reset below 10⁹ is seconds. From there on it is a moment in seconds since
//! 1970, and from 10¹² on in milliseconds; it is read against the answer's own
//! `Date`, as [`Retry-After`](crate::retry_after) is. That one is heard of
//! errors alone: beside a redirection it is about something else. It goes before
//! the rest (section 7), in [`Heard::wait`]. An answer with an `Age` comes out of
//! a cache, and what it says was true of another moment (section 7.3). Of a list that is no list nothing
//! is heard, nor of a member that lacks what it has to have. At most sixteen
//! members are looked at, and no wait is longer than
//! [68 years](crate::retry_after::LONGEST): who acts on what it heard has a
//! bound of its own, since the other side may say anything.
//!
//! # Guarantees
//!
//! - What is less than a second is one, and never none
//!   (`what_is_less_than_a_second_is_one_and_never_none`).
//! - What is announced is heard, whatever the name and however large the numbers
//!   (`what_is_announced_is_heard`, `any_name_is_announced_and_heard`,
//!   `a_name_is_a_string_of_structured_fields_whatever_is_in_it`).
//! - Several limiters are one list, of which the one that runs out first is heard
//!   (`limiters_around_one_another_make_one_list`,
//!   `lines_that_are_there_already_stay`, `the_current_draft_is_read`).
//! - Older forms are read, and a reset by its size
//!   (`earlier_drafts_are_read`, `a_reset_is_seconds_or_a_moment_by_its_size`);
//!   what limits something else, and what is of another moment, is passed over
//!   (`what_counts_no_requests_limits_none`,
//!   `what_comes_out_of_a_cache_speaks_of_another_moment`,
//!   `a_refusal_says_until_when_and_a_redirection_does_not`).
//! - What is malformed is ignored, and nothing that can be sent panics
//!   (`what_is_malformed_is_ignored`,
//!   `whatever_is_sent_is_heard_in_bounds_or_not_at_all`,
//!   `what_the_fuzzer_found_or_began_with_is_as_it_should_be`).
//! - A refusal names the policy that was announced, and no other
//!   (`a_refusal_names_the_policy_that_may_be_named`,
//!   `a_policy_that_nobody_announced_is_not_named`); it asks nobody to come back
//!   earlier than it says there (`a_refusal_names_the_policy_that_may_be_named`),
//!   and says no time where there is none (`a_refusal_for_ever_says_no_time`).
//! - No client chooses the address that it is limited by
//!   (`what_the_client_claims_is_not_believed`,
//!   `whatever_is_claimed_an_address_is_the_one_of_the_last_proxy`,
//!   `a_network_of_one_host_is_one_client`).
//! - Who does not listen costs nothing
//!   (`who_announces_nothing_and_who_hears_nothing_allocates_nothing`,
//!   `nobody_is_asked_what_is_left_where_nobody_listens`).
//!
//! # Cost
//!
//! An allocation for each of the two fields, twice as many if there is a list
//! to be continued, and what the header map grows by. To hear of them is an
//! allocation a field that is there; of an answer that has none it is ten
//! look-ups. A binding that says nothing does not ask what is left.
//! `tests/allocations.rs` counts. Time was not measured. On the wire it is some
//! 60 bytes an answer, which HTTP/2 mostly compresses.
//!
//! # When not to use it
//!
//! - Where a caller should not know how much it may do: who attacks reads these
//!   fields too (section 8.2). A limit that protects, and is not a contract,
//!   stays unannounced; refusals have their `Retry-After` all the same.
//! - On the side of the client, around its own limiter: what it announces into
//!   an answer then looks as if the server had said it.
//! - For gRPC, whose clients do not look for it: [`Grpc`](crate::Grpc) announces
//!   no limit and hears of none, and a refusal has its pushback.
//! - On answers that a cache keeps: what is left is true for one moment, and for
//!   one client.
//!
//! # Whose limit it is
//!
//! By address, it is [`client_key`] of [`forwarded_for`], or of the connection's
//! own address where there is no proxy:
//!
//! ```
//! use axiomatic_http::rate_limit::{client_key, forwarded_for};
//! use http::Request;
//! use std::net::SocketAddr;
//!
//! // Behind one proxy; a request that did not come by it has the connection's.
//! fn key<B>(request: &Request<B>, peer: SocketAddr) -> std::net::IpAddr {
//!     client_key(forwarded_for(request.headers(), 1).unwrap_or(peer.ip()))
//! }
//! # let request = Request::get("/").header("x-forwarded-for", "6.6.6.6, 2001:db8::9").body(())?;
//! # let key = key(&request, "10.0.0.2:80".parse()?);
//! # assert_eq!(key.to_string(), "2001:db8::");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is a key and not a hash: whoever keeps clients apart hashes it, with a
//! seed that strangers do not know, or some of them could choose with whom they
//! share a place. It serves as a user too, where load is shed fairly among users
//! and nobody has logged in. Where somebody has, their account is the better
//! user: behind one address of IPv4 there may be a whole office, which then is
//! one heavy user.
//!
//! # References
//!
//! - [draft-ietf-httpapi-ratelimit-headers-11][draft]; its third, sixth and
//!   seventh for what is read besides.
//! - RFC 9651, structured fields; RFC 9110, section 10.2.3; RFC 6585, section 4.
//!
//! [draft]: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-11

mod client;
mod members;
mod read;
#[cfg(test)]
mod tests;
mod write;

use http::HeaderName;

pub use client::{client_key, forwarded_for};
pub use read::heed;
pub(crate) use read::is_old;
pub use write::{announce, limit_value, policy_value};

/// What a limiter promises: a list of policies.
pub static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left: a list, with what is left under each policy.
pub static LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The largest number that is written: an integer of structured fields has 15
/// digits (RFC 9651, 3.3.1).
const MOST: u64 = 999_999_999_999_999;

// For the links on this page.
#[cfg(doc)]
use axiomatic_core::allowance::Heard;
