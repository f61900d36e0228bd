use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::sync::{AtomicU64, Ordering};
use axiomatic_core::time::{Instant, saturating_nanos};

use super::generation::Generation;
use super::state::{Phase, Stance};

/// Whose turn it is where only a share of the calls passes.
///
/// Layout    | 63..26 generation | 25..24 stage of a ramp | 23..0 asked |
/// Invariant of the first `n` that ask in a generation and stage, as long as
///           the share stays, exactly the share of `n`, rounded up, pass: the
///           first one always does.
/// Writers   `take`.
/// Orderings the count is all there is; the cell orders generations.
pub(super) struct Turns(AtomicU64);

const STAGE_BITS: u32 = 2;
const TURN_BITS: u32 = 64 - Generation::BITS - STAGE_BITS;
const LAST_TURN: u64 = (1 << TURN_BITS) - 1;

impl Turns {
    pub(super) fn new() -> Self {
        Turns(AtomicU64::new(0))
    }

    /// Takes the next turn, and says whether it is one of those that pass.
    ///
    /// Linearises at the exchange; a lost race means that another took the
    /// turn. Lock-free.
    pub(super) fn take(&self, phase: Phase, share: Ratio) -> bool {
        let stage = match phase.stance {
            Stance::Ramping(ramping) => ramping.stage.number(),
            _ => 0,
        };
        let series = phase.generation.number() << STAGE_BITS | stage;
        // ORDERING: Relaxed: a count; the exchange fails on any stale value.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let is_first = word >> TURN_BITS != series;
            let turn = if is_first { 0 } else { word & LAST_TURN };
            let next = series << TURN_BITS | (turn + 1) & LAST_TURN;
            // ORDERING: Relaxed: a count; no other memory is read on its
            // strength.
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => {
                    let share = u64::from(share.as_parts_per_million());
                    return turn * share % 1_000_000 < share;
                }
                Err(current) => word = current,
            }
        }
    }
}

/// When the controller of an adaptive breaker takes its next step.
///
/// Layout    | 63..0 an instant in nanoseconds |
/// Writers   `is_due`.
/// Orderings Relaxed: it says whose turn it is; what is read and stored in
///           the step has orderings of its own.
pub(super) struct Pace(AtomicU64);

impl Pace {
    pub(super) fn new() -> Self {
        Pace(AtomicU64::new(0))
    }

    /// Whether a step is due, for one caller a step. A step that lies further
    /// ahead than one can is of a clock that stepped back.
    pub(super) fn is_due(&self, now: Instant, every: Duration) -> bool {
        // ORDERING: Relaxed: a turn; the exchange fails on any stale value.
        let due = self.0.load(Ordering::Relaxed);
        let wait = due.saturating_sub(now.as_nanos());
        if wait > 0 && wait <= saturating_nanos(every) {
            return false;
        }
        // ORDERING: Relaxed: a turn. A lost race means that another took it.
        self.0
            .compare_exchange(
                due,
                (now + every).as_nanos(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }
}
