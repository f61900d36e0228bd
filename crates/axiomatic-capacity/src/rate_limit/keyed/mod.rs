//! A limit of the rate for each key, an address, a tenant, an API key, in
//! memory that is taken once and never grows.
//!
//! # The problem
//!
//! Keys come from callers. A map from keys to buckets grows with every address
//! that ever called, until somebody walks it and throws out what is idle:
//! governor's takes about 44 bytes a key, so that who owns an IPv6 network can
//! take all memory there is, and pays with a packet for each 44 bytes. What is
//! needed of a key that has nothing spent is nothing: it is as a new one. So a
//! limiter has to remember those alone that have something spent, and how many
//! of those there are follows from the traffic: calls in a second times the
//! seconds until a call is made good.
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::rate_limit::keyed::{Config, Table, WhenCrowded, network};
//! use axiomatic_capacity::rate_limit::{KeyedRateLimiter, Quota};
//! use axiomatic_core::time::Clock;
//! use std::net::IpAddr;
//! use std::num::NonZeroU32;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rate = NonZeroU32::new(10).ok_or("nothing")?;
//! let burst = NonZeroU32::new(30).ok_or("nothing")?;
//! let clients = NonZeroU32::new(100_000).ok_or("no keys")?;
//! // Ten a second for each client, thirty at once. 1.6 MB for 100,000 of them.
//! let limiter: KeyedRateLimiter<IpAddr> =
//!     Config::new(Quota::per_second(rate).burst(burst), Table::for_keys(clients))
//!         .named("clients")
//!         .when_crowded(WhenCrowded::EvictSoonestIdle)
//!         .build()?;
//!
//! let client: IpAddr = "2001:db8::7".parse()?;
//! let now = Clock::Precise.now();
//! match limiter.admit(&network(client), now) {
//!     Ok(permit) => assert_eq!(permit.left(), Some(29)),
//!     Err(refused) => println!("{refused}"),
//! }
//! println!("{}", limiter.snapshot(now));
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - In any time a key has at most its burst, what the rate brings in that
//!   time, and one unit, which is 2 to 4 µs of the rate: time is read in such
//!   units, and no error is ever added to another
//!   (`no_key_ever_has_more_than_burst_and_rate`,
//!   `admits_what_the_rate_says_in_exact_numbers`,
//!   `nothing_drifts_in_ten_million_cells`). Whatever the threads do
//!   (`a_key_is_never_admitted_more_than_its_burst`,
//!   `many_threads_with_few_keys_and_fewer_slots_admit_what_one_would`).
//! - Giving the slot of a key that has nothing spent to another changes no
//!   decision (`evicting_what_is_idle_changes_no_decision`), also while it
//!   spends (`a_key_that_is_evicted_while_it_spends_loses_nothing_it_spent`).
//!   Threads that bring a new key at the same time share one burst
//!   (`two_that_insert_a_key_share_one_burst`,
//!   `two_that_insert_a_key_in_two_slots_share_one_burst`,
//!   `three_that_insert_a_key_share_one_burst`,
//!   `threads_that_bring_one_new_key_never_get_two_bursts_of_it`).
//! - The memory is what was asked for (`the_memory_is_what_was_asked_for`). Of
//!   as many new keys as are live, all the time, 99 in a hundred have a slot at
//!   16 bytes a key, and 9998 in ten thousand at 32
//!   (`a_table_of_sixteen_bytes_a_key_has_a_slot_for_ninety_nine_in_a_hundred_for_ever`).
//!   What becomes of the others was chosen, and is counted
//!   (`a_new_key_without_a_slot_is_refused_until_one_is_free`,
//!   `a_new_key_without_a_slot_passes_uncounted_if_that_was_chosen`,
//!   `a_new_key_without_a_slot_takes_that_of_who_is_idle_first_if_that_was_chosen`).
//! - Two keys with the same tag in the same set share an arrival, and have one
//!   quota between them, never more. In a full table it happens to a new key
//!   with a chance of 16 in 65,535, which is 2.4 in ten thousand
//!   (`a_stranger_shares_a_tag_by_sixteen_in_sixty_five_thousand`).
//! - A refusal says when there is a cell, to a few microseconds, and then there
//!   is (`each_key_has_its_quota_and_a_refusal_says_until_when`,
//!   `a_burst_is_admitted_and_not_one_more`). What costs more than a burst is
//!   refused without a time
//!   (`a_cost_is_paid_as_a_whole_and_one_above_the_burst_never`).
//! - A call is decided by one quota, also while it is changed
//!   (`a_call_is_decided_by_one_quota_and_not_by_parts_of_two`,
//!   `a_new_quota_holds_for_calls_that_begin_after_it`); what was spent stays
//!   spent (`a_new_quota_holds_at_once_and_what_was_spent_stays_spent`).
//! - A clock that goes back gives nothing away; by more than an hour it is
//!   believed, and costs a key a burst at most
//!   (`a_clock_that_goes_back_gives_nothing_away_and_locks_nobody_out`,
//!   `what_no_clock_of_ours_can_have_written_is_pulled_back`). A key that was
//!   idle for up to 7.8 years has its burst
//!   (`a_key_that_was_idle_for_years_has_its_burst`), and times wrap after 8.9
//!   years without harm (`the_wrap_itself_is_a_time_as_any_other`,
//!   `a_key_that_comes_again_at_the_wrap_waits_for_its_burst_at_most`).
//! - In shadow, what would be refused passes and spends nothing
//!   (`in_shadow_a_call_that_would_be_refused_passes_and_spends_nothing`).
//!
//! # Cost
//!
//! A known key is found by a look at two slots of one cache line, most often,
//! and decided by one compare-and-swap on it; no lock is taken, no clock read,
//! nothing allocated, and nothing else written. One whose two slots were taken
//! when it came takes a look at all of the line, one in a hundred at the line
//! beside it. A new key takes two exchanges and a fence, and a refusal a count
//! on a line of the thread's own. On one core of an EPYC, with keys at random
//! and time given: 11 ns for one key, 15 among 10,000 and 108 among a million,
//! most of which is the miss of a line; governor's `DashMap` takes 19, 22 and 208
//! beside it. A new key among a million live ones takes 260 ns, in which two lines
//! are missed. `cargo xtask bench rate_limit_keyed` measures it.
//!
//! Memory is that of the table, and 2 KiB: 16 bytes for each key that is live.
//! [`ExactKeyedRateLimiter`] costs 25, 42 and 610 ns, and about 100 bytes a
//! key.
//!
//! # When not to use it
//!
//! - For a few keys that are known at the start: make a
//!   [`RateLimiter`](super::RateLimiter) for each.
//! - Where two paying customers must not share a quota by the chance of one in
//!   four thousand: [`ExactKeyedRateLimiter`] has a map with a cap.
//! - Across processes: each has its own table.
//! - For more than 500,000 a second for each key: the times are not fine
//!   enough, and the configuration is refused
//!   (`a_rate_finer_than_microseconds_is_refused`).
//!
//! # How it works
//!
//! A key's hash chooses a set of two cache lines, by its high bits, and makes a
//! tag of its low ones. Each slot is a word of tag and arrival time: when the
//! key has nothing spent any more (GCRA's theoretical arrival time). A call
//! adds its cost to the later of the arrival and now, and passes if that is no
//! more than a burst ahead. A key that has no slot takes an empty one, or that
//! of a key whose arrival has passed, in its home line if there is one, or else
//! in the line beside it, which processors fetch with it.
//!
//! | What a new key finds | |
//! |---|---|
//! | an empty slot | takes it |
//! | a slot whose key has nothing spent | takes it; nobody can tell |
//! | neither, [`WhenCrowded::Refuse`] | is refused until one is free |
//! | neither, [`WhenCrowded::Admit`] | passes, uncounted |
//! | neither, [`WhenCrowded::EvictSoonestIdle`] | takes the slot that would be free first, whose key begins anew |
//!
//! **Two lines.** With sets of one line and as many live keys as half of the
//! slots, every thirty-third new key finds its set full (Erlang's formula for
//! eight lines of four calls); with two it is every 220th.
//!
//! **One entry a key.** Two threads that insert a key may choose different
//! slots, since each looks at them one after the other and slots change hands
//! meanwhile. So who inserts first claims a slot, then looks at all of them
//! again behind a fence, and makes its claim an entry only if it stands alone;
//! a claim has nothing spent. Of two claims not both can be found alone, since
//! one of the two fences is the second. It costs a fence for a new key, and
//! nothing for a known one. Claims are told apart by a number of 24 bits, so
//! that one is not mistaken for another that was there before: it would take
//! 16 million new keys, while a thread stands between two instructions.
//!
//! **Whose time.** Each call is judged by the time that it brings. Whoever
//! brings an older one than those before it may find that its key has given its
//! slot away, and has what that key had at the later time: what the rate
//! brings while a caller's clock lags.
//!
//! **Hashing.** Strangers choose keys, and who knows the hash can choose keys
//! that share one set, and have new callers in it refused. So the seed is
//! secret and another in each limiter. It makes it hard, not impossible
//! ([`Seed::secret`](axiomatic_core::hash::Seed::secret)); what is to be
//! gained is one set of many.
//!
//! # Choosing parameters
//!
//! A key is live for as long as what it spent takes to come back: after one
//! call at ten a second a tenth of a second, after a burst of thirty three
//! seconds. By Little's law, 50,000 calls in a second of different clients, at
//! that rate, are 5,000 live keys; they cannot be more than clients that call
//! within three seconds. [`Table::for_keys`] with as many, or with all clients
//! there are if those are known: 16 bytes are cheap.
//!
//! [`WhenCrowded::Refuse`] keeps the limit for whom it protects, and lets a
//! flood of keys refuse new callers. [`WhenCrowded::EvictSoonestIdle`] lets
//! such a flood forgive what others have spent, at the most. Where neither may
//! be, put a [`RateLimiter`](super::RateLimiter) of all calls in front.
//!
//! # Differences from
//!
//! - governor 0.10's keyed limiters lock a shard of a `DashMap` for each call,
//!   and keep every key until `retain_recent` is called.
//! - A count-min sketch has constant memory as well, and refuses callers for
//!   what others did; here that is one in four thousand.
//!
//! # References
//!
//! - ITU-T I.371, *Traffic control and congestion control in B-ISDN*: GCRA.
//! - A. K. Erlang, *Solution of some Problems in the Theory of Probabilities of
//!   Significance in Automatic Telephone Exchanges*, 1917.

#[cfg(feature = "keyed")]
mod arrival_cell;
mod config;
mod error;
#[cfg(feature = "keyed")]
mod exact;
mod hash;
mod limiter;
mod pace;
mod pace_cell;
mod permit;
mod set_cell;
mod snapshot;
mod table;
mod word;

pub use config::{Config, Table, WhenCrowded};
pub use error::ConfigError;
#[cfg(feature = "keyed")]
pub use exact::ExactKeyedRateLimiter;
pub use hash::{Key, KeyHasher, network};
pub use limiter::KeyedRateLimiter;
pub use permit::Permit;
pub use snapshot::Snapshot;
