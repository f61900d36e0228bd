use std::sync::{Arc, Weak};
use std::time::Duration;

use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::{Clock, Instant};
use tokio::runtime::Handle;

use super::SignalError;
use super::lag_cell::Lateness;

/// How much too late tokio's runtime wakes a task, against what can be borne.
///
/// A task sleeps again and again, and measures by how much it woke too late:
/// for so long a call would have stood, ready, among the tasks that others made
/// ready before. The worst of the last second counts; and while the task should
/// have woken and has not, so does the time since. So a runtime that is blocked
/// altogether is seen while it is, by whoever asks from outside it.
///
/// Tokio's timer ticks in milliseconds and wakes after the tick: 1 to 2 ms are
/// no lag. Targets from 10 ms on are sensible. One worker of several that is
/// blocked delays the tasks in its own queue until the others steal them, which
/// hardly shows here.
///
/// The task ends at its next waking after the last handle is gone, and with the
/// runtime. From then on there is no pressure, and neither is there where the
/// runtime has no timer.
///
/// ```
/// use axiomatic_capacity::load_shed::signal::Lag;
/// use axiomatic_core::pressure::{Pressure, Signal};
/// use axiomatic_core::time::Clock;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lag = Lag::watch(Duration::from_millis(10), Duration::from_millis(50))?;
/// tokio::task::yield_now().await;
/// std::thread::sleep(Duration::from_millis(110)); // which nobody should do here
/// assert!(lag.pressure(Clock::Precise.now()).is_full());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lag {
    lateness: Arc<Lateness>,
    target: Duration,
}

impl Lag {
    /// The most often that a task can wake: tokio's timer has no finer tick.
    pub const SHORTEST_EVERY: Duration = Duration::from_millis(1);

    /// Watches the runtime in which it is called, by a task that wakes `every`
    /// so often, [`SHORTEST_EVERY`](Lag::SHORTEST_EVERY) at most; full when it
    /// woke too late by `target`. 10 ms and 50 ms are a beginning. A target of
    /// nothing makes any lag too much.
    ///
    /// # Errors
    ///
    /// [`SignalError::NoRuntime`] outside a runtime.
    pub fn watch(every: Duration, target: Duration) -> Result<Self, SignalError> {
        let runtime = Handle::try_current().map_err(|_| SignalError::NoRuntime)?;
        let every = every.max(Lag::SHORTEST_EVERY);
        let lateness = Arc::new(Lateness::new(Clock::Precise.now() + every));
        let task = Task(Arc::downgrade(&lateness));
        runtime.spawn(task.run(every));
        Ok(Lag { lateness, target })
    }

    /// The worst of the last second, or that of the waking that is overdue.
    pub fn lateness(&self, now: Instant) -> Duration {
        self.lateness.lateness(now)
    }
}

impl Signal for Lag {
    fn name(&self) -> &'static str {
        "runtime lag"
    }

    fn pressure(&self, now: Instant) -> Pressure {
        Pressure::of_times(self.lateness(now), self.target)
    }
}

/// The task that sleeps. It does not keep alive what it writes to.
struct Task(Weak<Lateness>);

impl Task {
    async fn run(self, every: Duration) {
        loop {
            let due = Clock::Precise.now() + every;
            match self.0.upgrade() {
                Some(lateness) => lateness.sleeps_until(due),
                None => return,
            }
            tokio::time::sleep(every).await;
            let now = Clock::Precise.now();
            match self.0.upgrade() {
                Some(lateness) => lateness.woke(now, now - due),
                None => return,
            }
        }
    }
}

/// However it ended, by its runtime's end or by a panic for want of a timer:
/// nobody should wait for a waking that does not come.
impl Drop for Task {
    fn drop(&mut self) {
        if let Some(lateness) = self.0.upgrade() {
            lateness.ended();
        }
    }
}
