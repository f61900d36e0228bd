use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use axiomatic_core::context::Endpoint;
use axiomatic_core::{BoxError, Context, Plain};
use tower::discover::Discover;

use super::driver::Driver;
use super::error::Trouble;
use super::service::Router;
use super::waiters::Waiters;
use crate::consistent_hash::PlacementError;
use crate::consistent_hash::{Member, Membership, MembershipError, Node, Placement, State};

/// Which nodes there are, and which of them owns what: shared by the routers
/// that are made of it, and kept up to date by a [`Driver`]. Cheap to clone.
pub struct Routes<P, S>(pub(super) Arc<Shared<P, S>>);

pub(super) struct Shared<P, S> {
    pub(super) serving: ArcSwapOption<Serving<P, S>>,
    pub(super) trouble: ArcSwapOption<Trouble>,
    pub(super) waiters: Waiters,
}

/// A placement, and a service for each of its members, in their order.
pub(super) struct Serving<P, S> {
    pub(super) placement: P,
    pub(super) services: Arc<[S]>,
}

impl<P: Placement, S> Routes<P, S> {
    /// Routes to what is discovered: the keys of the stream are the nodes'
    /// identities. Nothing happens before the driver is polled; it is to be
    /// spawned.
    #[expect(clippy::type_complexity, reason = "what is asked, and what is spawned")]
    pub fn discovered<D, F>(discover: D, place: F) -> (Self, Driver<D, P, F, fn(&D::Key) -> Node>)
    where
        D: Discover<Service = S>,
        D::Key: AsRef<[u8]>,
        F: FnMut(&Membership) -> Result<P, PlacementError>,
    {
        Self::described(discover, place, |key| Node::new(key))
    }

    /// The same with nodes that have weights, zones, racks: `describe` makes a
    /// node of each key of the stream. One that is described in another state
    /// than before is in that state, whatever it was [marked](Self::mark) with.
    pub fn described<D, F, N>(discover: D, place: F, describe: N) -> (Self, Driver<D, P, F, N>)
    where
        D: Discover<Service = S>,
        F: FnMut(&Membership) -> Result<P, PlacementError>,
        N: FnMut(&D::Key) -> Node,
    {
        let routes = Routes(Arc::new(Shared {
            serving: ArcSwapOption::empty(),
            trouble: ArcSwapOption::empty(),
            waiters: Waiters::default(),
        }));
        let driver = Driver::new(routes.clone(), discover, place, describe);
        (routes, driver)
    }

    /// A service that sends each request to the node that owns its key, of
    /// which `key` is the hash.
    pub fn router<K>(&self, key: K) -> Router<P, S, K, BoxError, Plain> {
        Router::new(self.clone(), key)
    }

    /// Who there is, once there is a node.
    pub fn membership(&self) -> Option<Membership> {
        let serving = self.0.serving.load();
        serving
            .as_ref()
            .map(|serving| serving.placement.membership().clone())
    }

    /// The identity of the node that owns the keys of this hash, once there is
    /// a node.
    pub fn owner(&self, hash: u64) -> Option<Box<[u8]>> {
        let serving = self.0.serving.load();
        serving
            .as_ref()
            .map(|serving| serving.placement.owner(hash).id().into())
    }

    /// Puts a node into another state. While it is not up, its requests go to
    /// those who come next for each of them. It stays in it until it is marked
    /// again, is described in another state, or leaves.
    ///
    /// # Errors
    ///
    /// If there is no such node.
    pub fn mark(&self, id: impl AsRef<[u8]>, state: State) -> Result<(), Trouble> {
        let id = id.as_ref();
        self.change(|serving| {
            let unknown = || MembershipError::Unknown { id: id.into() };
            let serving = serving.ok_or_else(unknown)?;
            let membership = serving.placement.membership().marked(id, state)?;
            let placement = serving.placement.over(&membership)?;
            Serving::over(&membership, placement, Arc::clone(&serving.services)).map(Some)
        })
    }

    /// Why the nodes that were discovered last could not be placed, if they
    /// could not: then it is as it was before.
    pub fn trouble(&self) -> Option<Trouble> {
        let trouble = self.0.trouble.load();
        trouble.as_ref().map(|trouble| Trouble::clone(trouble))
    }

    /// Replaces what is served by what follows from it. Where somebody else was
    /// faster it is done again: who fails has lost to a change that succeeded,
    /// so it is lock-free, and the exchange that succeeds is where it happens.
    pub(super) fn change(
        &self,
        mut next: impl FnMut(Option<&Serving<P, S>>) -> Result<Option<Serving<P, S>>, Trouble>,
    ) -> Result<(), Trouble> {
        let mut current = self.0.serving.load();
        loop {
            let next = next(current.as_deref())?.map(Arc::new);
            let before = self.0.serving.compare_and_swap(&current, next);
            if same(&before, &current) {
                return Ok(());
            }
            current = before;
        }
    }
}

fn same<T>(one: &Guard<Option<Arc<T>>>, other: &Guard<Option<Arc<T>>>) -> bool {
    match (one.as_ref(), other.as_ref()) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

impl<P: Placement, S> Serving<P, S> {
    /// With a service for each member of the membership, in their order: so the
    /// placement, which somebody else's code made, must be over that one.
    pub(super) fn over(
        membership: &Membership,
        placement: P,
        services: Arc<[S]>,
    ) -> Result<Self, Trouble> {
        if placement.membership() != membership {
            return Err(Trouble::Elsewhere);
        }
        Ok(Serving {
            placement,
            services,
        })
    }

    /// The node for a request: its owner, for a first attempt that avoids
    /// nobody. The n-th attempt begins at the n-th candidate, and at the first
    /// again after the last, and passes by whoever is to be avoided, unless
    /// they all are.
    #[inline]
    pub(super) fn chosen(&self, hash: u64, context: &Context) -> &Member {
        if context.attempt() <= 1 && context.avoided().next().is_none() {
            return self.placement.owner(hash);
        }
        self.elsewhere(hash, context)
    }

    fn elsewhere(&self, hash: u64, context: &Context) -> &Member {
        let count = self.placement.membership().eligible_nodes();
        let nth = (context.attempt().saturating_sub(1) as usize) % count;
        let candidates = || self.placement.candidates(hash);
        let is_avoided = |member: &&Member| {
            let endpoint = Endpoint::from_bytes(member.id());
            context.avoided().any(|avoided| avoided == endpoint)
        };
        let rotated = || candidates().skip(nth).chain(candidates().take(nth));
        let chosen = rotated()
            .find(|member| !is_avoided(member))
            .or_else(|| rotated().next());
        chosen.unwrap_or_else(|| self.placement.owner(hash))
    }
}

impl<P, S> Clone for Routes<P, S> {
    fn clone(&self) -> Self {
        Routes(Arc::clone(&self.0))
    }
}

impl<P: Placement, S> fmt::Debug for Routes<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("membership", &self.membership())
            .field("trouble", &self.trouble())
            .finish()
    }
}
