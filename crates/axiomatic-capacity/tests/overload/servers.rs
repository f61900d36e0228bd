//! What stands in front of the workers: all of it, nothing, and single pieces.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{self, Bulkhead, CoDel, Order, WhenFull};
use axiomatic_capacity::load_shed::signal::{QueueDelay, Watched};
use axiomatic_capacity::load_shed::{self, Fairness, LoadShedder, fairness, prioritizer};
use axiomatic_core::hash::Seed;
use axiomatic_core::pressure::Pressure;
use axiomatic_core::sync::{spread, thread_index};
use axiomatic_core::time::{Clock, ManualClock};

use crate::world::WORKERS;

/// The wait that is no trouble: a tenth of what callers have.
const TARGET: Duration = Duration::from_millis(50);

/// What a server is made of.
pub(crate) struct Pieces {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Last in, first out, when the queue has stood for long.
    pub(crate) turns: bool,
    /// Callers say until when they wait, and nobody is served after.
    pub(crate) deadlines: bool,
    /// Requests say how much they matter.
    pub(crate) priorities: bool,
    /// Controlled delay.
    pub(crate) codel: bool,
    /// So many may wait.
    pub(crate) places: u32,
    pub(crate) shedder: bool,
    /// The shedder is told whom the queue refuses.
    pub(crate) reports: bool,
    pub(crate) signal: Option<Sign>,
    pub(crate) fairness: bool,
}

/// What the shedder learns of overload from.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Sign {
    /// How long the one has waited that waits longest.
    QueueDelay,
    /// The workers have been busy, over a second.
    Busy,
}

/// No piece of it: a queue that is longer than anybody's patience.
pub(crate) const NOTHING: Pieces = Pieces {
    name: "nothing",
    about: "a long queue, first come, first served; whoever waits is served, late or not",
    turns: false,
    deadlines: false,
    priorities: false,
    codel: false,
    places: 50_000,
    shedder: false,
    reports: false,
    signal: None,
    fairness: false,
};

pub(crate) const TURNS: Pieces = Pieces {
    name: "adaptive LIFO",
    about: "`Order::default()`, in an as long queue",
    turns: true,
    ..NOTHING
};

pub(crate) const CODEL: Pieces = Pieces {
    name: "controlled delay",
    about: "who has waited for 100 ms leaves, once somebody has waited for 50 ms at every moment of 200 ms",
    codel: true,
    ..NOTHING
};

pub(crate) const DEADLINES: Pieces = Pieces {
    name: "deadlines",
    about: "callers say until when they wait, and leave the queue by then",
    deadlines: true,
    ..NOTHING
};

pub(crate) const SHEDDER: Pieces = Pieces {
    name: "shedder",
    about: "a `LoadShedder` that knows how long the oldest in that queue has waited, and priorities",
    priorities: true,
    shedder: true,
    signal: Some(Sign::QueueDelay),
    ..NOTHING
};

/// All of it.
pub(crate) const EVERYTHING: Pieces = Pieces {
    name: "everything",
    about: "a short queue with all of the above, whose refusals the shedder is told of",
    turns: true,
    deadlines: true,
    priorities: true,
    codel: true,
    places: 200,
    shedder: true,
    reports: true,
    signal: Some(Sign::QueueDelay),
    fairness: false,
};

pub(crate) const NO_SHEDDER: Pieces = Pieces {
    name: "all but the shedder",
    about: "a short queue with adaptive LIFO, controlled delay, deadlines and priorities",
    shedder: false,
    reports: false,
    signal: None,
    ..EVERYTHING
};

pub(crate) const SIGNAL: Pieces = Pieces {
    name: "a signal alone",
    about: "everything, but the shedder is not told of refusals",
    reports: false,
    ..EVERYTHING
};

pub(crate) const LAGGING: Pieces = Pieces {
    name: "a late signal alone",
    about: "everything, but the shedder knows nothing but how busy the workers were in the last second",
    reports: false,
    signal: Some(Sign::Busy),
    ..EVERYTHING
};

pub(crate) const REPORTS: Pieces = Pieces {
    name: "reports alone",
    about: "everything, but the shedder has no signal",
    signal: None,
    ..EVERYTHING
};

pub(crate) const FAIR: Pieces = Pieces {
    name: "everything, and fairness",
    about: "users are ranked",
    fairness: true,
    ..EVERYTHING
};

/// A server that was built.
pub(crate) struct Server {
    pub(crate) bulkhead: Bulkhead,
    pub(crate) shedder: Option<LoadShedder>,
    pub(crate) fairness: Option<Fairness>,
    pub(crate) busy: Arc<Busy>,
}

/// The busy share of the workers, as a measure of processors has it: over a
/// second, more or less, and a tenth of a second late.
#[derive(Default)]
pub(crate) struct Busy(Mutex<u32>);

impl Busy {
    pub(crate) fn sample(&self, busy: u32, of: u32) {
        let share = busy * 1_000_000 / of;
        let mut mean = self.0.lock().unwrap();
        *mean = (*mean * 9 + share) / 10;
    }

    /// Against 95 %.
    fn pressure(&self) -> Pressure {
        Pressure::of((*self.0.lock().unwrap()).into(), 950_000)
    }
}

impl Pieces {
    pub(crate) fn build(&self, clock: &ManualClock, seed: u64) -> Server {
        let clock = || Clock::Manual(clock.clone());
        let prioritizer = self.shedder.then(|| {
            // Draws depend on the line that a thread has, the first of which is
            // for those without one; of the tests each has another.
            let line = match thread_index() {
                index if index < spread() => index + 1,
                _ => 0,
            };
            let config = prioritizer::Config::new().seed(seed ^ line as u64);
            config.build().unwrap()
        });
        let mut config = bulkhead::Config::new(NonZeroU32::new(WORKERS).unwrap())
            .clock(clock())
            .when_full(WhenFull::Wait {
                max_waiting: self.places,
                max_wait: Duration::from_secs(60),
                order: if self.turns {
                    Order::default()
                } else {
                    Order::Fifo
                },
            });
        if self.codel {
            config = config.codel(CoDel::new(TARGET, 4 * TARGET));
        }
        if let (true, Some(prioritizer)) = (self.reports, &prioritizer) {
            config = config.reporting_to(prioritizer);
        }
        let bulkhead = config.build().unwrap();
        let busy = Arc::<Busy>::default();
        if let Some(prioritizer) = &prioritizer {
            match self.signal {
                Some(Sign::QueueDelay) => {
                    prioritizer.watch(QueueDelay::of(bulkhead.clone(), TARGET));
                }
                Some(Sign::Busy) => {
                    let busy = Arc::clone(&busy);
                    prioritizer.watch(Watched::new("busy", move |_| busy.pressure()));
                }
                None => {}
            }
        }
        let fairness = fairness::Config::new().seed(Seed::fixed(seed));
        Server {
            shedder: prioritizer
                .as_ref()
                .map(|prioritizer| load_shed::Config::new(prioritizer).clock(clock()).build()),
            bulkhead,
            fairness: self.fairness.then(|| fairness.build().unwrap()),
            busy,
        }
    }
}
