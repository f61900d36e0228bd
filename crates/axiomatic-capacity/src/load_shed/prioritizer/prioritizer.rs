//! Who decides, and what it goes by. One file, because who counts and who takes
//! the count over are one hand-over.

use std::fmt;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Duration;

use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::number_cell::Setting;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::sync::{Mutex, MutexGuard};
use axiomatic_core::time::{Instant, saturating_nanos};
use axiomatic_core::{Name, Pattern, Ratio, Reason, Rejected};

use super::controller::{Controller, Law, Period};
use super::crowd::Crowd;
use super::patience::Patience;
use super::tallies_cell::{Fate, Mine, Tallies, Totals};
use super::telemetry::Telemetry;
use super::{Config, Snapshot};
use crate::load_shed::ConfigError;
use crate::load_shed::signal::{Look, Overload};

/// Decides how much is shed, and that it is what matters least: one for all
/// that stands in front of one resource.
///
/// It is a handle, cheap to clone. Whoever stands outermost asks it
/// ([`admit`](Prioritizer::admit), or a [`LoadShedder`](crate::load_shed::LoadShedder)
/// does); whoever refuses further in, a bulkhead, a rate limit, a throttler,
/// tells it so ([`turned_away`](Prioritizer::turned_away)). From the next period
/// on as much is shed at the door, and what matters less before what matters
/// more, instead of whoever happens to find no slot.
///
/// ```
/// use axiomatic_capacity::load_shed::Prioritizer;
/// use axiomatic_capacity::load_shed::prioritizer::Config;
/// use axiomatic_core::context::Priority;
/// use axiomatic_core::time::Instant;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let prioritizer: Prioritizer = Config::new().build()?;
/// let mut now = Instant::from_nanos(1_000_000_000);
/// let mut shed = [0, 0];
/// // A hundred of each in a period, of which forty in all can be borne.
/// for period in 0..50 {
///     let mut borne = 40;
///     for _ in 0..100 {
///         now = now + Duration::from_millis(1);
///         for (priority, shed) in [Priority::SHEDDABLE, Priority::CRITICAL].into_iter().zip(&mut shed) {
///             match prioritizer.admit(now, priority) {
///                 Ok(()) if borne > 0 => borne -= 1,
///                 Ok(()) => prioritizer.turned_away(),
///                 Err(_) => *shed += u32::from(period > 10),
///             }
///         }
///     }
/// }
/// assert!(shed[0] > 3_800, "all that is sheddable: {shed:?}");
/// assert!(shed[1] < 2_600, "of what is critical no more than must be: {shed:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Prioritizer(Arc<Inner>);

struct Inner {
    front: Front,
    period: Setting,
    /// A load shedder stands outermost: it tells what was served, and who is
    /// asked for further in was counted there.
    has_door: Setting,
    /// Callers are told from which priority on requests are admitted.
    is_announced: Setting,
    /// None while one call has it: others go on without.
    control: Mutex<Option<Box<Control>>>,
    /// What was counted until now is of no period: somebody was not told all.
    is_anew: Setting,
    /// What the next step is to take over.
    changed: Mutex<Option<Changed>>,
    watched: Mutex<Vec<Arc<dyn Signal>>>,
    /// Of the last period. Apart from the control, under which signals run.
    last: Mutex<Last>,
    telemetry: Telemetry,
    name: Name,
}

/// What every call reads, and one call a period writes: on a line that nobody
/// else does.
#[repr(align(128))]
struct Front {
    level: Setting,
    due: Setting,
    /// In nanoseconds.
    wait: Setting,
    tallies: Tallies,
}

/// What one call at a time has, and no other waits for.
struct Control {
    overload: Overload,
    controller: Controller,
    crowd: Crowd,
    patience: Patience,
    before: Totals,
    began: Option<Instant>,
}

/// What can be changed live, of what the control has.
struct Changed {
    law: Law,
    enter: Pressure,
    leave: Pressure,
    waits: (u64, u64),
}

