use std::fmt;

use super::diff::Diff;
use super::error::ApplyError;
use super::map::SlotMap;

/// From a map to the one of the next epoch: what moves, before it does.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    pub(super) before: SlotMap,
    pub(super) after: SlotMap,
    pub(super) diff: Diff,
    pub(super) remaining: u64,
}

impl Plan {
    /// The map it is for.
    pub fn before(&self) -> &SlotMap {
        &self.before
    }

    /// The map that it makes.
    pub fn after(&self) -> &SlotMap {
        &self.after
    }

    /// What moves.
    pub fn diff(&self) -> &Diff {
        &self.diff
    }

    /// How many slots still have to change owners when it is done, because the
    /// budget was less than what is needed.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl SlotMap {
    /// The map of the next epoch.
    ///
    /// # Errors
    ///
    /// If the plan was made for another epoch, or for another map of this one.
    pub fn apply(&self, plan: &Plan) -> Result<SlotMap, ApplyError> {
        let (planned, found) = (plan.before.epoch(), self.epoch());
        if planned != found {
            return Err(ApplyError::OtherEpoch { planned, found });
        }
        if plan.before != *self {
            return Err(ApplyError::OtherMap { epoch: found });
        }
        Ok(plan.after.clone())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("before", &self.before.epoch())
            .field("after", &self.after.epoch())
            .field("diff", &self.diff)
            .field("remaining", &self.remaining)
            .finish()
    }
}

/// `epoch 7 to 8, 0 slots remain`, and what moves.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (self.before.epoch(), self.after.epoch());
        let remaining = self.remaining;
        writeln!(f, "epoch {before} to {after}, {remaining} slots remain")?;
        self.diff.fmt(f)
    }
}
