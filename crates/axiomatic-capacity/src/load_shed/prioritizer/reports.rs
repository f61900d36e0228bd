use std::fmt;
use std::sync::Arc;

use super::Prioritizer;
use super::tallies_cell::{Fate, Tallies};

/// Tells a prioritizer what was turned away, if there is one.
///
/// It has the counts and not the prioritizer, whose signals may have whoever
/// has this: or neither would ever be dropped.
#[derive(Clone, Default)]
pub(crate) struct Reports(Option<Arc<Tallies>>);

impl Reports {
    pub(crate) fn to(prioritizer: &Prioritizer) -> Self {
        Reports(Some(prioritizer.tallies()))
    }

    /// A request was refused.
    #[inline(always)]
    pub(crate) fn turned_away(&self) {
        if let Some(tallies) = &self.0 {
            tallies.fate(Fate::TurnedAway);
        }
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "reports"
        } else {
            "tells nobody"
        })
    }
}
