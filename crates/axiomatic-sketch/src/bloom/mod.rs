//! Bloom filters: was this key ever seen, surely not or maybe, at the price of
//! one cache line.
//!
//! # The problem
//!
//! Most questions about membership are asked of what is not there: has this
//! webhook been delivered before, does this user exist, is this row in that
//! file. Each costs a look into a store, and the exact set in memory that would
//! spare it takes some sixty bytes a key and two or three cache misses. A filter
//! takes a byte and a third a key, never denies what it was given, and is wrong
//! about one absent key in a hundred, or in a million for four bytes. But of the
//! ones there are, the popular walk over seven lines at random, write all of
//! them again for a key that is there already, size by formulas that miss by
//! half or by five times, and take any bytes for a filter, those included that
//! say yes to everything.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::hash::{Algorithm, Hasher, Seed};
//! use axiomatic_sketch::bloom::{BloomFilter, Shape};
//!
//! // The arithmetic, done once, and printed.
//! let shape = Shape::for_items(100_000).false_positives(0.01)?;
//! println!("{shape}");
//!
//! // Keys that strangers choose want a secret.
//! let mut users = BloomFilter::new(shape, Hasher::new(Algorithm::Xxh3, Seed::secret()))?;
//! for id in 0..100_000u64 {
//!     users.insert(&id.to_le_bytes());
//! }
//!
//! // Nobody who is there is denied; of a thousand others some ten are not.
//! assert!((0..100_000u64).all(|id| users.may_contain(&id.to_le_bytes())));
//! let strangers = 200_000..201_000u64;
//! let asked_for_nothing = strangers.filter(|id| users.may_contain(&id.to_le_bytes()));
//! assert!(asked_for_nothing.count() < 40);
//! println!("{}", users.snapshot());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - No key that was inserted is denied: not after a union, a fold, a journey
//!   through bytes or through a view of them (`no_key_is_ever_denied`), by a
//!   filter that has grown
//!   (`it_grows_without_denying_a_key_and_its_rate_stays_below_what_was_asked`),
//!   or that threads insert into
//!   (`no_key_that_threads_insert_together_is_lost`, `no_bit_of_a_block_is_lost`,
//!   `no_bit_of_a_word_is_lost`), frozen and thawed
//!   (`thawed_and_frozen_it_is_what_it_was`).
//! - The share of absent keys answered with "maybe" is the one that was planned:
//!   within three standard deviations of the exact formula, and of what
//!   [`Snapshot`] counts from the bits (`the_rate_is_that_of_the_table`,
//!   `the_rate_of_single_words_is_the_exact_one`,
//!   `the_rate_of_full_generations_is_what_was_planned`). A block or a word less
//!   would be too few
//!   (`the_rate_of_a_shape_is_at_most_what_was_asked_and_a_block_less_is_too_few`,
//!   `the_rate_of_a_shape_is_at_most_what_was_asked_and_a_word_less_is_too_few`).
//! - A million keys crafted by somebody who knows the algorithm and not the seed
//!   do what a million others do
//!   (`a_million_crafted_keys_do_not_move_the_rate_of_a_keyed_filter`,
//!   `a_million_crafted_questions_find_no_more_than_chance_in_a_keyed_filter`).
//! - The bits are those of Parquet
//!   (`the_bits_are_those_that_spark_wrote`,
//!   `bytes_are_those_of_arrow_and_each_reads_the_others`), on every set of
//!   instructions (`both_sets_of_instructions_do_the_same`), and shared or not
//!   (`the_bits_are_those_of_the_sequential_filter`).
//! - Stored filters stay readable (`filters_are_stored_as_ever`,
//!   `filters_of_words_are_stored_as_ever`); no bit of one may change unnoticed
//!   (`no_byte_may_change_or_be_missing_or_follow`), a header that makes no sense
//!   is refused, also one with bits of none or with no bits
//!   (`a_header_that_makes_no_sense_is_refused_though_its_checksum_is_right`), and
//!   nothing is asked with another seed than it was made with
//!   (`a_filter_is_read_with_the_seed_it_was_made_with_or_not_at_all`).
//! - To insert a key that is there writes nothing into a shared filter
//!   (`a_repeated_insert_writes_nothing`).
//! - Of all who insert a fresh key into an [`AtomicWordFilter`] at the same time
//!   one at most is told that it is new, and none only if it was a false positive
//!   (`exactly_one_is_told_new_while_a_key_that_overlaps_is_inserted`,
//!   `at_most_one_is_told_new_while_keys_that_cover_it_are_inserted`); in an empty
//!   one exactly one is
//!   (`of_three_inserters_of_a_fresh_key_into_a_word_exactly_one_is_told_new`).
//! - A [`WindowedFilter`] remembers a key for `W` at least and for
//!   `W(1 + 1/(G-1))` at most, after its last insertion
//!   (`windowed_remembers_for_a_window_and_forgets_a_generation_later`,
//!   `a_window_ends_neither_a_nanosecond_early_nor_a_generation_late`), whoever
//!   turns it meanwhile
//!   (`what_is_inserted_as_another_thread_rotates_is_remembered_for_a_window`,
//!   `no_key_of_a_window_is_lost_while_other_threads_turn_the_ring`), and of those
//!   who insert a key one is told that it is new, also across a rotation
//!   (`of_two_inserters_across_a_rotation_exactly_one_is_told_new`).
//! - What is estimated says how far it may be off
//!   (`the_estimate_of_keys_is_within_its_error`,
//!   `how_many_keys_there_are_in_words_is_estimated_with_its_error`).
//! - No number of a user panics
//!   (`no_number_of_a_user_panics_and_each_that_makes_no_sense_is_told`).
//!
//! # Cost
//!
//! A question, and an insertion, is one cache line and no branch that depends on
//! the key. Nothing allocates once a filter is made, and nothing takes a lock. A
//! new key costs a shared filter up to four atomic steps, a filter of words one,
//! a windowed one one or two; a key that is there costs none. `cargo xtask bench
//! bloom` says what that comes to beside fastbloom and others, with the rate of
//! false positives that each of them has.
//!
//! # When not to use it
//!
//! - To decide. "Seen" may be wrong: who drops what a filter calls seen loses one
//!   first delivery in a hundred, for good. "New" skips the exact question,
//!   "seen" asks it.
//! - Where most questions are about keys that are there: every answer is then
//!   "maybe", and the store is asked as before.
//! - Where keys go away again: nothing can be taken out. [Windows](WindowedFilter)
//!   forget by time; who must delete one key needs another structure (below).
//! - For a set that fits: a thousand keys in a `HashSet` are exact.
//!
//! # How it works
//!
//! The upper half of a key's 64-bit hash chooses a block of 256 bits, and the
//! lower half one bit in each of its eight words. A block is half a cache line
//! and aligned to that, so one line says all; eight words of 32 bits are one
//! register of AVX2, so a question is a multiplication, two shifts and a test.
//! The price is evenness: by chance some blocks have more keys than others, and
//! those err more than the others spare. That is worth a bit and a half a key at
//! 1 %, and is reckoned with: the rate is the mean over Poisson's distribution of
//! keys to blocks,
//!
//! ```text
//! rate(b bits an item) = sum over i of Poisson(i; 256/b) * (1 - (31/32)^i)^8
//! ```
//!
//! | False positives | 10 % | 3 % | 1 % | 0.1 % | 0.01 % | 0.001 % |
//! |---|---|---|---|---|---|---|
//! | Bits an item, split block | 5.99 | 8.20 | 10.53 | 16.89 | 26.34 | 40.99 |
//! | A classic filter, `1.44 log2(1/p)` | 4.78 | 7.28 | 9.57 | 14.35 | 19.13 | 23.92 |
//!
//! Beyond 0.01 % blocks grow dear: a static filter (below), or two questions to
//! the store more in a million, are better.
#![doc = include_str!("../../docs/choosing.md")]
//!
//! # References
//!
//! - Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors", 1970.
//! - Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom
//!   Filters", 2007.
//! - parquet-format, `BloomFilter.md`.
//! - Almeida, Baquero, Preguiça and Hutchison, "Scalable Bloom Filters", 2007.

