use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use axiomatic_core::{Name, Ratio};
use tokio::sync::broadcast;

use super::State;

/// How many transitions wait for a subscriber that does not listen. A breaker
/// makes a handful in an outage; a flapping one some a second.
const KEPT: usize = 64;

/// One transition of a breaker.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub(super) name: Name,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) after: Duration,
    pub(super) admitting: Ratio,
    pub(super) number: u64,
}

impl Transition {
    /// The breaker's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// What it did before.
    pub fn from(&self) -> State {
        self.from
    }

    /// What it does since.
    pub fn to(&self) -> State {
        self.to
    }

    /// How long it had been in the state before, to some milliseconds. Closed
    /// and thinning are dated together, and so are the stages of a ramp.
    pub fn after(&self) -> Duration {
        self.after
    }

    /// What share of the calls passes since; nothing while it probes.
    pub fn admitting(&self) -> Ratio {
        self.admitting
    }

    /// Numbers the states of a breaker, with gaps: the larger is the later.
    /// Threads that make two transitions at the same time may report them in
    /// either order. Closed and thinning share a number, and the stages of a
    /// ramp do.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "circuit breaker {}: {} after {:.1?} {}",
            self.name, self.to, self.after, self.from
        )
    }
}

/// How many transitions a subscriber missed because it did not listen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Missed(pub u64);

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transitions were missed", self.0)
    }
}

impl std::error::Error for Missed {}

/// The transitions of a breaker from the subscription on, in the order in
/// which they are reported.
///
/// The 64 last ones are kept for each subscriber. Whoever does not listen
/// misses the oldest and is told how many; the breaker and its callers never
/// wait. It needs no runtime. Made by
/// [`CircuitBreaker::subscribe`](super::CircuitBreaker::subscribe).
///
/// It is tokio's broadcast channel: its lock is taken by transitions and by
/// subscribers alone, and subscribers are woken after it was released.
#[derive(Debug)]
pub struct Transitions(broadcast::Receiver<Transition>);

impl Transitions {
    /// Waits for the next transition. `None` once the breaker is gone.
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Missed`] once after transitions were missed; those that are kept
    /// follow.
    pub async fn next(&mut self) -> Option<Result<Transition, Missed>> {
        match self.0.recv().await {
            Ok(transition) => Some(Ok(transition)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(Missed(missed))),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next transition, if there is one already.
    ///
    /// # Errors
    ///
    /// As [`next`](Transitions::next).
    pub fn try_next(&mut self) -> Option<Result<Transition, Missed>> {
        match self.0.try_recv() {
            Ok(transition) => Some(Ok(transition)),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Err(Missed(missed))),
            Err(_) => None,
        }
    }
}

/// Where transitions go. Nothing, until somebody subscribes.
#[derive(Debug)]
pub(super) struct Subscribers(OnceLock<broadcast::Sender<Transition>>);

impl Subscribers {
    pub(super) const fn new() -> Self {
        Subscribers(OnceLock::new())
    }

    pub(super) fn subscribe(&self) -> Transitions {
        let sender = self.0.get_or_init(|| broadcast::Sender::new(KEPT));
        Transitions(sender.subscribe())
    }

    /// Says so to whoever listens; nobody has to.
    pub(super) fn tell(&self, transition: impl FnOnce() -> Transition) {
        if let Some(sender) = self.0.get() {
            let _ = sender.send(transition());
        }
    }
}
