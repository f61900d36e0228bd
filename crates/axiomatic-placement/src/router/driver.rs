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
use crate::consistent_hash::{Member, Membership, Node, Placement, PlacementError, State};

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
    /// The last epoch there was, also while there is no node.
    epoch: u64,
}

impl<D: Discover, P, F, N> Driver<D, P, F, N> {
    pub(super) fn new(routes: Routes<P, D::Service>, discover: D, place: F, describe: N) -> Self {
        Driver {
            routes,
            discover,
            place,
            describe,
            nodes: BTreeMap::new(),
            epoch: 0,
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
            let trouble = swap(this.routes, this.nodes, this.place, this.epoch).err();
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
    epoch: &mut u64,
) -> Result<(), Trouble> {
    // By identity, as the members of a membership are.
    let services: Arc<[S]> = nodes.values().map(|(_, service)| service.clone()).collect();
    routes.change(|serving| {
        let known = serving.map(|serving| serving.placement.membership());
        if let Some(known) = known {
            *epoch = known.epoch();
        }
        if nodes.is_empty() {
            return Ok(None);
        }
        let described = nodes.values().map(|(node, _)| node.clone());
        let membership = Membership::new(*epoch, described)?;
        // Which is the next epoch.
        let membership = membership.with_states(|member| state(known, member));
        let placement = match serving {
            Some(serving) => serving.placement.over(&membership)?,
            None => place(&membership)?,
        };
        Serving::over(&membership, placement, Arc::clone(&services)).map(Some)
    })
}

/// As it is described, unless it was marked since it was described so.
fn state(known: Option<&Membership>, member: &Member) -> State {
    let described = member.node().state();
    let known = known.and_then(|known| Some((known, known.get(member.id())?)));
    match known {
        Some((known, before)) if before.node().state() == described => known.state(before),
        _ => described,
    }
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