/// What is told of the last period.
struct Last {
    look: Look,
    offered: u64,
    turned_away: u64,
    admitting: Option<u64>,
    refused: Ratio,
    crowd: Crowd,
}

/// Of fewer requests a share is chance: the period goes on, up to ten times as
/// long. It was not measured. A model has no time for so many.
const FEW: u64 = if cfg!(axiomatic_loom) { 1 } else { 20 };
const LONGEST: u64 = 10;

impl Prioritizer {
    pub(super) fn new(config: &Config, overload: Overload) -> Self {
        let (first, longest) = config.waits();
        let crowd = Crowd::new();
        Prioritizer(Arc::new(Inner {
            front: Front {
                level: Setting::new(AdmissionLevel::ALL.as_u32().into()),
                due: Setting::new(0),
                wait: Setting::new(first),
                tallies: Tallies::new(config.seed),
            },
            period: Setting::new(saturating_nanos(config.period)),
            has_door: Setting::new(0),
            is_announced: Setting::new(0),
            last: Mutex::new(Last {
                look: Look::default(),
                offered: 0,
                turned_away: 0,
                admitting: None,
                refused: Ratio::ZERO,
                crowd: crowd.clone(),
            }),
            control: Mutex::new(Some(Box::new(Control {
                overload,
                controller: Controller::new(config.law),
                crowd,
                patience: Patience::new(first, longest),
                before: Totals::default(),
                began: None,
            }))),
            is_anew: Setting::new(0),
            changed: Mutex::new(None),
            watched: Mutex::new(Vec::new()),
            telemetry: Telemetry::new(config.name),
            name: config.name,
        }))
    }

    /// Asks for a request of this priority, at `now`, at the outermost place.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Shed`], and when to come again.
    #[inline]
    pub fn admit(&self, now: Instant, priority: Priority) -> Result<(), Rejected> {
        match self.lets_in(now, priority) {
            // What becomes of it nobody tells, but for who turns it away.
            Ok(()) => {
                self.served();
                Ok(())
            }
            Err(wait) => Err(Rejected::new(Pattern::LoadShedder, Reason::Shed)
                .with_name(self.0.name)
                .with_retry_after_nanos(wait)),
        }
    }

    /// The same for who refuses in words of its own, and tells what was
    /// [served](Prioritizer::served): how long who is refused is to stay away, in
    /// nanoseconds. Whether it is refused is up to it: in shadow it is not.
    #[inline(always)]
    pub(crate) fn lets_in(&self, now: Instant, priority: Priority) -> Result<(), u64> {
        let mine = self.offers(now, priority);
        let level = self.level();
        let luck = || (mine.luck() >> 48) as u16;
        if level == AdmissionLevel::ALL || level.admits_by(priority, luck) {
            return Ok(());
        }
        mine.fate(Fate::Shed);
        Err(self.0.front.wait(mine))
    }

    /// Begins a period, if it is time.
    #[inline(always)]
    fn look(&self, now: Instant) {
        if is_due(self.0.front.due.load(), now) {
            self.step(now);
        }
    }

    /// A request of this priority comes, about which a throttler decides. It is
    /// counted here, unless it was at the door.
    #[inline(always)]
    pub(crate) fn comes_by(&self, now: Instant, priority: Priority) {
        if self.0.has_door.load() == 0 {
            self.offers(now, priority);
        } else {
            self.look(now);
        }
    }

    /// And so the throttler decided.
    #[inline(always)]
    pub(crate) fn went_by(&self, passed: bool) {
        if self.0.has_door.load() == 0 {
            let fate = if passed { Fate::Served } else { Fate::Shed };
            self.0.front.tallies.mine().fate(fate);
        }
    }

    /// A request is refused at the door, because it would be too late.
    #[cold]
    pub(crate) fn late(&self, now: Instant) {
        self.look(now);
        self.0.front.tallies.mine().fate(Fate::Late);
    }

