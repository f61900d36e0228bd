use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};
use tower::discover::{Change, Discover};

use super::error::Trouble;
use super::routes::{Routes, Serving};
use crate::consistent_hash::{Member, Membership, Node, Placement, PlacementError};

/// Reads what is discovered, and keeps [`Routes`] up to date with it. To be
/// spawned; it ends when the stream does, and routes stay as they were then. So
/// they do if it is dropped.
#[pin_project(PinnedDrop)]
#[must_use = "nothing is discovered unless the driver is polled: spawn it"]
pub struct Driver<D: Discover, P, F, N> {
    routes: Routes<P, D::Service>,
    #[pin]
    discover: D,
    place: F,
    describe: N,
    nodes: BTreeMap<Box<[u8]>, (Node, D::Service)>,
}

impl<D: Discover, P, F, N> Driver<D, P, F, N> {
    pub(super) fn new(routes: Routes<P, D::Service>, discover: D, place: F, describe: N) -> Self {
        Driver {
            routes,
            discover,
            place,
            describe,
            nodes: BTreeMap::new(),
        }
    }
}

/// # Errors
///
/// What discovery ended with.
impl<D, P, F, N> Future for Driver<D, P, F, N>
where
    D: Discover,
    D::Service: Clone,
    P: Placement,
    F: FnMut(&Membership) -> Result<P, PlacementError>,
    N: FnMut(&D::Key) -> Node,
{
    type Output = Result<(), D::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut has_changed = false;
        // All that there is, before anything is built of it.
        let ended = loop {
            match this.discover.as_mut().poll_discover(cx) {
                Poll::Ready(Some(Ok(Change::Insert(key, service)))) => {
                    let node = (this.describe)(&key);
                    this.nodes.insert(node.id().into(), (node, service));
                }
                Poll::Ready(Some(Ok(Change::Remove(key)))) => {
                    let node = (this.describe)(&key);
                    this.nodes.remove(node.id());
                }
                Poll::Ready(Some(Err(error))) => break Poll::Ready(Err(error)),
                Poll::Ready(None) => break Poll::Ready(Ok(())),
                Poll::Pending => break Poll::Pending,
            }
            has_changed = true;
        };
        if has_changed {
            let trouble = swap(this.routes, this.nodes, this.place).err();
            let shared = &this.routes.0;
            shared.trouble.store(trouble.map(Arc::new));
            if shared.serving.load().is_some() {
                shared.waiters.wake_all();
            }
        }
        if ended.is_ready() {
            this.routes.0.waiters.end();
        }
        ended
    }
}

/// Swaps in these nodes, in the states that they have been marked with since
/// they came.
fn swap<P: Placement, S: Clone>(
    routes: &Routes<P, S>,
    nodes: &BTreeMap<Box<[u8]>, (Node, S)>,
    place: &mut impl FnMut(&Membership) -> Result<P, PlacementError>,
) -> Result<(), Trouble> {
    // By identity, as the members of a membership are.
    let services: Arc<[S]> = nodes.values().map(|(_, service)| service.clone()).collect();
    routes.change(|serving| {
        if nodes.is_empty() {
            return Ok(None);
        }
        let known = serving.map(|serving| serving.placement.membership());
        let epoch = known.map_or(1, |known| known.epoch().saturating_add(1));
        let described = nodes.values().map(|(node, _)| node.clone());
        let membership = Membership::new(epoch, described)?;
        let membership = marked_as(known, membership);
        let placement = match serving {
            Some(serving) => serving.placement.over(&membership)?,
            None => place(&membership)?,
        };
        Ok(Some(Serving {
            placement,
            services: Arc::clone(&services),
        }))
    })
}

/// With the states of those that were there already.
fn marked_as(known: Option<&Membership>, membership: Membership) -> Membership {
    let state = |member: &Member| {
        let known = known.and_then(|known| Some(known.state(known.get(member.id())?)));
        known.unwrap_or_else(|| membership.state(member))
    };
    if membership
        .members()
        .iter()
        .all(|member| state(member) == membership.state(member))
    {
        return membership;
    }
    membership.with_states(state)
}

#[pinned_drop]
impl<D: Discover, P, F, N> PinnedDrop for Driver<D, P, F, N> {
    fn drop(self: Pin<&mut Self>) {
        self.project().routes.0.waiters.end();
    }
}

impl<D: Discover, P, F, N> fmt::Debug for Driver<D, P, F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}
