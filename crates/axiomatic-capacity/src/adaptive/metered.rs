use std::fmt;
use std::sync::{PoisonError, TryLockError};
use std::thread::LocalKey;
use std::time::Duration;

use axiomatic_core::number_cell::Setting;
use axiomatic_core::shared::Stash;
use axiomatic_core::sync::Mutex;
use axiomatic_core::time::{Clock, Instant, saturating_nanos};
use axiomatic_core::{Outcome, Pattern};

use super::buckets::Totals;
use super::window_cell::Window;
use super::{LimitAlgorithm, Sample, Step};
use crate::gate::{Core, Meter};
use crate::slots::MOST_SLOTS;

/// What an adaptive limit measures: how long calls take, and what becomes of
/// them, a window at a time. The thread that finds a window over has the
/// algorithm make a limit of it.
pub struct Metered {
    clock: Clock,
    window: Window,
    /// How long a window lasts, in nanoseconds.
    length: u64,
    /// From how many nanoseconds on a call that came to nothing is evidence of
    /// too much load; 0 while nobody knows.
    long: Setting,
    control: Mutex<Control>,
    /// The sample and the step of the last window. Apart from the control,
    /// under which somebody else's code runs, which may look at this.
    last: Mutex<Option<(Sample, Step)>>,
}

/// What one thread at a time has, and no call waits for: who finds it taken
/// leaves the window to whoever has it.
struct Control {
    algorithm: Box<dyn LimitAlgorithm>,
    before: Totals,
    /// Memory for the next reading.
    spare: Totals,
    began: Instant,
}

/// A window with fewer calls is no window yet, unless it has lasted ten times
/// as long as it should: then that is what there is. Ten calls are the fewest
/// of which a median is not chance alone; it was not measured.
const FEW: u64 = 10;
const LONGEST: u64 = 10;

impl Metered {
    pub(super) fn new(algorithm: Box<dyn LimitAlgorithm>, length: Duration, clock: Clock) -> Self {
        let began = clock.now();
        Metered {
            window: Window::new(began + length),
            clock,
            length: saturating_nanos(length).max(1),
            long: Setting::new(0),
            control: Mutex::new(Control {
                algorithm,
                before: Totals::new(),
                spare: Totals::new(),
                began,
            }),
            last: Mutex::new(None),
        }
    }

    /// The sample and the step of the last window.
    pub(super) fn last(&self) -> Option<(Sample, Step)> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// So many are in flight, the one that begins among them.
    #[inline(always)]
    pub(super) fn saw(core: &Core<Self>) {
        core.meter.window.in_flight(core.slots.taken());
    }

    /// A call that began at `began` ended at `now`.
    #[inline(always)]
    pub(super) fn record(core: &Core<Self>, began: Instant, now: Instant, outcome: Outcome) {
        let meter = &core.meter;
        let took = saturating_nanos(now - began);
        match outcome {
            Outcome::Success | Outcome::Permanent => meter.window.answered(took),
            Outcome::Transient if took < meter.long.load() => meter.window.failed(),
            Outcome::Transient | Outcome::Throttled { .. } => meter.window.dropped(),
            Outcome::Ignored => {}
        }
        if meter.window.is_due(now) {
            Self::step(core, now);
        }
    }

    /// Nobody waits for it any more. After long, that is evidence of too much
    /// load, as a timeout is; before, it is the caller's own affair.
    pub(super) fn cut_short(core: &Core<Self>, began: Instant, now: Instant) {
        let meter = &core.meter;
        let long = meter.long.load();
        if long > 0 && saturating_nanos(now - began) >= long {
            meter.window.dropped();
        }
        if meter.window.is_due(now) {
            Self::step(core, now);
        }
    }

    /// The window is over, perhaps: has the algorithm make a limit of it.
    #[cold]
    fn step(core: &Core<Self>, now: Instant) {
        let meter = &core.meter;
        let mut control = match meter.control.try_lock() {
            Ok(control) => control,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if !meter.window.is_due(now) {
            return;
        }
        let control = &mut *control;
        meter.window.read(&mut control.spare);
        let totals = &control.spare;
        let counted = totals.since(&control.before);
        let lasted = saturating_nanos(now - control.began);
        let seen = counted.answered + counted.failed + counted.dropped;
        if seen < FEW && lasted < meter.length.saturating_mul(LONGEST) {
            return meter
                .window
                .put_off(now + Duration::from_nanos(meter.length.div_ceil(8)));
        }
        let limit = core.slots.limit();
        let sample = Sample {
            began: control.began,
            ended: now,
            limit,
            answered: counted.answered,
            shortest: totals.shortest.map(Duration::from_nanos),
            median: counted.median,
            failed: counted.failed,
            dropped: counted.dropped,
            most_in_flight: totals.most_in_flight,
            turned_away: counted.turned_away,
        };
        meter.window.begin(now + Duration::from_nanos(meter.length));
        std::mem::swap(&mut control.before, &mut control.spare);
        control.began = now;
        // Who began before is in flight in this window too.
        Self::saw(core);
        let step = control.algorithm.step(&sample);
        let unqueued = control.algorithm.baseline();
        let usual = unqueued.map(|baseline| baseline.saturating_mul(2));
        if let Some(usual) = usual.or(counted.median) {
            meter.long.store(saturating_nanos(usual).max(1));
        }
        let step = Step {
            limit: step.limit.clamp(1, MOST_SLOTS),
            ..step
        };
        *meter.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((sample, step));
        // Before the lock is released, so that no older limit comes last.
        if step.limit != limit {
            core.resize(step.limit, step.why.as_str());
        }
    }
}

impl Meter for Metered {
    const PATTERN: Pattern = Pattern::AdaptiveLimit;

    type Mark = Instant;

    const UNSEEN: Instant = Instant::from_nanos(0);

    #[inline(always)]
    fn begin(core: &Core<Self>) -> Instant {
        Self::saw(core);
        core.meter.clock.now()
    }

    #[inline(always)]
    fn settle(core: &Core<Self>, began: Instant, outcome: Outcome) {
        Self::record(core, began, core.meter.clock.now(), outcome);
    }

    fn cancelled(core: &Core<Self>, began: Instant) {
        Self::cut_short(core, began, core.meter.clock.now());
    }

    #[inline]
    fn turned_away(&self) {
        self.window.turned_away();
    }

    fn stash() -> &'static LocalKey<Stash<Core<Self>>> {
        thread_local!(static STASH: Stash<Core<Metered>> = const { Stash::new() });
        &STASH
    }
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").finish_non_exhaustive()
    }
}
