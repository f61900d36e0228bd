//! One value for each key, in bounded memory: a breaker for each host, a
//! bulkhead for each tenant, a limiter for each path.
//!
//! # The problem
//!
//! Keys come from callers. A map from keys to state that only grows gives
//! every caller a way to take all memory there is: a million made-up tenants
//! at 200 bytes each are 200 MB that nothing frees. A cache that makes room by
//! dropping what was least recently used gives them something worse, for it
//! forgets the open breaker and the full bulkhead first, since nobody gets
//! through to use them. Memory is finite, so there is a cap; what is under the
//! cap must not be chosen by who asks most often.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::keyed::{Found, Full, Idle, Keyed, WhenFull};
//! use axiomatic_core::time::Instant;
//! use std::num::NonZeroU32;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//!
//! /// Calls in flight: idle when there are none.
//! #[derive(Clone, Default)]
//! struct InFlight(Arc<AtomicU32>);
//!
//! impl Idle for InFlight {
//!     fn is_idle(&self, _now: Instant) -> bool {
//!         self.0.load(Ordering::Acquire) == 0
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cap = NonZeroU32::new(10_000).ok_or("no places")?;
//! let tenants: Keyed<String, InFlight> =
//!     Keyed::new(cap, WhenFull::Refuse, |_| InFlight::default());
//!
//! # let now = Instant::from_nanos(3_600_000_000_000);
//! // A `&str` finds a `String`; it is copied when the key is new.
//! let calls = tenants.with("acme", now, |found| match found {
//!     Found::Own(calls) | Found::Shared(calls) => {
//!         Ok(Some(calls.0.fetch_add(1, Ordering::AcqRel) + 1))
//!     }
//!     Found::Full(Full::Admit) => Ok(None),
//!     Found::Full(Full::Refuse) => Err("too many tenants"),
//! })?;
//! assert_eq!(calls, Some(1));
//!
//! // In flight, so it is not idle and stays.
//! assert_eq!(tenants.evict_idle(now), 0);
//! println!("{}", tenants.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - It does what a map and a list do, over any script of lookups, removals
//!   and evictions (`does_what_a_map_and_a_list_do`).
//! - There are never more keys and values in memory than the cap, counting
//!   those that are being made and those that are evicted and not dropped
//!   yet; the shared value, if there is one, comes on top
//!   (`reserved_never_exceeds_the_cap`, `who_stays_inside_costs_no_memory`).
//! - A value that is not idle is never evicted, and whoever was handed a value
//!   is seen by the question that decides
//!   (`a_value_in_use_is_never_evicted`, `a_bulkhead_of_one_never_admits_two`).
//! - All that look a key up at the same time get the same value, also those
//!   that insert it (`two_that_insert_a_key_get_one_value`).
//! - A flood of new keys neither grows the memory nor slows down the lookup of
//!   a known key (`a_million_new_keys_cost_neither_memory_nor_time`).
//! - A lookup of a known key allocates nothing, and so does one that finds no
//!   place (`a_lookup_of_a_known_key_allocates_nothing`).
//! - Without a place it does what it was told, and counts it
//!   (`without_a_place_it_does_what_it_was_told`).
//! - A value that panics or comes back into the store does no harm
//!   (`a_value_that_panics_or_comes_back_does_no_harm`,
//!   `a_lookup_inside_a_lookup_works`), nor does a maker that panics
//!   (`a_maker_that_panics_takes_no_place`).
//!
//! # Cost
//!
//! A hit takes no lock and allocates nothing. It writes one line, the calling
//! thread's own, with two atomic exchanges (it is inside; it has left) and a
//! count; everything else it only reads. With keys of 15 bytes, on one core of
//! an EPYC: 19 ns for one key, 22 ns among 10,000 and 90 ns among a million
//! that are visited in turn; visited at random, with the cache misses of
//! choosing a key, 40 and 400 ns. It is 394 instructions, of which 240 are the
//! hash. Two threads that look up the same key take 20.7 ns each where one
//! alone takes 20.6; with different keys, 22.6.
//!
//! A new key costs about 280 ns while there are places, 290 ns at a cap of
//! 10,000 where another has to go, and being refused there 145 ns, in which
//! eight values are asked. The map is rebuilt 64 entries at a time, so no
//! insertion pays for all. (All with a trivial maker; the machine was shared.)
//!
//! A place takes 8 bytes from the start. A key in it takes the key, the value
//! and 40 bytes more in one allocation, and 9 to 36 bytes in the map's table,
//! which grows with the keys, to at most four places a key and twice that
//! while it is rebuilt.
//!
//! # When not to use it
//!
//! For a cache: what is expensive to make again is not idle only because
//! nobody asked for it lately. For a set of keys that is known at the start:
//! a plain map or a `match` says more. For keys that a peer can make cheaply
//! and that you cannot check, think first of a coarser key: a cap bounds the
//! memory, not the number of those who share a place or are refused.
//!
//! A key of many parts is looked up by its bytes: write them with
//! [`hash::Encoder`](crate::hash::Encoder) and use `Box<[u8]>` as the key.
//!
//! # How it works
//!
//! The map is `papaya`'s, which readers never lock and which frees what is
//! removed when the last reader who may see it has left. Around it:
//!
//! **Places.** There are as many as the cap. A key gets one before it is
//! copied and its value made, and the place is free again when both were
//! dropped, which is after the last reader left. So the bound needs no
//! argument about when the collector comes round: while somebody stays inside
//! (a thread that is descheduled in the middle of a lookup), evicted values
//! keep their places, and new keys find the store full. Memory is the promise,
//! places are what gives way.
//!
//! **The hand.** When places become scarce (a sixteenth of them is left, 64 at
//! the most), an insertion looks at the next eight places, in strides that
//! scatter what was inserted together. One thread at a time does so, under a
//! lock that nobody waits for: who finds it taken goes without. That is why
//! values may be asked and dropped under it.
//!
//! **A grace.** That a value is idle says nothing of a caller who found it a
//! moment ago and is about to use it. So the hand *closes* an idle value, and
//! retires a ticket with the collector, which drops it when everybody has left
//! who was inside. Then it asks again, and lets the value go if it is idle
//! still and nobody opened it:
//!
//! | phase | a lookup | the hand |
//! |---|---|---|
//! | live | uses it | closes it, if it is idle |
//! | closed | opens it, then uses it | after the grace: lets it go if it is idle, else opens it |
//! | gone | removes it and makes another | |
//!
//! *Why nothing is lost.* Take a lookup that is handed the value, and the hand
//! that closes it. Either the lookup noted that it is inside before the
//! collector looks who is; then the ticket waits for it, and what it did is
//! there to be seen when the hand asks again. Or it noted it later; then it
//! finds the value closed (the collector's heavy barrier lies between), and
//! has to open it before it uses it, in the word in which the hand lets it go:
//! one of the two fails. A lookup that finds the value gone never touches it.
//! While nobody else is inside, the grace has passed when the hand itself has
//! left, and the place is free for the insertion that asked.
//!
//! What the store cannot see is what outlives the lookup: a clone, a permit.
//! The value must count it (see [`Idle`]).
//!
//! **Hashing.** `SipHash-1-3` under random keys, std's `RandomState`, one of
//! them a store: keys come from strangers, and it is the one at hand that was
//! made to withstand them. XXH3 takes a quarter of the time, and was not; its
//! seed is mixed in by additions. A key is hashed once a lookup and the hash
//! kept, so the map calls no `Hash` when it grows
//! (`a_key_is_hashed_once_a_lookup`). The hasher is no parameter: it would be a
//! name in every signature, for a dozen nanoseconds and the chance to be wrong.
//!
//! **No user code under a lock.** Makers, `Eq` and `Drop` run outside of the
//! hand's lock, except the drops of what others evicted, which may fall to
//! the hand as to anybody who leaves, and `is_idle`; the map's own lock is
//! held only while it allocates a table.
//!
//! # Choosing parameters
//!
//! The cap is how many keys may be *busy* at a time, with some room: idle
//! ones leave. `Refuse` where a key without its own state must not pass (a
//! quota that was paid for); `Admit` where passing unrecorded is the lesser
//! harm (a breaker for each host: the call goes out, as without a breaker);
//! `Shared` where strangers may share what is left (a limiter by client).
//!
//! A new key can be without a place while there are idle ones: if the hand
//! does not come upon them in eight places, if it is busy in another thread,
//! or if somebody is still inside.
//!
//! # Differences from
//!
//! - governor 0.10's keyed limiters: a `DashMap` that grows until somebody
//!   calls `retain_recent`, which locks shard after shard; a lookup locks one.
//! - `moka`, `quick_cache` and other caches: they bound memory by dropping
//!   what is used least, which for a breaker is the open one. Here what is not
//!   idle stays, and it is the new key that gives way.
//!
//! # References
//!
//! - Nikolaev and Ravindran, *Snapshot-Free, Transparent, and Robust Memory
//!   Reclamation for Lock-Free Data Structures* (PLDI 2021): the collector.
//! - Corbató, *A Paging Experiment with the Multics System* (1968): the hand.

// The atomics are there for their models without the map.
#[cfg(feature = "keyed")]
mod entry;
#[cfg(feature = "keyed")]
mod found;
#[doc(hidden)]
pub mod grace_cell;
#[cfg(feature = "keyed")]
mod hand;
#[doc(hidden)]
pub mod phase_cell;
#[doc(hidden)]
pub mod slots_cell;
#[cfg(feature = "keyed")]
mod snapshot;
#[cfg(feature = "keyed")]
mod store;
#[cfg(feature = "keyed")]
#[cfg(feature = "keyed")]
pub use found::{Found, Full, Idle, Owner, WhenFull};
#[cfg(feature = "keyed")]
pub use snapshot::Snapshot;
#[cfg(feature = "keyed")]
pub use store::Keyed;
