use std::fmt;
use std::sync::Arc;

use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::luck_cell::Luck;
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{SpreadTally, Tally};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};
use std::time::Duration;

use super::heard_cell::Heard;
use super::{Config, UpstreamLayer};
use crate::load_shed::telemetry::{Cause, Telemetry};

/// What a server says of what it admits, in the hands of its client: what would
/// be refused there is not sent.
///
/// It is a handle, cheap to clone: one for each server, or for all of one
/// kind.
///
/// ```
/// use axiomatic_capacity::load_shed::upstream::Config;
/// use axiomatic_core::context::{AdmissionLevel, Priority};
/// use axiomatic_core::time::Instant;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let payment = Config::new().named("payment").build()?;
/// let now = Instant::from_nanos(1_000_000_000);
/// payment.hear(now, AdmissionLevel::at(Priority::CRITICAL, 0));
/// assert!(payment.admit(now, Priority::CRITICAL).is_ok());
/// assert!(payment.admit(now, Priority::SHEDDABLE).is_err());
/// let later = now + Duration::from_secs(2);
/// assert!(payment.admit(later, Priority::SHEDDABLE).is_ok(), "nothing new was heard");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    heard: Heard,
    believed: Duration,
    /// Of 2^32 that are kept back, so many are sent.
    probes: u64,
    /// Who is sent although it is kept back.
    probing: Luck,
    mode: ModeCell,
    name: Name,
    clock: Clock,
    refused: SpreadTally,
    would_refuse: Tally,
    telemetry: Telemetry,
}

impl Upstream {
    pub(super) fn new(config: Config) -> Self {
        let millionths = u64::from(config.probes.as_parts_per_million());
        Upstream(Arc::new(Inner {
            heard: Heard::nothing(),
            believed: config.believed,
            probes: (millionths << 32) / 1_000_000,
            probing: Luck::new(config.seed),
            mode: ModeCell::new(config.mode),
            telemetry: Telemetry::new(config.name),
            name: config.name,
            clock: config.clock,
            refused: SpreadTally::new(),
            would_refuse: Tally::new(),
        }))
    }

    /// Asks whether to send a request of this priority at `now`.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Shed`]: it would be refused there.
    #[inline]
    pub fn admit(&self, now: Instant, priority: Priority) -> Result<(), Rejected> {
        let inner = &*self.0;
        let level = inner.heard.level(now);
        if level == AdmissionLevel::ALL || inner.mode.is_off() {
            return Ok(());
        }
        // Of what matters just as much as the level says a share is refused
        // there, and not here as well: or twice as much would be.
        if priority >= level.priority() || inner.probing.draw() >> 32 < inner.probes {
            return Ok(());
        }
        if inner.mode.load() == Mode::Shadow {
            inner.would_refuse.count();
            inner.telemetry.would_refuse();
            return Ok(());
        }
        inner.refused.count();
        inner.telemetry.refused(Cause::KeptBack);
        Err(self.rejected(Reason::Shed))
    }

    /// An answer that came at `now` says what is admitted.
    #[inline]
    pub fn hear(&self, now: Instant, level: AdmissionLevel) {
        self.0.heard.hear(level, now + self.0.believed);
    }

    /// What is believed at `now` to be admitted.
    pub fn level(&self, now: Instant) -> AdmissionLevel {
        self.0.heard.level(now)
    }

    /// A refusal in words that is counted as nothing.
    pub(super) fn rejected(&self, reason: Reason) -> Rejected {
        Rejected::new(Pattern::LoadShedder, reason).with_name(self.0.name)
    }

    /// Reads the clock. Only adapters need to.
    #[inline(always)]
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Switches between keeping back, counting what would be kept back, and
    /// standing aside.
    pub fn set_mode(&self, mode: Mode) {
        self.0.mode.store(mode);
    }

    /// Whether it acts on what it heard.
    pub fn mode(&self) -> Mode {
        self.0.mode.load()
    }

    /// The name.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// Plain numbers for an operator; they print as a line.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: self.0.name,
            mode: self.mode(),
            level: self.level(self.now()),
            refused: self.0.refused.load(),
            would_refuse: self.0.would_refuse.load(),
        }
    }

    /// A tower layer; all its services share this.
    pub fn layer(&self) -> UpstreamLayer {
        UpstreamLayer::new(self.clone())
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

/// What is known of the other side at a moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    name: Name,
    mode: Mode,
    level: AdmissionLevel,
    refused: u64,
    would_refuse: u64,
}

impl Snapshot {
    /// The name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on what it heard.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What was believed to be admitted.
    pub fn level(&self) -> AdmissionLevel {
        self.level
    }

    /// Calls that were kept back.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls that would have been kept back, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot {
            name,
            level,
            refused,
            ..
        } = self;
        write!(f, "upstream {name} admits {level}: {refused} kept back")?;
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => write!(f, ", in shadow: {} sent", self.would_refuse),
            Mode::Off => f.write_str(", off"),
        }
    }
}
