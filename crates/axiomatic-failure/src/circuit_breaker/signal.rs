use axiomatic_core::Mode;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;

use super::CircuitBreaker;
use super::mechanism::Core;
use super::state::{Phase, Stance};
use super::steering::Steering;

/// The most that a breaker says while calls can still bring it back: half of
/// what would be too much. See [`CircuitBreaker`]'s implementation of
/// [`Signal`].
const WHILE_CALLS_DECIDE: Pressure = Pressure::percent(50);

/// A breaker as a signal of overload, for a service that has nothing to answer
/// with while what is behind it does not.
///
/// | State | Pressure |
/// |---|---|
/// | closed, forced closed | none |
/// | open, forced open | full |
/// | open, and its time is over | 50 % |
/// | half-open | 50 % |
/// | ramping, thinning | the share of the calls that it refuses, 50 % at most |
/// | any, in shadow or off; thinning, if the adaptive part is | none: it refuses nobody |
///
/// Full is what sheds, and a breaker leaves its open state by a call that
/// comes, its half-open state by probes that work, its ramp by calls that work.
/// Who shed all calls until the breaker was closed would keep away what closes
/// it. So as soon as calls decide, it is safely below the pressure at which
/// shedding ends (80 % unless told otherwise), and the breaker refuses by
/// itself what is too much.
///
/// ```
/// use axiomatic_core::pressure::{Pressure, Signal};
/// use axiomatic_failure::circuit_breaker::CircuitBreaker;
///
/// let breaker = CircuitBreaker::default();
/// assert_eq!(breaker.pressure(breaker.now()), Pressure::NONE);
/// breaker.force_open();
/// assert_eq!(breaker.pressure(breaker.now()), Pressure::FULL);
/// ```
impl Signal for CircuitBreaker {
    /// `circuit breaker`, whatever its own name.
    fn name(&self) -> &'static str {
        "circuit breaker"
    }

    fn pressure(&self, now: Instant) -> Pressure {
        self.core().pressure(now)
    }
}

impl Core {
    /// The phase is one load; a mode that is switched meanwhile is seen or not.
    fn pressure(&self, now: Instant) -> Pressure {
        match self.mode() {
            Mode::Enforce => {}
            Mode::Shadow | Mode::Off => return Pressure::NONE,
        }
        let phase = self.front.cell.load();
        let steering = self.steering.as_deref().map(Steering::mode);
        let only_watched = steering.is_some_and(|mode| mode != Mode::Enforce);
        if only_watched && matches!(phase.stance, Stance::Thinning(_)) {
            return Pressure::NONE;
        }
        of(phase, self.local(now))
    }
}

/// The table above, in the breaker's own time.
fn of(phase: Phase, now: Instant) -> Pressure {
    match phase.stance {
        Stance::Closed | Stance::ForcedClosed => Pressure::NONE,
        Stance::ForcedOpen => Pressure::FULL,
        Stance::Open(span) if now < span.end(phase.generation) => Pressure::FULL,
        Stance::Open(_) | Stance::HalfOpen(_) => WHILE_CALLS_DECIDE,
        Stance::Ramping(_) | Stance::Thinning(_) => {
            let passing = phase.admitting().as_parts_per_million();
            let refused = Pressure::FULL.as_parts_per_million() - passing;
            Pressure::parts_per_million(refused).min(WHILE_CALLS_DECIDE)
        }
    }
}
