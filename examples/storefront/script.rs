use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::payment::{Fault, Switch};

/// What befalls payment, and when.
pub(crate) struct Script {
    phases: [Phase; 3],
}

/// A part of the script, up to an instant of it.
struct Phase {
    fault: Fault,
    name: &'static str,
    until: Duration,
}

impl Script {
    pub(crate) fn new(fault: Fault, quick: bool) -> Self {
        // The fault does not last a whole number of the breaker's open seconds,
        // so that its end is not met by a probe that happens to be due.
        let [healthy, faulty, recovered] = if quick {
            [1500, 2000, 2500]
        } else {
            [4000, 6500, 5500]
        }
        .map(Duration::from_millis);
        let name = match fault {
            Fault::None => "payment works",
            Fault::Errors => "payment fails",
            Fault::Slow => "payment is slow",
            Fault::Hang => "payment hangs",
        };
        let phase = |fault, name, until| Phase { fault, name, until };
        Script {
            phases: [
                phase(Fault::None, "healthy", healthy),
                phase(fault, name, healthy + faulty),
                phase(Fault::None, "recovered", healthy + faulty + recovered),
            ],
        }
    }

    pub(crate) fn lasts(&self) -> Duration {
        self.phases[2].until
    }

    pub(crate) fn fault_begins(&self) -> Duration {
        self.phases[0].until
    }

    pub(crate) fn fault_ends(&self) -> Duration {
        self.phases[1].until
    }

    /// What the phase of the fault is called.
    pub(crate) fn fault_name(&self) -> &'static str {
        self.phases[1].name
    }

    /// What the phase at `time` is called.
    pub(crate) fn phase_at(&self, time: Duration) -> &'static str {
        self.phases
            .iter()
            .find(|phase| time <= phase.until)
            .map_or("over", |phase| phase.name)
    }

    /// Moves the switch as the script says, until it is over.
    pub(crate) async fn play(&self, started: Instant, switch: &Switch) {
        for phase in &self.phases {
            switch.set(phase.fault);
            sleep_until(started + phase.until).await;
        }
    }
}
