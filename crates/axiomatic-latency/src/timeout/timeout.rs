use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::context::Deadline;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};

#[cfg(feature = "tokio")]
use super::TimeoutLayer;
use super::cell::Settings;

/// How long a call may take: a handle, cheap to clone, that works without
/// tower and without a runtime.
///
/// It does not wait; it says until when to, and what to say then.
///
/// ```
/// use axiomatic_core::Reason;
/// use axiomatic_core::context::Deadline;
/// use axiomatic_core::time::Instant;
/// use axiomatic_latency::timeout::Timeout;
/// use std::time::Duration;
///
/// let timeout = Timeout::after(Duration::from_secs(1));
/// let now = Instant::from_nanos(1_000);
/// let permit = timeout.admit(now, None).unwrap();
/// assert_eq!(permit.deadline().instant(), now + Duration::from_secs(1));
///
/// let passed = Deadline::at(now);
/// let refused = timeout.admit(now, Some(passed)).unwrap_err();
/// assert_eq!(refused.reason(), Reason::Expired);
/// ```
#[derive(Clone)]
pub struct Timeout {
    core: Arc<Core>,
}

struct Core {
    name: Name,
    settings: Settings,
}

impl Timeout {
    /// Calls may take this long. None at all is a choice too: then only what
    /// answers when it is first asked gets through.
    pub fn after(duration: Duration) -> Self {
        Self::named(Name::UNNAMED, duration)
    }

    /// The same under a name, for rejections, events and metrics.
    pub fn named(name: impl Into<Name>, duration: Duration) -> Self {
        Timeout {
            core: Arc::new(Core {
                name: name.into(),
                settings: Settings::new(duration),
            }),
        }
    }

    /// Asks until when a call that begins at `now` may take, if its caller
    /// waits until `inherited`. A timeout that is off adds nothing to that:
    /// without it, until the end of time.
    ///
    /// # Errors
    ///
    /// [`Reason::Expired`] if the inherited deadline has passed.
    #[inline]
    pub fn admit(&self, now: Instant, inherited: Option<Deadline>) -> Result<Permit, Rejected> {
        let name = self.core.name;
        let mode = self.core.settings.mode.load();
        let own = match mode {
            Mode::Enforce | Mode::Shadow => now + self.core.settings.after(),
            Mode::Off => Instant::from_nanos(u64::MAX),
        };
        let own = Deadline::at(own);
        let (deadline, needs_timer) = match inherited {
            Some(inherited) if inherited.is_expired(now) && mode == Mode::Enforce => {
                return Err(Rejected::new(Pattern::Timeout, Reason::Expired).with_name(name));
            }
            Some(inherited) if inherited.instant() <= own.instant() => {
                (inherited, !inherited.is_armed())
            }
            _ => (own, true),
        };
        Ok(Permit {
            deadline,
            needs_timer: needs_timer && mode != Mode::Off,
            name,
            mode,
        })
    }

    /// How long calls may take.
    pub fn duration(&self) -> Duration {
        self.core.settings.after()
    }

    /// Changes how long calls that begin from now on may take.
    pub fn update(&self, duration: Duration) {
        self.core.settings.set_after(duration);
    }

    /// Whether it acts on its decisions.
    #[inline]
    pub fn mode(&self) -> Mode {
        self.core.settings.mode.load()
    }

    /// Switches between enforcing, shadowing and standing aside, for calls
    /// that begin from now on. In shadow, a crossing is reported and nothing
    /// is cancelled.
    pub fn set_mode(&self, mode: Mode) {
        self.core.settings.mode.store(mode);
    }

    /// Plain numbers for an operator; they print as a line. How many calls
    /// were given up is counted by the `tracing` events: the path of a call
    /// in time shares no counter.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: self.core.name,
            duration: self.duration(),
            mode: self.mode(),
        }
    }

    /// A tower layer over this timeout; all its services share it.
    #[cfg(feature = "tokio")]
    pub fn layer(&self) -> TimeoutLayer {
        TimeoutLayer::new(self.clone())
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("name", &self.core.name)
            .field("duration", &self.duration())
            .field("mode", &self.mode())
            .finish()
    }
}

/// Leave to wait for one call until a deadline.
#[must_use = "a permit says until when to wait"]
#[derive(Debug)]
pub struct Permit {
    deadline: Deadline,
    needs_timer: bool,
    name: Name,
    mode: Mode,
}

impl Permit {
    /// Until when.
    #[inline]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Whether it takes a timer of its own: not if a layer further out
    /// enforces a deadline as early, and not if the timeout was off.
    #[inline]
    pub fn needs_timer(&self) -> bool {
        self.needs_timer
    }

    /// Whether the deadline is to be handed inward: it was made here, or
    /// begins to be enforced here.
    #[inline]
    pub fn changes_context(&self) -> bool {
        self.needs_timer && self.mode == Mode::Enforce
    }

    /// Tells that the deadline has passed.
    ///
    /// # Errors
    ///
    /// [`Reason::Elapsed`], the answer of a call that is given up; none in
    /// shadow, where the call goes on, nor off, where it is not even reported.
    pub fn elapsed(&self) -> Result<(), Rejected> {
        if self.mode == Mode::Off {
            return Ok(());
        }
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::timeout",
            name = self.name.as_str(),
            mode = %self.mode,
            "elapsed"
        );
        match self.mode {
            Mode::Enforce => {
                Err(Rejected::new(Pattern::Timeout, Reason::Elapsed).with_name(self.name))
            }
            Mode::Shadow | Mode::Off => Ok(()),
        }
    }
}

/// What a timeout was like at a moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    name: Name,
    duration: Duration,
    mode: Mode,
}

impl Snapshot {
    /// The timeout's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// How long calls may take.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "timeout {}: {:?}, {}",
            self.name, self.duration, self.mode
        )
    }
}
