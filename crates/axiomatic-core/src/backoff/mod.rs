//! Backoff: how long to wait before trying again, as a pure iterator.
//!
//! # The problem
//!
//! 10,000 clients that lose a server in the same moment and wait as long as
//! each other come back in the same moment, however long that is: 10,000 in a
//! millisecond, again and again. Spread over ten seconds, they are one in a
//! millisecond on average and at most a dozen in any, and a server that has
//! just come up survives them.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::backoff::{Backoff, ConfigError};
//! use std::time::Duration;
//!
//! # fn connect() -> Result<(), ()> { Err(()) }
//! # fn sleep(_: Duration) {}
//! # fn main() -> Result<(), ConfigError> {
//! let backoff =
//!     Backoff::exponential(Duration::from_millis(100), Duration::from_secs(10)).checked()?;
//!
//! for wait in backoff.start().take(5) {
//!     if connect().is_ok() {
//!         break;
//!     }
//!     sleep(wait); // up to 0.1, 0.2, 0.4, 0.8, 1.6 seconds
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - Growth is exact to the nanosecond, and saturates where numbers end
//!   (`growth_is_exact_to_the_last_nanosecond`,
//!   `attempt_one_thousand_on_a_day_saturates`).
//! - No wait is longer than the longest, nor shorter than its jitter allows
//!   (`a_wait_keeps_to_the_bounds_of_its_jitter`,
//!   `every_wait_that_jitter_allows_is_drawn_and_no_other`,
//!   `a_decorrelated_wait_lies_between_the_first_and_three_times_the_last`).
//! - Without jitter, waits never become shorter
//!   (`without_jitter_waits_never_become_shorter`).
//! - Jitter is uniform, at the longest wait as before it, so clients never
//!   pile up there (`jitter_is_uniform_between_its_bounds_also_at_the_cap`,
//!   `clients_never_pile_up_at_the_cap`).
//! - Every session has waits of its own
//!   (`no_two_sessions_share_their_first_three_waits`,
//!   `no_session_is_another_one_shifted`), and one with a seed has the same
//!   each time (`a_seed_repeats_its_waits`).
//! - A wait of zero stays zero, whatever the growth and the jitter
//!   (`a_wait_of_zero_stays_zero`).
//! - Whom a server told when to come back does not come before, within the
//!   envelope, nor together with the others who were told
//!   (`a_hint_prolongs_within_its_envelope_and_is_jittered_upward`).
//! - Jitter that is set on a decorrelated walk does not hold it back
//!   (`jitter_shortens_a_walk_and_leaves_it_where_it_is`).
//! - What makes no sense is refused (`what_makes_no_sense_is_refused`), and no
//!   value makes it panic (`nothing_that_is_refused_panics_either`).
//!
//! # Cost
//!
//! A [`Backoff`] has 48 bytes, a [`Session`] 24, and [`Delays`], which is
//! both, 72 (`a_session_is_small`). Nothing is allocated, and nothing that
//! threads share is written. Measured in release builds, on one core: a wait
//! takes 6 ns and some 160 instructions; the first of a session 10 ns and
//! 230, since it draws the seed; the thousandth 9 ns, by Fibonacci 30. A
//! request that needs no retry draws no seed
//! (`no_seed_is_drawn_before_dice_are_rolled`), and a [`Session`] of its own
//! is three words set to zero.
//!
//! # When not to use it
//!
//! - As the only answer to overload: backoff moves calls to later, and when
//!   new ones keep coming, later is as full. What adds load has to be bounded,
//!   by a budget of retries or by a breaker.
//! - To poll for what takes as long as it takes: that is an interval.
//! - Where the growth depends on what happened, or on values that a function
//!   pointer cannot capture: write the iterator, it is one of durations.
//!
//! # How it works
//!
//! A growth says how long the wait is at most, the ceiling. It is clamped to
//! the longest, and only then shortened at random: the other way round, those
//! whose wait was cut would all wait for exactly the longest.
//!
//! | Growth | Ceiling of the retry `n`, from 0 |
//! |---|---|
//! | [`constant`](Backoff::constant) | `wait` |
//! | [`linear`](Backoff::linear) | `first + n × step` |
//! | [`exponential`](Backoff::exponential), [`exponential_by`](Backoff::exponential_by) | `first × factorⁿ` |
//! | [`fibonacci`](Backoff::fibonacci) | `first` × 1, 1, 2, 3, 5, 8 |
//! | [`decorrelated`](Backoff::decorrelated) | random between `first` and three times the ceiling before |
//! | [`custom`](Backoff::custom) | what a function of `n` says |
//!
//! | Jitter | A wait below the ceiling `c` | On average |
//! |---|---|---|
//! | [`Off`](Jitter::Off) | `c` | `c` |
//! | [`Full`](Jitter::Full), the default | 0 to `c` | `c / 2` |
//! | [`Equal`](Jitter::Equal) | `c / 2` to `c` | `c × 3/4` |
//! | [`Bounded(share)`](Jitter::Bounded) | `c × (1 − share)` to `c` | `c × (1 − share / 2)` |
//!
//! A hint, a server's `Retry-After`, is clamped too, and the wait is added to
//! it: `min(hint, envelope) + wait`. So the result lies between the wait and
//! the wait plus the envelope, and who was told the same is still apart.
//!
//! Dice are SplitMix64, one step each. Their seed is drawn when they are first
//! rolled, from keys that each thread has for itself: a request that needs no
//! retry draws none.
//!
//! # Choosing parameters
//!
//! - **Jitter**: the default. In Brooker's simulations full jitter made the
//!   fewest calls, and took slightly longer than decorrelated waits; equal
//!   jitter lost to both. It guarantees a pause, though.
//! - **First**: about what a good call takes. With full jitter, `n` waits take
//!   `first × (2ⁿ − 1) / 2` on average: two of 100 ms at first, 150 ms.
//! - **Longest**: `N` clients at the cap make `2N / longest` calls a second.
//!   If the server bears `r` of them as it comes up, the longest wait is at
//!   least `2N / r`: for 10,000 clients and 1,000 calls a second, 20 s. An
//!   outage that ends is noticed a third of that later, on average: the wait
//!   during which it ends is longer than most.
//! - **Envelope** of a hint: what your callers bear. Whoever is told to wait
//!   for longer had better give up than come early: compare with
//!   [`longest_hint`](Backoff::longest_hint) before.
//!
//! # Differences from
//!
//! - *tower*'s `ExponentialBackoffMaker` (0.5.3) clones its generator for each
//!   request, so all of them have the same jitter; it lengthens, and what is
//!   clamped afterwards has none at the cap.
//! - *backon* adds jitter above its `max_delay`, and has none by default.
//! - *retry-policies* has full jitter, and a bounded one that is between the
//!   first wait and the ceiling, so that its first wait has none.
//! - *Brooker's* decorrelated jitter clamps after the dice, so that in a long
//!   outage every third wait is exactly the cap (simulated, from 1 to 60 s).
//!   Here the cap bounds the dice.
//!
//! # References
//!
//! Marc Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog,
//! 2015. Guy Steele, Doug Lea and Christine Flood, *Fast Splittable
//! Pseudorandom Number Generators*, OOPSLA 2014.

mod error;
mod growth;
mod jitter;
mod policy;
mod session;

pub use error::ConfigError;
pub use jitter::Jitter;
pub use policy::Backoff;
pub use session::{Delays, Session};
