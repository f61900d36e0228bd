use std::fmt;

use axiomatic_core::Rejected;
use axiomatic_core::shared::Shared;

use super::{Admission, Ask, Core, Meter, OwnedPermit, Permit};

/// A shared core, and the line in it for which this handle asks.
#[expect(
    unnameable_types,
    reason = "the inside of `Bulkhead` and `AdaptiveLimit`"
)]
pub struct Handle<M> {
    pub(crate) core: Shared<Core<M>>,
    pub(crate) line: u16,
}

impl<M: Meter> Handle<M> {
    #[inline(always)]
    pub(crate) fn admit_borrowed(&self, weight: u32) -> Result<Permit<'_, M>, Rejected> {
        let token = self.core.admit(self.line, weight)?;
        Ok(Permit::begin(&self.core, token))
    }

    #[inline(always)]
    pub(crate) fn admit(&self, ask: Ask) -> Result<OwnedPermit<M>, Rejected> {
        self.admit_in(self.line, ask)
    }

    #[inline(always)]
    pub(crate) fn admit_in(&self, line: u16, ask: Ask) -> Result<OwnedPermit<M>, Rejected> {
        let token = self.core.admit(line, ask.weight.get())?;
        Ok(OwnedPermit::begin(self.core.hold(), token))
    }

    #[inline(always)]
    pub(crate) fn admit_or_wait(&self, ask: Ask) -> Result<Admission<M>, Rejected> {
        self.admit_or_wait_in(self.line, ask)
    }

    #[inline(always)]
    pub(crate) fn admit_or_wait_in(&self, line: u16, ask: Ask) -> Result<Admission<M>, Rejected> {
        Core::admit_or_wait(&self.core, line, ask)
    }

    /// The same, asking for another line.
    pub(crate) fn within(&self, line: u16) -> Self {
        Handle {
            core: self.core.clone(),
            line,
        }
    }
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle {
            core: self.core.clone(),
            line: self.line,
        }
    }
}

impl<M: Meter> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("core", &self.core)
            .field("line", &self.line)
            .finish()
    }
}
