//! A count-min sketch: how often was this key seen, never too few, and too many
//! by little, in fixed memory and one cache line.
//!
//! # The problem
//!
//! Who counts keys in a map pays for every key that was ever seen: with 16
//! bytes of key and count, and what the map needs, a hundred million keys are
//! over 3 GiB, and most of them were seen once. What is asked of the counts is
//! coarse: is this key more frequent than that one, has it had more than its
//! share. For that, 136 KiB are enough to be right within a thousandth of the
//! total in 99 of a hundred cases, however many keys there are.
//!
//! # Example
//!
//! A cache that is full lets a new entry in only if it was asked for more often
//! than the one that would have to go. Ageing makes "often" mean "of late".
//!
//! ```
//! use std::num::NonZeroU64;
//!
//! use axiomatic_core::hash::{Algorithm, Hasher, Seed};
//! use axiomatic_sketch::count_min::{Ageing, CountMinSketch, Shape};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Ten requests for each of a thousand entries, then all counts are halved.
//! let sample = NonZeroU64::new(10_000).ok_or("not zero")?;
//! let shape = Shape::within(0.001).with_confidence(0.99)?;
//! let hasher = Hasher::new(Algorithm::Xxh3, Seed::random());
//! let asked_for = CountMinSketch::new(shape, hasher)?.with_ageing(Ageing::AtTotal(sample));
//!
//! for _ in 0..5 {
//!     asked_for.add(b"victim", 1);
//! }
//! let newcomer = asked_for.add(b"newcomer", 1);
//! let is_admitted = newcomer.at_most() > asked_for.estimate(b"victim").at_most();
//! assert!(!is_admitted);
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! ```text
//! line  = upper half of the hash, times lines, by 2^32
//! | row 0: 4 counters | row 1: 4 | row 2: 4 | row 3: 4 |   64 bytes
//! column of row r = bits 2r and 2r + 1 of the hash
//! ```
//!
//! To add is to raise one counter in each of the four rows; the estimate is the
//! least of the four, since each has the count of the key and what others added
//! to it. The classic sketch has its rows in different places of memory, and
//! there an estimate is too high by more than `e/w` of the total with a chance
//! of `e^-d`. In one line the rows are not independent: who has our line can
//! meet us in all of them. The bound is then another one. With `x` the total
//! over lines and error, `N / (L a)`,
//!
//! ```text
//! P(too high by more than a) <= (x + 7 x^2 + 6 x^3 + x^4) / 256
//! ```
//!
//! which holds for every stream that does not depend on the hash; the worst one
//! there is, with as many keys just above the error as the total allows, has
//! more than a quarter of it. The [`Shape`] does this arithmetic:
//!
//! | Confidence | within 1 % | within 0.1 % | within 0.01 % | the classic sketch, 0.1 % |
//! |---|---|---|---|---|
//! | 90 % | 5 KiB | 51 KiB | 506 KiB | 32 KiB, 3 lines a key |
//! | 99 % | 14 KiB | 136 KiB | 1.3 MiB | 53 KiB, 5 lines a key |
//! | 99.9 % | 49 KiB | 488 KiB | 4.8 MiB | 74 KiB, 7 lines a key |
//!
//! Real streams are kinder than the bound: of 100,000 keys by Zipf's law in 2,048
//! lines, half of the estimates are too high by less than 0.05 of `N / L`, and
//! 99 % by less than 0.2, where the bound says 2.2. Two rows of eight columns
//! would take half of the atomic steps, halve the error in the middle, and double
//! it in the worst thousandth: a rare key taken for a frequent one is what does
//! harm, so there are four.
//!
//! A counter has 32 bits. With 16 it would be at its end after 65,535, which
//! takes a hot key less than a second.
//!
//! # Guarantees
//!
//! - An estimate is never below the truth, whatever was added, in whatever order,
//!   and however often it aged, until it says that it is saturated
//!   (`no_estimate_is_below_what_a_map_counts_however_often_it_ages`). A key that
//!   shares no line is counted exactly (`a_key_that_is_alone_is_counted_exactly`).
//! - It is too high by more than the shape's error in no more cases than the
//!   confidence allows, for even and skewed streams
//!   (`no_more_estimates_are_too_high_than_was_asked`) and for the worst
//!   (`the_bound_holds_for_the_worst_of_streams_and_is_near`). No smaller sketch
//!   would do by the bound
//!   (`a_shape_is_as_exact_as_was_asked_and_a_line_less_is_not`).
//! - No add is lost, whoever else adds
//!   (`no_add_of_four_threads_is_lost`, `no_add_is_lost`,
//!   `no_great_add_is_lost_beside_a_small_one`).
//! - A counter at its end stays there and does not wrap, whoever else adds
//!   (`a_counter_at_its_end_stays_there`,
//!   `threads_that_meet_at_the_end_of_a_counter_do_not_wrap_it`,
//!   `a_counter_at_its_end_stays_there_whoever_adds`).
//! - Ageing halves each count once and rounds down
//!   (`ageing_halves_and_rounds_down`). An add that races with it is before it or
//!   after it in each of its counters, and is lost in none
//!   (`an_add_is_before_an_ageing_or_after_it`,
//!   `adds_that_race_with_an_ageing_count_half_or_whole`); one that comes after it
//!   is whole (`an_add_that_follows_an_ageing_is_whole`).
//! - The bound that an estimate carries is of the same age as its count
//!   (`who_sees_the_halved_total_sees_the_halved_counts`).
//! - With [`Ageing::AtTotal`] the total goes above that by no more than what
//!   threads have not told yet, less than 64 each, and what is recent outweighs
//!   what is old
//!   (`it_ages_by_itself_and_what_is_recent_counts_more`).
//!
//! # Cost
//!
//! 64 bytes a line, and once 128 bytes for each of twice as many threads as
//! there are cores, 32 at most, for the total. Nothing is allocated after that,
//! and there is no lock.
//!
//! An add is four loads and four atomic additions on one line, and a load and a
//! store on a line of the thread's own; every 64th one also an exchange on the
//! shared total, and each one of threads that are too many to have a line. At its
//! end a counter is only read. Additions above 256 are exchanges in a loop.
//!
//! On a machine with two cores an add took 1.25 times what the four atomic
//! additions alone take (14.5 ns), and with its hash 0.8 of the sketch of
//! pingora-limits 0.9 with as many rows in as much memory, which hashes four
//! times. An estimate took twice as long as to read a line (2.5 ns), and with its
//! hash 0.4 of the peer's. A key that all threads count is a line that all
//! write: there two threads get less done than one, as with any shared count.
//!
//! An ageing reads all lines and writes the counters that are not zero: 0.9 us a
//! KiB. It is done by the thread that calls, or by the one whose add is due.
//!
//! # When not to use it
//!
//! - Exact counts, or few keys: a map is right, and `axiomatic_core::keyed` has a
//!   bounded one.
//! - The keys themselves: a sketch cannot say which keys it has. See
//!   [`hot_keys`](crate::hot_keys).
//! - Counts of rare keys in a large total: the error is a share of the total, not
//!   of the count.
//! - Keys that strangers choose, unless by a keyed hash (`Algorithm::SipHash13`
//!   under a secret seed): who knows the hash raises whose count he likes.
//! - "Was it seen at all": a [Bloom filter](crate::bloom) needs a fraction of it.
//!
//! # Differences from
//!
//! - Conservative update (raise only those of the four that are lowest; Estan and
//!   Varghese, "New Directions in Traffic Measurement and Accounting", 2002) is
//!   not offered. It halves errors where one thread counts. With several, two that
//!   see the same least count raise it to the same value, and one of them is
//!   lost: an estimate could be below the truth. To do that in one step, the four
//!   counters would have to be one word.
//! - Caffeine's sketch has four bits a counter, which is enough to tell who stays
//!   in a cache, and nothing else.
//!
//! # References
//!
//! - Cormode and Muthukrishnan, "An improved data stream summary: the count-min
//!   sketch and its applications", 2005.
//! - Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission
//!   Policy", 2017: ageing by halving.
mod error;
mod estimate;
mod line_cell;
mod shape;
mod sketch;
mod snapshot;
mod total_cell;

pub use error::{BuildError, ShapeError};
pub use estimate::Estimate;
pub(crate) use line_cell::MOST;
pub use shape::{Shape, Sizing};
pub use sketch::{Ageing, CountMinSketch};
pub use snapshot::Snapshot;
