use std::fmt;
use std::sync::Arc;

use axiomatic_core::Ratio;
use axiomatic_core::hash::Seed;
use axiomatic_core::shared::Shared;

use super::state::{Common, State};
use super::{BalanceError, OwnedPick, Pick, Snapshot};
use crate::consistent_hash::{Algorithm, Member, Membership, Placement, PlacementError};

/// A placement in which no node gets more than its share of the requests in
/// flight, times the balance.
///
/// A clone counts with it, and so does what is made [`over`](Placement::over)
/// another membership. As a [`Placement`] it tells who would have the keys if
/// nobody were full; with [`Live`](crate::consistent_hash::Live) it can be
/// replaced while requests are in flight.
///
/// V. Mirrokni, M. Thorup and M. Zadimoghaddam, "Consistent Hashing with
/// Bounded Loads", SODA 2018 (arXiv 1608.01350).
pub struct BoundedLoad<P> {
    placement: P,
    state: Shared<State>,
}

impl<P: Placement> BoundedLoad<P> {
    /// A node may have `balance` times what it would have if the requests in
    /// flight were shared out exactly by weight, rounded up.
    ///
    /// # Errors
    ///
    /// If the balance is less than 100 %.
    pub fn new(placement: P, balance: Ratio) -> Result<Self, BalanceError> {
        Self::seeded(placement, balance, Seed::fixed(0))
    }

    /// With a seed for the order in which other nodes are tried when the owner
    /// is full. It is the order of a
    /// [`Rendezvous`](crate::consistent_hash::Rendezvous) with that seed, so
    /// with such a placement, give it the same.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn seeded(placement: P, balance: Ratio, seed: Seed) -> Result<Self, BalanceError> {
        let common = Arc::new(Common::new(checked(balance)?));
        let state = State::new(placement.membership(), seed, common);
        Ok(BoundedLoad {
            placement,
            state: Shared::new(state),
        })
    }

    /// Places a request: at the owner of this hash if it has room, otherwise
    /// at the first that has in the rendezvous order of the hash.
    #[inline(always)]
    pub fn pick(&self, hash: u64) -> Pick<'_> {
        Pick::new(&self.state, hash, self.placement.owner(hash).index())
    }

    /// The same with a pick that outlives the borrow.
    #[inline(always)]
    pub fn pick_owned(&self, hash: u64) -> OwnedPick {
        let owner = self.placement.owner(hash).index();
        OwnedPick::new(self.state.hold(), hash, owner)
    }

    /// The placement without bounds.
    pub fn placement(&self) -> &P {
        &self.placement
    }

    /// How far above its share a node may be.
    pub fn balance(&self) -> Ratio {
        self.state.common.balance()
    }

    /// Changes the balance, for all memberships it counts with. Requests that
    /// are in flight stay where they are.
    ///
    /// # Errors
    ///
    /// If it is less than 100 %; then nothing changes.
    pub fn set_balance(&self, balance: Ratio) -> Result<(), BalanceError> {
        self.state.common.set_balance(checked(balance)?);
        Ok(())
    }

    /// What there is to tell of it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.state)
    }
}

fn checked(balance: Ratio) -> Result<Ratio, BalanceError> {
    if balance < Ratio::ONE {
        return Err(BalanceError(balance));
    }
    Ok(balance)
}

/// Who would have the keys if nobody were full.
impl<P: Placement> Placement for BoundedLoad<P> {
    fn algorithm(&self) -> Algorithm {
        self.placement.algorithm()
    }

    fn membership(&self) -> &Membership {
        self.placement.membership()
    }

    #[inline]
    fn owner(&self, hash: u64) -> &Member {
        self.placement.owner(hash)
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member> {
        self.placement.candidates(hash)
    }

    /// Counts go on: what is in flight at a node that stays, by its identity,
    /// counts there, and the total has everything that is in flight, at nodes
    /// that left too. A node that left and came back begins with nothing.
    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        let placement = self.placement.over(membership)?;
        let state = Shared::new(self.state.over(placement.membership()));
        Ok(BoundedLoad { placement, state })
    }
}

impl<P: Clone> Clone for BoundedLoad<P> {
    fn clone(&self) -> Self {
        BoundedLoad {
            placement: self.placement.clone(),
            state: self.state.clone(),
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for BoundedLoad<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedLoad")
            .field("placement", &self.placement)
            .field("snapshot", &Snapshot::of(&self.state))
            .finish()
    }
}
