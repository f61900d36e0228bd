//! Hot keys: which keys are seen the most right now, in fixed memory.
//!
//! # The problem
//!
//! A few keys make most of the load: by Zipf's law (skew 1) the first hundred of
//! 100,000 keys are 43 % of all requests, and one news item can be a tenth.
//! Whoever could name them would answer them from memory, put them on more nodes,
//! or give them a limit of their own. But which keys they are is known only
//! afterwards, and a map of all keys to find it out has no bound.
//!
//! # Example
//!
//! A key that has more than a tenth of the load is put on more than one node.
//!
//! ```
//! use std::num::{NonZeroU16, NonZeroU64};
//!
//! use axiomatic_core::hash::{Algorithm, Hasher, Seed};
//! use axiomatic_sketch::count_min::{Ageing, Shape};
//! use axiomatic_sketch::hot_keys::HotKeys;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Of about the last 100,000 requests.
//! let sample = NonZeroU64::new(100_000).ok_or("not zero")?;
//! let keys = NonZeroU16::new(100).ok_or("not zero")?;
//! let shape = Shape::within(0.001).with_confidence(0.99)?;
//! let hasher = Hasher::new(Algorithm::Xxh3, Seed::random());
//! let hot = HotKeys::new(keys, shape, hasher)?.with_ageing(Ageing::AtTotal(sample));
//!
//! for request in 0..50_000_u64 {
//!     let product = if request % 4 == 0 { 17 } else { request };
//!     hot.record(&product.to_le_bytes());
//! }
//!
//! // Now and then, off the path of requests.
//! let tenth = hot.total() / 10;
//! let replicated: Vec<_> = hot.top().into_iter().filter(|key| key.at_least() > tenth).collect();
//! assert_eq!(replicated.len(), 1);
//! assert_eq!(replicated[0].key(), 17_u64.to_le_bytes());
//! # Ok(())
//! # }
//! ```
//!
//! The same list, asked with [`HotKeys::is_listed`] or told by
//! [`HotKeys::record`], says which keys a limiter should have exact state for.
//!
//! # How it works
//!
//! Each record is counted in a [count-min sketch](crate::count_min). A key that
//! is in the list is counted there too, by one exchange. One that is not, and of
//! which the sketch says no more than the *floor*, the least count of the list,
//! is done with: that is nearly every record of nearly every key. One that is
//! above takes the lock, if nobody has it, and the place of the least key:
//!
//! ```text
//! count of the newcomer = least count + what was recorded just now
//!                         or the estimate of the sketch, if that is less
//! ```
//!
//! This is Space-Saving with the sketch before it. The counts of the list are
//! never more than the total together, so the least of k is no more than the k-th
//! part of it; and a key that left, or never got in, was recorded no more often.
//! Space-Saving alone would put every key that it does not know into the list;
//! the sketch keeps out those that were surely not seen often enough, and only
//! those. So it takes nothing from the guarantee, however small it is.
//!
//! Who finds the lock taken goes on. Its record is in the sketch, and so in
//! [`at_most`](HotKey::at_most); the [`count`](HotKey::count) lacks it. A hot key
//! comes again and gets in then. A key is looked for in the list before it is
//! counted in the sketch, so a record that races with the promotion of its own
//! key may be missing from the count in the same way.
//!
//! # Guarantees
//!
//! - Of every stream, in every order: a key with more than one k-th of the total
//!   is in the list, and the count of each listed key is no less than the truth,
//!   which is no less than `at_least`. With ageing too, of counts that are halved
//!   and rounded down; with records at the same time, of those that did not find
//!   the lock taken (`who_has_more_than_one_share_in_k_is_in_the_list`).
//! - A key that was hot at once stays in the list through a flood of new ones, and
//!   none of those is said to be hot
//!   (`a_hot_key_outlasts_a_flood_of_keys_before_and_after`).
//! - Of 100,000 keys by Zipf's law, the first ten to thirty are at the top of a
//!   list of 100, in their order
//!   (`the_most_frequent_of_a_hundred_thousand_are_at_the_top_in_their_order`).
//! - Whatever the threads do, `at_least` and `at_most` hold, and who found the
//!   lock taken gets in with the next record (`four_threads_find_the_same_keys`,
//!   `no_record_of_a_listed_key_is_lost`), once, even if two bring it in
//!   (`a_key_that_two_bring_in_at_once_is_listed_once`).
//! - A record is never counted for another key, even if the place changes hands
//!   meanwhile (`a_record_is_never_counted_for_the_key_that_comes_after`,
//!   `a_record_is_not_counted_for_the_key_that_came_after`). Of two keys that come
//!   in at once the hotter one stays
//!   (`of_two_that_come_in_at_once_the_hotter_one_stays`).
//! - Ageing keeps the list: what was recorded meanwhile is not lost
//!   (`a_listed_key_survives_an_ageing_with_all_that_was_recorded`,
//!   `threads_that_record_while_it_ages_lose_no_key`), and what was hot gives way
//!   to what is hot (`what_was_hot_gives_way_to_what_is_hot`).
//! - A stream without hot keys does not turn the list over with every record
//!   (`a_stream_without_hot_keys_costs_few_promotions`), and a saturated sketch
//!   does not close it (`a_saturated_sketch_does_not_close_the_list`).
//!
//! # Cost
//!
//! The sketch, and for each key of the list 80 to 112 bytes and what is kept of
//! it, 256 bytes at most. A record that gets nobody in takes no lock and
//! allocates nothing: it is an add of the sketch, two loads, and for a listed key
//! an exchange. By Zipf's law, where every other record is of a listed key, it
//! took 1.7 times the add alone (31 ns with the hash), and 1.4 times a count of
//! pingora-limits 0.9, which has no list; on a machine with two cores.
//!
//! A promotion allocates the bytes of its key before it takes the lock, looks at
//! k counts under it, and frees the bytes of the key that left after it. By Zipf's
//! law one record in 200 to 1,200 was a promotion. Of 16,384 keys that were all
//! equally frequent one in 16 was, with a sketch of 32 KiB, and one in 80 with one
//! of 512 KiB: the more exact the sketch, the fewer. [`HotKeys::top`] copies the
//! list under the lock, the keys by reference.
//!
//! # When not to use it
//!
//! - The counts of all keys: ask the [sketch](crate::count_min).
//! - A few keys, known beforehand: count them.
//! - Keys of which strangers choose the bytes, unless by a keyed hash: by keys
//!   that collide they make one of theirs look hot. `at_least` is not deceived.
//! - To refuse by: a key is in the list because it is among the first k, which in
//!   an even stream says nothing. Compare `at_least` with the total.
//!
//! # References
//!
//! - Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and
//!   Top-k Elements in Data Streams", 2005: Space-Saving.
//! - Homem and Carvalho, "Finding top-k elements in data streams", 2010: a filter
//!   before it.
mod error;
#[expect(clippy::module_inception, reason = "named for what it holds")]
mod hot_keys;
mod list;
mod slots_cell;
mod snapshot;

pub use error::BuildError;
pub use hot_keys::{HotKey, HotKeys};
pub use snapshot::Snapshot;
