//! A rate limiter whose quota all processes share, over Redis; and what becomes
//! of it while Redis is away is said where it is made.
//!
//! # The problem
//!
//! Ten instances with a limit of a hundred a second each are a thousand a
//! second, and eleven are more. A quota that was promised to a customer, or
//! that a dependency imposes, belongs to all of them together, so it has to
//! stand somewhere that all of them reach. Now every call waits for that place,
//! and stops when it does: a store that takes 100 ms to time out holds a
//! hundred calls at a thousand a second, and then somebody finds out, during
//! the outage, whether the limiter lets everything pass or nothing. Most say
//! neither in their types nor in their docs.
//!
//! # Example
//!
//! ```no_run
//! use axiomatic_capacity::rate_limit::Quota;
//! use axiomatic_redis::rate_limit::{Config, Lease, OnFailure, RedisRateLimiter};
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let some = |n| NonZeroU32::new(n).ok_or("nothing");
//! let quota = Quota::per_second(some(500)?).burst(some(100)?);
//! // Four processes; while Redis is away, each lets 10 pass at once and 125 a
//! // second.
//! let share = OnFailure::LocalShare { peers: some(4)?, overshoot: some(40)? };
//! let config = Config::new("api", quota, share)
//!     .named("api")
//!     .timeout(Duration::from_millis(20))
//!     .lease(Lease::of(some(10)?).lasting(Duration::from_secs(1)));
//! let limiter = RedisRateLimiter::connect("redis://127.0.0.1/", config).await?;
//!
//! match limiter.admit("tenant 7").await {
//!     Ok(decision) => println!("by {}, {:?} left", decision.source(), decision.remaining()),
//!     Err(rejected) => println!("{rejected}"),
//! }
//! println!("{}", limiter.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! As a tower layer: [`RedisRateLimiter::layer`]. Several limits as one
//! decision: [`RedisRateLimiter::admit_all`].
//!
//! # Guarantees
//!
//! - The script does exactly what fractions say, at any rate that a
//!   [`Quota`](axiomatic_capacity::rate_limit::Quota) can have, in whole microseconds of the server's clock
//!   (`the_script_does_exactly_what_fractions_say`,
//!   `a_key_alone_is_decided_as_it_is_among_several`): no number in it reaches
//!   2^53 (`no_number_of_a_quota_that_can_be_kept_reaches_two_to_the_53`). A
//!   quota that changes under a key is never looser
//!   (`a_quota_that_changes_is_never_looser_for_the_parts_of_a_microsecond`).
//! - What processes admit in any stretch of time is no more than
//!   [`Config::most_admitted`], with leases and without
//!   (`processes_never_admit_more_than_the_quota_says`), and while Redis is
//!   killed and comes back
//!   (`processes_keep_to_the_bound_while_redis_is_killed_and_comes_back`).
//! - While Redis is away it does what was said: it refuses and says why
//!   (`closed_it_refuses_while_redis_is_away_and_says_why`), lets pass
//!   (`open_it_lets_everything_pass_while_redis_is_away`), or keeps to its share
//!   (`with_a_share_each_process_keeps_to_its_own`), which is not filled up when
//!   Redis comes and goes
//!   (`a_share_is_not_filled_up_when_redis_comes_and_goes`).
//! - No call waits longer than the timeout
//!   (`a_redis_that_is_slow_holds_no_call_longer_than_the_timeout`,
//!   `a_server_that_is_asked_to_pause_is_away_as_well`), and behind the layer
//!   none waits beyond its deadline
//!   (`a_call_waits_for_redis_until_its_deadline_and_no_longer`,
//!   `a_call_waits_for_a_batch_until_its_deadline_and_no_longer`); one that comes
//!   after it costs nothing (`a_call_whose_deadline_has_passed_costs_nothing`).
//! - A Redis that is away costs no call more than a look at the breaker: it is
//!   asked as often as the breaker says and no more
//!   (`a_redis_that_is_away_is_asked_no_more_often_than_the_breaker_says`). The
//!   breaker learns of it also where no call has the time to
//!   (`the_breaker_learns_what_no_call_has_the_time_to_wait_for`).
//! - All who come back share one connection
//!   (`all_who_come_back_share_one_connection`), and one that answers no more is
//!   replaced (`a_connection_that_answers_no_more_is_replaced`).
//! - The clock of a client does not matter
//!   (`the_clock_of_a_client_does_not_matter`).
//! - A script that was flushed is loaded again, and nobody is charged twice
//!   (`a_script_that_was_flushed_is_loaded_again_under_load`).
//! - Several limits are one decision, all or nothing, in one round trip
//!   (`several_limits_are_one_decision_and_one_round_trip`), on a cluster too
//!   (`a_cluster_takes_several_limits_as_one_decision`), and by shares
//!   (`several_limits_have_a_share_each_and_all_or_none_is_charged`).
//! - A lease of `n` makes one round trip of `n`, however many call at a time
//!   (`a_lease_of_ten_makes_one_round_trip_of_ten`,
//!   `a_batch_makes_one_round_trip_however_many_call_at_a_time`). A process holds no more of
//!   a key than a batch, and no token is lost or made up
//!   (`all_processes_hold_no_more_than_a_batch_each_and_never_spend_more_than_there_is`,
//!   `no_token_is_spent_twice_and_none_is_lost`,
//!   `no_token_of_a_batch_is_spent_twice_and_none_is_lost`,
//!   `a_caller_who_leaves_loses_no_batch`). What expired or is left at the end
//!   is given back (`what_has_expired_is_not_spent_and_is_given_back`,
//!   `what_is_left_is_given_back_at_the_end`).
//! - Keys that strangers choose reach no other limiter and no other slot
//!   (`no_key_reaches_another_limiter_or_another_slot`), and take no memory
//!   that stays: not in Redis (`a_key_vanishes_when_its_bucket_is_full_again`),
//!   and not here (`keys_without_a_place_have_no_lease_and_are_limited_all_the_same`,
//!   `strangers_keys_take_no_memory_while_redis_is_away`).
//!
//! # Cost
//!
//! A round trip for each call, or for each batch with a lease; one more once
//! Redis has lost the script. Over loopback on a shared machine with two
//! processors, where a script that does nothing takes 27 to 43 µs: 33 to 73 µs a
//! call, and with leases of 10 and 100 a tenth and a hundredth of that. With 64
//! calls at a time one connection decides 76,000 to 84,000 a second, and with
//! leases of 10 and 100, 90,000 to 160,000 and 0.8 to 1.5 million. A call that a
//! lease pays takes 0.1 µs: a look-up, a read of the clock, and one
//! compare-and-swap. A refusal is remembered where there are leases, and costs
//! as little until a token can be there again. A call while Redis is left alone
//! takes 0.12 to 0.25 µs.
//!
//! The layer boxes one future, and copies the key, for a call that may have to
//! ask Redis: 0.1 to 0.2 µs; nothing for one that a lease pays or refuses. One
//! whose deadline is nearer than the timeout takes a task and a timer more.
//! `cargo xtask bench rate_limit_redis` measures all of it.
//!
//! Redis keeps some 100 bytes for a key as long as its bucket is not full. Here a key takes the key and some 150 bytes while it has a
//! lease, and no more for its share of an outage, for at most
//! [`Config::keys`] of each. During an outage a call takes the lock of its key's
//! share for a few additions.
//!
//! # When not to use it
//!
//! - For one process, or where a share each is good enough: a local limiter
//!   costs a nanosecond where this costs a round trip.
//! - To count what must be exact, such as money. Redis replicates after it
//!   answered, so a failover may forget what passed last, for which a burst
//!   passes again; and so does a restart without its data.
//! - On a Redis that evicts keys when it is full: an evicted key is a full
//!   bucket. Its policy has to be `noeviction`.
//! - To protect Redis itself.
//! - For a limit of calls at a time: that is a bulkhead. A rate over Redis
//!   forgets by itself what a process that died had taken; a count would not.
//!
//! # How it works
//!
//! A key holds one time, its arrival time: when its bucket will be full again.
//! A call moves it ahead by what the call costs, `period / count`, unless that
//! is further ahead of now than a burst. This is the generic cell rate
//! algorithm. It is one script, so it is atomic, and the time is the server's,
//! so the clocks of clients do not enter. Numbers in scripts are doubles; so a
//! time is two of them, whole microseconds and parts of one, where a microsecond
//! has `1000 × count` parts and a call costs a whole number of them. The client
//! divides, in 128 bits, and the script only adds and compares. The error is
//! none but that now is a whole microsecond: a stretch of time seems at most one
//! microsecond longer than it is. If the server's clock is set forward, at most
//! a burst passes for it; if back, a bucket that was not full seems emptier by that
//! much, and passes less or nothing until the clock has caught up.
//!
//! | Redis | A call |
//! |---|---|
//! | answers in time | is decided by it |
//! | does not answer, or not in time, or says that it cannot | is decided by [`OnFailure`]; it may have been charged, and so fewer pass later |
//! | has not answered by the deadline of a call behind the layer | is refused with [`Expired`](axiomatic_core::Reason::Expired), whatever [`OnFailure`] says; it may have been charged |
//! | has not answered 5 times in a row, or half of 20 times | is decided by [`OnFailure`] without asking, for a quarter of a second up to 5 s, which a probe ends |
//!
//! The breaker's openings, doubling and shortened at random, are what spreads
//! those who come back; there is no second backoff behind it. Connecting is a
//! task of its own which all callers wait for, and goes on when they gave up.
//!
//! # Choosing parameters
//!
//! | | Choose it | The bound, beyond burst + rate × t |
//! |---|---|---|
//! | [`OnFailure::FailOpen`] | where the limit is for fairness or cost, and something further in bears the rest | none while Redis is away |
//! | [`OnFailure::FailClosed`] | where what is behind does not survive without the limit, or every call is paid for | a burst for each time that Redis comes back without its data |
//! | [`OnFailure::LocalShare`] | else | a burst, the overshoot, and the rate for the time in which a process has not noticed that Redis is back, for each outage |
//! | a [`Lease`] | where a key is called more often than a batch in the time that a lease lasts | a batch for each process, in a stretch that begins while they hold them; none from the first call on |
//!
//! A refusal because Redis is away has the reason
//! [`Unreachable`](axiomatic_core::Reason::Unreachable), which is a 503 and not
//! a 429: it is not the caller's fault.
//!
//! - **Timeout**: what a call can lose. Twice the 99.9th percentile of a round
//!   trip, some milliseconds in one zone; then the five calls in a row that find
//!   out about an outage lose that and nobody else anything.
//! - **Peers**: the most processes there are, in a deployment too. If there are
//!   fewer, fewer pass while Redis is away.
//! - **Batch**: processes × batch can lie unused, so fewer pass than could; a
//!   tenth of the burst, divided by the processes, is not noticed. With the
//!   burst `b` and `n` processes, `b / n` is the most that makes sense. One that
//!   is smaller than the calls of a key at a time has them wait for several
//!   round trips.
//!
//! # Differences from
//!
//! - The local limiter of `axiomatic-capacity`: that one counts in virtual time
//!   to a nanosecond, in one word; this one in microseconds, since that is what
//!   Redis has. The local shares are counted as the script does, for each key
//!   by the quota that its call names, and need 24 bytes.
//! - *redis-cell*: a module, which a managed Redis does not load; its interval is
//!   a whole number of nanoseconds.
//! - *Fixed windows with `INCR` and `EXPIRE`* let twice the quota pass around
//!   the end of a window, and two commands that are not one leave keys that
//!   never expire.
//!
//! # References
//!
//! - ITU-T I.371, *Traffic control and congestion control in B-ISDN*: the
//!   algorithm.
//! - Redis, *Scripting with Lua* and *Cluster specification*, on hash tags.

mod asking;
mod config;
mod core;
mod decision;
mod error;
mod future;
mod gate;
mod gcra;
mod key;
mod layer;
mod lease_cell;
mod leases;
mod limiter;
mod link;
mod on_failure;
mod script;
mod service;
mod shares;
mod snapshot;
mod store;
mod telemetry;

pub use config::{Config, Lease};
pub use decision::{Claim, Decision, SharedQuota, Source, Standing};
pub use error::{ConfigError, ConnectError};
pub use future::ResponseFuture;
pub use gate::{Announcing, ByCost, ByKey, Gate};
pub use layer::RedisRateLimitLayer;
pub use limiter::RedisRateLimiter;
pub use on_failure::OnFailure;
pub use service::RedisRateLimitService;
pub use snapshot::Snapshot;