    /// Counts it where this thread does.
    #[inline(always)]
    fn offers(&self, now: Instant, priority: Priority) -> Mine<'_> {
        self.look(now);
        let mine = self.0.front.tallies.mine();
        mine.offered(priority);
        mine
    }

    pub(super) fn tallies(&self) -> Tallies {
        self.0.front.tallies.clone()
    }

    /// A request that was let in was refused further in, whatever its
    /// priority: because there was no slot, no token, no time. Bulkheads and
    /// limits tell it by themselves if they are
    /// [so configured](crate::bulkhead::Config::reporting_to).
    #[inline]
    pub fn turned_away(&self) {
        self.0.front.tallies.mine().fate(Fate::TurnedAway);
    }

    /// The same by who refuses in words of its own: how long who is refused is
    /// to stay away, in nanoseconds.
    #[inline(always)]
    pub(crate) fn turns_away(&self) -> u64 {
        let front = &self.0.front;
        let mine = front.tallies.mine();
        mine.fate(Fate::TurnedAway);
        front.wait(mine)
    }

    /// A load shedder stands outermost.
    pub(crate) fn has_door(&self) {
        self.0.has_door.store(1);
    }

    /// Not all that came was seen until now, so the next period begins when the
    /// next one comes.
    pub(crate) fn begins_anew(&self) {
        self.0.is_anew.store(1);
        self.0.front.due.store(0);
    }

    /// Callers are told the level, and those who heed it keep back the rest.
    pub(crate) fn is_announced(&self) {
        self.0.is_announced.store(1);
    }

    /// One that was let in was served.
    #[inline(always)]
    pub(crate) fn served(&self) {
        self.0.front.tallies.mine().fate(Fate::Served);
    }

    /// How long who is refused is to stay away, in nanoseconds, for a reason
    /// that is no business of the prioritizer's.
    pub(crate) fn wait(&self) -> u64 {
        let front = &self.0.front;
        front.wait(front.tallies.mine())
    }

    /// From which priority on requests are admitted: what callers are told,
    /// so that they keep back what would be refused.
    #[inline(always)]
    pub fn level(&self) -> AdmissionLevel {
        AdmissionLevel::from_u32(self.0.front.level.load() as u32)
    }

    /// The level that refuses this share of the requests of late, those that
    /// matter least: for who knows by itself how much must be refused, as a
    /// throttler does.
    pub fn level_of(&self, refused: Ratio) -> AdmissionLevel {
        lock(&self.0.last).crowd.level(refused)
    }

    /// Changes what can be changed live: periods, steps, waits, hysteresis,
    /// from the next period on. Name, signals and seed stay what they are.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], and nothing is changed.
    pub fn update(&self, config: &Config) -> Result<(), ConfigError> {
        config.check()?;
        *lock(&self.0.changed) = Some(Changed {
            law: config.law,
            enter: config.enter,
            leave: config.leave,
            waits: config.waits(),
        });
        self.0.period.store(saturating_nanos(config.period));
        Ok(())
    }

    /// The name.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// One more signal, from the next period on: of what was made after this
    /// and [reports](crate::bulkhead::Config::reporting_to) to it.
    pub fn watch(&self, signal: impl Signal + 'static) {
        lock(&self.0.watched).push(Arc::new(signal));
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        let last = lock(&self.0.last);
        Snapshot {
            name: self.0.name,
            level: self.level(),
            refused: last.refused,
            admitting: last.admitting,
            look: last.look,
            offered: last.offered,
            turned_away: last.turned_away,
            retry_after: Duration::from_nanos(self.0.front.wait.load()),
        }
    }

    /// The period is over, perhaps: decides for the next one.
    #[cold]
    #[inline(never)]
    fn step(&self, now: Instant) {
        let inner = &*self.0;
        let Some(mut taken) = Taken::from(inner, now) else {
            return;
        };
        let Some(control) = &mut taken.control else {
            return;
        };
        // First of all: a signal that panics does so once a period, and not
        // with every call.
        let period = inner.period.load();
        inner.front.due.store(now.as_nanos().saturating_add(period));
        if let Some(changed) = lock(&inner.changed).take() {
            control.change(&changed);
        }
        let watched = std::mem::take(&mut *lock(&inner.watched));
        control.overload.watch(watched);
        let totals = inner.front.tallies.read();
        if inner.is_anew.load() == 1 {
            inner.is_anew.store(0);
            control.began = None;
        }
        let Some(began) = control.began else {
            control.began = Some(now);
            control.before = totals;
            return;
        };
        let counted = totals.since(&control.before);
        if now < began {
            // Another clock: what there is has no length.
            control.began = Some(now);
            control.before = totals;
            return;
        }
        let nanos = saturating_nanos(now - began);
        let offered = counted.all();
        let longest = period.saturating_mul(LONGEST);
        if offered < FEW && nanos < longest {
            return;
        }
        control.began = Some(now);
        control.before = totals;
        let look = control.overload.look(now);
        let told = match inner.is_announced.load() {
            0 => AdmissionLevel::ALL,
            _ => self.level(),
        };
        let has_door = inner.has_door.load() == 1;
        let refused = control.decide(&counted, nanos, &look, told, has_door);
        let level = control.crowd.level(refused);
        let late = counted.of(Fate::Late);
        let turned_away = counted.of(Fate::Shed) + counted.of(Fate::TurnedAway) + late;
        // Beyond the longest period nobody came.
        let (busy, idle) = (nanos.min(longest), nanos.saturating_sub(longest));
        control.patience.step(busy, turned_away, offered + late);
        let wait = control.patience.idle(idle);
        *lock(&inner.last) = Last {
            look,
            offered,
            turned_away: counted.of(Fate::TurnedAway),
            admitting: control.controller.admitting(),
            refused,
            crowd: control.crowd.clone(),
        };
        let before = self.level();
        inner.front.wait.store(saturating_nanos(wait));
        inner.front.level.store(level.as_u32().into());
        drop(taken);
        inner.telemetry.decided(before, level, &look);
    }
}

