use std::fmt;
use std::ops::Deref;

use super::{Metered, Sample, Why};
use crate::gate::{self, Core};

/// What an adaptive limit was like at a moment: what its slots were like, and
/// why there are so many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    slots: gate::Snapshot,
    sample: Option<Sample>,
    why: Why,
}

impl Snapshot {
    pub(super) fn of(core: &Core<Metered>) -> Self {
        let last = core.meter.last();
        Snapshot {
            slots: gate::Snapshot::of(core),
            sample: last.map(|(sample, _)| sample),
            why: last.map_or(Why::TooFew, |(_, step)| step.why),
        }
    }

    /// Why the limit is what it is.
    pub fn why(&self) -> Why {
        self.why
    }

    /// What the last window was like that a limit was made of.
    pub fn sample(&self) -> Option<Sample> {
        self.sample
    }
}

impl Deref for Snapshot {
    type Target = gate::Snapshot;

    fn deref(&self) -> &gate::Snapshot {
        &self.slots
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.slots, self.why)?;
        let Some(sample) = &self.sample else {
            return Ok(());
        };
        let Sample {
            answered,
            failed,
            dropped,
            most_in_flight,
            ..
        } = sample;
        write!(
            f,
            ", of {answered} answers, {failed} failures, {dropped} drops, {most_in_flight} in flight"
        )?;
        match (sample.median, sample.shortest) {
            (Some(median), Some(shortest)) => {
                write!(f, ", {median:.1?} the median and {shortest:.1?} at least")
            }
            _ => Ok(()),
        }
    }
}