mod atomic;
mod bits_cell;
mod error;
mod filter;
mod kernels;
pub(crate) mod mask;
#[cfg(feature = "parquet")]
mod parquet;
mod recent;
mod ring;
mod ring_cell;
mod ring_shape;
mod ring_snapshot;
mod ring_word;
mod scalable;
mod shape;
mod shared_block;
mod snapshot;
mod stored;
mod table;
mod tick_cell;
mod view;
mod windowed;
mod word;
mod word_rate;
mod word_shape;

pub use atomic::AtomicBloomFilter;
#[cfg(feature = "parquet")]
pub use error::ParquetError;
pub use error::{BuildError, DecodeError, Mismatch, ShapeError, WindowedError};
pub use filter::BloomFilter;
#[cfg(feature = "parquet")]
pub use parquet::PARQUET;
pub use recent::{RecentConfig, RecentFilter};
pub use ring_shape::Generations;
pub use ring_snapshot::WindowedSnapshot;
pub use scalable::{GrowError, ScalableConfig, ScalableFilter};
pub use shape::{Shape, Sizing};
pub use snapshot::{Estimate, Snapshot};
pub use stored::Verify;
pub use view::BloomView;
pub use windowed::{WindowedConfig, WindowedFilter, WindowedSizing};
pub use word::AtomicWordFilter;
pub use word_shape::{WordShape, WordSizing};