impl Front {
    /// How long to stay away: between once and twice what the history of
    /// refusals says.
    #[inline(always)]
    fn wait(&self, mine: Mine<'_>) -> u64 {
        let wait = self.wait.load();
        let share = u128::from(wait) * u128::from(mine.jitter());
        wait + (share >> 64) as u64
    }
}

impl Control {
    fn change(&mut self, changed: &Changed) {
        let (first, longest) = changed.waits;
        self.controller.set_law(changed.law);
        self.overload.set(changed.enter, changed.leave);
        self.patience.set(first, longest);
    }

    /// What share to refuse in the next period.
    fn decide(
        &mut self,
        counted: &Totals,
        nanos: u64,
        look: &Look,
        told: AdmissionLevel,
        has_door: bool,
    ) -> Ratio {
        let kept_back = self.crowd.add(counted, told);
        let turned_away = counted.of(Fate::TurnedAway);
        let served = counted.of(Fate::Served);
        self.controller.step(&Period {
            nanos,
            offered: counted.all() + kept_back,
            turned_away,
            served: if has_door {
                served
            } else {
                // All that were let in, those among them.
                served.saturating_sub(turned_away)
            },
            overload: look.overloaded.then_some(look.pressure),
        })
    }
}

/// Whether a period is over; also if it would not be for longer than periods
/// last, because some instant was one of another clock. In one comparison.
#[inline(always)]
fn is_due(due: u64, now: Instant) -> bool {
    const LONGEST: u64 = 2 * Config::LONGEST_PERIOD.as_nanos() as u64;
    due.wrapping_sub(now.as_nanos()).wrapping_sub(1) >= LONGEST
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The control, in the hands of one call, and back when it is done with it,
/// also if a signal panics.
struct Taken<'p> {
    inner: &'p Inner,
    control: Option<Box<Control>>,
}

impl<'p> Taken<'p> {
    /// None if another call has it, or the period is not over after all.
    fn from(inner: &'p Inner, now: Instant) -> Option<Self> {
        let mut place = match inner.control.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if !is_due(inner.front.due.load(), now) {
            return None;
        }
        let control = Some(place.take()?);
        Some(Taken { inner, control })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.inner.control) = self.control.take();
    }
}

impl fmt::Debug for Prioritizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prioritizer")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}
