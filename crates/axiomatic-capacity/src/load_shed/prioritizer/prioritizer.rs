//! Who decides, and what it goes by. One file, because who counts and who takes
//! the count over are one hand-over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::number_cell::Setting;
use axiomatic_core::pressure::Signal;
use axiomatic_core::sync::Mutex;
use axiomatic_core::time::{Instant, saturating_nanos};
use axiomatic_core::{Name, Pattern, Ratio, Reason, Rejected};

use super::controller::Controller;
use super::crowd::Crowd;
use super::deciding::{Changed, Control, Last, is_due, lock};
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
/// does); whoever refuses further in, a bulkhead or a rate limit, tells it so
/// ([`turned_away`](Prioritizer::turned_away)). From the next period on as much is
/// shed at the door, and what matters less before what matters
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
pub struct Prioritizer(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) front: Front,
    pub(super) period: Setting,
    /// A load shedder stands outermost: it tells what was served, and who is
    /// asked for further in was counted there.
    pub(super) has_door: Setting,
    /// Callers are told from which priority on requests are admitted.
    pub(super) is_announced: Setting,
    /// None while one call has it: others go on without.
    pub(super) control: Mutex<Option<Box<Control>>>,
    /// What was counted until now is of no period: somebody was not told all.
    pub(super) is_anew: Setting,
    /// What the next step is to take over.
    pub(super) changed: Mutex<Option<Changed>>,
    pub(super) watched: Mutex<Vec<Arc<dyn Signal>>>,
    /// Of the last period. Apart from the control, under which signals run.
    pub(super) last: Mutex<Last>,
    pub(super) telemetry: Telemetry,
    pub(super) name: Name,
}

/// What every call reads, and one call a period writes: on a line that nobody
/// else does.
#[repr(align(128))]
pub(super) struct Front {
    pub(super) level: Setting,
    pub(super) due: Setting,
    /// In nanoseconds.
    pub(super) wait: Setting,
    pub(super) tallies: Tallies,
}

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
        match self.decide(now, priority) {
            // What becomes of it nobody tells, but for who turns it away.
            Ok(mine) => {
                mine.fate(Fate::Served);
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
        self.decide(now, priority).map(drop)
    }

    /// Where it is counted what becomes of it; or how long to stay away.
    #[inline(always)]
    fn decide(&self, now: Instant, priority: Priority) -> Result<Mine<'_>, u64> {
        let mine = self.offers(now, priority);
        let level = self.level();
        let luck = || (mine.luck() >> 48) as u16;
        if level == AdmissionLevel::ALL || level.admits_by(priority, luck) {
            return Ok(mine);
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

    /// A request of this priority comes, about which a throttler decides: from
    /// which priority on it may pass. If there is a door it was counted there,
    /// and let in, which nobody decides again.
    #[inline(always)]
    pub(crate) fn comes_by(&self, now: Instant, priority: Priority) -> AdmissionLevel {
        if self.0.has_door.load() == 0 {
            self.offers(now, priority);
            self.level()
        } else {
            self.look(now);
            AdmissionLevel::ALL
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

impl fmt::Debug for Prioritizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prioritizer")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}
