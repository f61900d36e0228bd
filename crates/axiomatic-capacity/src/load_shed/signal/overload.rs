use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;

use super::OverloadError;

/// Whether there is too much, by the highest of several signals, with
/// hysteresis: it begins at one pressure and ends below another.
///
/// | Was | The highest pressure | Is |
/// |---|---|---|
/// | not overloaded | below `enter` | not overloaded |
/// | not overloaded | at `enter` or above | overloaded |
/// | overloaded | at `leave` or above | overloaded |
/// | overloaded | below `leave` | not overloaded |
///
/// Without the distance between the two, the relief that shedding brings would
/// end it at once, to begin again with the next call.
///
/// ```
/// use axiomatic_capacity::load_shed::signal::{Overload, Watched};
/// use axiomatic_core::pressure::Pressure;
/// use axiomatic_core::time::Instant;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// // Rises by a tenth of what can be borne each second.
/// let rising = Watched::new("rising", |now| {
///     Pressure::of_times(now - Instant::from_nanos(1), Duration::from_secs(10))
/// });
/// let mut overload = Overload::new(vec![Arc::new(rising)]);
/// let start = Instant::from_nanos(1);
/// assert!(!overload.look(start + Duration::from_secs(9)).overloaded);
/// let look = overload.look(start + Duration::from_secs(11));
/// assert!(look.overloaded);
/// assert_eq!(look.highest, Some("rising"));
/// assert!(overload.look(start + Duration::from_secs(9)).overloaded, "not below 80 %");
/// assert!(!overload.look(start + Duration::from_secs(7)).overloaded);
/// ```
#[derive(Debug)]
pub struct Overload {
    watched: Vec<One>,
    enter: Pressure,
    leave: Pressure,
    is_overloaded: bool,
    panics: u64,
}

/// One of the signals.
#[derive(Debug)]
struct One {
    signal: Arc<dyn Signal>,
    name: &'static str,
    /// It panicked, and is left alone until then.
    left_alone_until: Option<Instant>,
}

/// For how long a signal is left alone that panicked: to unwind takes
/// microseconds, and each time the process's panic hook writes a line.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// What a look at the signals said.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether there is too much.
    pub overloaded: bool,
    /// The highest pressure.
    pub pressure: Pressure,
    /// Whose it is: the first of them where several are equal, and nobody's
    /// where there is no pressure.
    pub highest: Option<&'static str>,
}

impl Overload {
    /// Where overload begins unless told otherwise: 100 %.
    pub const ENTER: Pressure = Pressure::FULL;
    /// Below what it ends unless told otherwise: 80 %. Not measured.
    pub const LEAVE: Pressure = Pressure::percent(80);

    /// Overload that begins at 100 % and ends below 80 % of the highest of
    /// these signals. Of no signals, there is none.
    pub fn new(signals: Vec<Arc<dyn Signal>>) -> Self {
        Overload {
            watched: signals.into_iter().map(One::new).collect(),
            enter: Overload::ENTER,
            leave: Overload::LEAVE,
            is_overloaded: false,
            panics: 0,
        }
    }

    /// The same with thresholds of your own: it begins at `enter` and ends
    /// below `leave`.
    ///
    /// # Errors
    ///
    /// [`OverloadError`] if it would end at more than where it begins, or
    /// never.
    pub fn with(
        signals: Vec<Arc<dyn Signal>>,
        enter: Pressure,
        leave: Pressure,
    ) -> Result<Self, OverloadError> {
        if leave > enter {
            return Err(OverloadError::Crossed { enter, leave });
        }
        if leave == Pressure::NONE {
            return Err(OverloadError::Endless);
        }
        Ok(Overload {
            enter,
            leave,
            ..Overload::new(signals)
        })
    }

    /// Asks all signals, and decides.
    ///
    /// A signal that panics has no pressure, for ten seconds, and then is asked
    /// again: the call that came by should not pay for it, and the others
    /// decide.
    pub fn look(&mut self, now: Instant) -> Look {
        let mut pressure = Pressure::NONE;
        let mut highest = None;
        for one in &mut self.watched {
            match one.ask(now) {
                Ok(asked) if asked > pressure => {
                    pressure = asked;
                    highest = Some(one.name);
                }
                Ok(_) => {}
                Err(Panicked) => self.panics += 1,
            }
        }
        self.is_overloaded = step(self.is_overloaded, pressure, self.enter, self.leave);
        Look {
            overloaded: self.is_overloaded,
            pressure,
            highest,
        }
    }

    /// More signals.
    pub(crate) fn watch(&mut self, signals: Vec<Arc<dyn Signal>>) {
        self.watched.extend(signals.into_iter().map(One::new));
    }

    /// Changes both thresholds, to such as were found to be good.
    pub(crate) fn set(&mut self, enter: Pressure, leave: Pressure) {
        (self.enter, self.leave) = (enter, leave);
    }

    /// Whether there was too much at the last look.
    pub fn is_overloaded(&self) -> bool {
        self.is_overloaded
    }

    /// How often a signal panicked.
    pub fn panics(&self) -> u64 {
        self.panics
    }

    /// Where it begins, and below what it ends.
    pub fn thresholds(&self) -> (Pressure, Pressure) {
        (self.enter, self.leave)
    }
}

/// The table above.
fn step(is_overloaded: bool, highest: Pressure, enter: Pressure, leave: Pressure) -> bool {
    highest >= if is_overloaded { leave } else { enter }
}

struct Panicked;

impl One {
    fn new(signal: Arc<dyn Signal>) -> Self {
        One {
            name: signal.name(),
            signal,
            left_alone_until: None,
        }
    }

    fn ask(&mut self, now: Instant) -> Result<Pressure, Panicked> {
        if self.left_alone_until.is_some_and(|until| now < until) {
            return Ok(Pressure::NONE);
        }
        self.left_alone_until = None;
        // Whatever state it was left in, it is asked for nothing but a number.
        let asked = catch_unwind(AssertUnwindSafe(|| self.signal.pressure(now)));
        asked.map_err(|payload| {
            // Its drop may be the signal's code too, and panic again: some
            // bytes every ten seconds are the lesser evil.
            std::mem::forget(payload);
            self.left_alone_until = Some(now + LEFT_ALONE);
            Panicked
        })
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::step;
    use axiomatic_core::pressure::Pressure;

    #[test]
    fn it_begins_at_one_threshold_and_ends_below_another() {
        let percent = Pressure::percent;
        for (was, highest, enter, leave, is) in [
            (false, 0, 100, 80, false),
            (false, 80, 100, 80, false),
            (false, 99, 100, 80, false),
            (false, 100, 100, 80, true),
            (false, 500, 100, 80, true),
            (true, 100, 100, 80, true),
            (true, 99, 100, 80, true),
            (true, 80, 100, 80, true),
            (true, 79, 100, 80, false),
            (true, 0, 100, 80, false),
            // Without a distance it is one threshold.
            (false, 100, 100, 100, true),
            (true, 99, 100, 100, false),
        ] {
            let next = step(was, percent(highest), percent(enter), percent(leave));
            assert_eq!(next, is, "{was} at {highest} %, {enter} and {leave}");
        }
    }
}
