use super::{Instant, ManualClock};
use std::time::Duration;

/// Where an adapter gets its instants from.
///
/// An enum and not a type parameter: a service's type should not change
/// because a test wants to choose the time.
///
/// | | costs | ticks |
/// |---|---|---|
/// | `Coarse` | 3 ns | 1 to 4 ms on Linux; elsewhere it is `Precise` |
/// | `Precise` | 22 ns | 1 ns |
/// | `Manual` | 1 ns | when the test says so |
/// | `Source` | yours | yours |
///
/// With the feature `test-util`, `Coarse` and `Precise` read tokio's clock,
/// and so follow its paused time.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Clock {
    /// The kernel's tick: for windows and open durations, where some
    /// milliseconds decide nothing.
    Coarse,
    /// The monotonic clock: for latencies and limits.
    #[default]
    Precise,
    /// A clock that stands still until it is moved by hand.
    Manual(ManualClock),
    /// Any function; it must not run backwards by more than its callers can
    /// bear.
    Source(fn() -> Instant),
}

impl Clock {
    /// Reads the clock.
    #[inline(always)]
    pub fn now(&self) -> Instant {
        // First and by itself: the compiler makes a jump table of the rest.
        if let Clock::Coarse = self {
            return coarse();
        }
        match self {
            Clock::Coarse => coarse(),
            Clock::Precise => precise(),
            Clock::Manual(manual) => manual.now(),
            Clock::Source(source) => source(),
        }
    }

    /// The step by which [`Clock::Coarse`] moves on this machine; a nanosecond
    /// where it is not coarse, as under `test-util`.
    pub fn coarse_tick() -> Duration {
        #[cfg(all(not(feature = "test-util"), target_os = "linux"))]
        {
            use rustix::time::{ClockId, clock_getres};
            use std::sync::OnceLock;
            static TICK: OnceLock<Duration> = OnceLock::new();
            *TICK.get_or_init(|| {
                let tick = clock_getres(ClockId::MonotonicCoarse);
                Duration::from_nanos(super::instant::nanos(tick))
            })
        }
        #[cfg(any(feature = "test-util", not(target_os = "linux")))]
        {
            Duration::from_nanos(1)
        }
    }
}

#[cfg(feature = "test-util")]
fn precise() -> Instant {
    tokio::time::Instant::now().into()
}

#[cfg(feature = "test-util")]
fn coarse() -> Instant {
    precise()
}

#[cfg(all(not(feature = "test-util"), not(target_os = "linux")))]
fn coarse() -> Instant {
    precise()
}

#[cfg(not(feature = "test-util"))]
#[inline(always)]
fn precise() -> Instant {
    super::instant::monotonic()
}

#[cfg(all(not(feature = "test-util"), target_os = "linux"))]
#[inline(always)]
fn coarse() -> Instant {
    use super::instant::since_boot;
    since_boot(rustix::time::ClockId::MonotonicCoarse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_lags_by_at_most_a_few_ticks() {
        let coarse = Clock::Coarse.now();
        let precise = Clock::Precise.now();
        // A tick read between the two readings, plus scheduling: generous,
        // because only a wrong offset, an hour off, is to be found.
        let apart = (precise - coarse).max(coarse - precise);
        assert!(apart < Duration::from_secs(60), "{apart:?} apart");
        assert!(Clock::coarse_tick() < Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn clocks_follow_paused_time_under_test_util() {
        if !cfg!(feature = "test-util") {
            return;
        }
        for clock in [Clock::Coarse, Clock::Precise] {
            let before = clock.now();
            tokio::time::advance(Duration::from_secs(90)).await;
            assert_eq!(clock.now() - before, Duration::from_secs(90));
        }
    }

    #[test]
    fn a_source_is_asked_each_time() {
        let clock = Clock::Source(|| Instant::from_nanos(7));
        assert_eq!(clock.now(), Instant::from_nanos(7));
    }
}
