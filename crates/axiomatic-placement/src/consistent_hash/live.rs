use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::error::{MembershipError, PlacementError};
use super::membership::Membership;
use super::placement::Placement;

/// The placement in use, which is replaced while it is being asked.
///
/// Who reads takes the whole of one placement, and keeps it for as long as it
/// needs to stay with the same answers. Reading writes to no memory that
/// threads share and waits for nobody. Who replaces it builds the next one
/// beside it, however long that takes, and then changes a pointer.
///
/// Epochs only grow: whatever arrives late, or twice, or in the wrong order, is
/// refused, so that all who hear of the same memberships end with the same one.
///
/// ```
/// use axiomatic_placement::consistent_hash::{
///     Live, Membership, Node, Placement, Rendezvous, State,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let first = Membership::new(1, ["a", "b", "c"].map(Node::new))?;
/// let live = Live::new(Rendezvous::new(&first));
/// let owner = live.load().owner(17).id().to_owned();
///
/// // A health check found it missing.
/// live.update(|now| now.marked(&owner, State::Down))?;
/// assert_eq!(live.load().membership().epoch(), 2);
/// assert_ne!(live.load().owner(17).id(), owner);
///
/// // This was sent earlier, and came later.
/// assert!(live.replace(Rendezvous::new(&first)).is_err());
/// # Ok(())
/// # }
/// ```
pub struct Live<P>(ArcSwap<P>);

/// The placement that was in use when it was asked for.
///
/// To be let go soon: few of them at a time are held for free by a thread,
/// further ones are counted in memory that threads share. Who keeps one longer
/// takes it as an [`Arc`].
pub struct Guard<P>(arc_swap::Guard<Arc<P>>);

/// The placement is not newer than the one in use.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    offered: u64,
    current: u64,
}

/// Why there was no update.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// There is no such membership.
    Membership(MembershipError),
    /// The placement cannot be over it.
    Placement(PlacementError),
    /// The epoch did not grow.
    Stale(Stale),
}

impl<P: Placement> Live<P> {
    /// With this placement in use.
    pub fn new(placement: P) -> Self {
        Live(ArcSwap::from_pointee(placement))
    }

    /// The placement in use.
    #[inline]
    pub fn load(&self) -> Guard<P> {
        Guard(self.0.load())
    }

    /// Puts a placement to use, in the place of the one that is returned.
    ///
    /// # Errors
    ///
    /// If the epoch of its membership is not greater than that of the one in
    /// use, which then stays.
    pub fn replace(&self, placement: P) -> Result<Arc<P>, Stale> {
        let placement = Arc::new(placement);
        let mut current = self.0.load();
        loop {
            newer(placement.membership(), current.membership())?;
            match self.swap(&current, &placement) {
                Ok(replaced) => return Ok(replaced),
                Err(now) => current = now,
            }
        }
    }

    /// Puts to use what comes out of the membership in use: the same algorithm
    /// over another one. Where somebody else was faster, it is done again with
    /// what is in use then.
    ///
    /// # Errors
    ///
    /// If there is no such membership, if the placement cannot be over it, or
    /// if its epoch is not greater. Then the one in use stays.
    pub fn update(
        &self,
        mut change: impl FnMut(&Membership) -> Result<Membership, MembershipError>,
    ) -> Result<Arc<P>, UpdateError> {
        let mut current = self.0.load();
        loop {
            let membership = change(current.membership())?;
            // Before something is built that would be refused.
            newer(&membership, current.membership())?;
            let placement = Arc::new(current.over(&membership)?);
            match self.swap(&current, &placement) {
                Ok(replaced) => return Ok(replaced),
                Err(now) => current = now,
            }
        }
    }

    /// Replaces `current` if it is still in use, and otherwise says what is.
    /// Both loops end with it: its success is their linearisation point, and
    /// who fails has lost to another that succeeded, with a greater epoch, so
    /// that they are lock-free.
    fn swap(
        &self,
        current: &arc_swap::Guard<Arc<P>>,
        placement: &Arc<P>,
    ) -> Result<Arc<P>, arc_swap::Guard<Arc<P>>> {
        let before = self.0.compare_and_swap(current, Arc::clone(placement));
        // The guard keeps `current` alive, so the same address is the same one.
        if Arc::ptr_eq(&before, current) {
            Ok(arc_swap::Guard::into_inner(before))
        } else {
            Err(before)
        }
    }
}

fn newer(offered: &Membership, current: &Membership) -> Result<(), Stale> {
    let (offered, current) = (offered.epoch(), current.epoch());
    if offered > current {
        Ok(())
    } else {
        Err(Stale { offered, current })
    }
}

impl<P> Guard<P> {
    /// As a reference that may be kept.
    pub fn into_arc(self) -> Arc<P> {
        arc_swap::Guard::into_inner(self.0)
    }
}

impl<P> Deref for Guard<P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        &self.0
    }
}

impl Stale {
    /// The epoch that was refused.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// The epoch in use.
    pub fn current(&self) -> u64 {
        self.current
    }
}

impl From<MembershipError> for UpdateError {
    fn from(error: MembershipError) -> Self {
        UpdateError::Membership(error)
    }
}

impl From<PlacementError> for UpdateError {
    fn from(error: PlacementError) -> Self {
        UpdateError::Placement(error)
    }
}

impl From<Stale> for UpdateError {
    fn from(stale: Stale) -> Self {
        UpdateError::Stale(stale)
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stale { offered, current } = self;
        write!(f, "epoch {offered} is not newer than epoch {current}")
    }
}

impl Error for Stale {}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Membership(error) => error.fmt(f),
            UpdateError::Placement(error) => error.fmt(f),
            UpdateError::Stale(stale) => stale.fmt(f),
        }
    }
}

impl Error for UpdateError {}

impl<P: fmt::Debug> fmt::Debug for Live<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Live").field(&*self.0.load()).finish()
    }
}

impl<P: fmt::Debug> fmt::Debug for Guard<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
