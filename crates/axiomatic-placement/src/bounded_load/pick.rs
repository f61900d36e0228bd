use std::fmt;
use std::ops::Deref;

use axiomatic_core::shared::Held;

use super::state::{Place, State};
use crate::consistent_hash::Member;

/// Where a request goes, and its place there, which is given back when this is
/// dropped.
///
/// ```compile_fail
/// # use axiomatic_placement::bounded_load::Pick;
/// fn twice(pick: &Pick<'_>) -> (Pick<'_>, Pick<'_>) {
///     (pick.clone(), pick.clone()) // one request, one place
/// }
/// ```
#[must_use = "a pick that is dropped has given its place back"]
pub struct Pick<'a>(InPlace<&'a State>);

/// The same, outliving the borrow: for futures, and for bodies of responses.
#[must_use = "a pick that is dropped has given its place back"]
pub struct OwnedPick(InPlace<Held<State>>);

struct InPlace<S: Deref<Target = State>> {
    state: S,
    place: Place,
}

impl<S: Deref<Target = State>> InPlace<S> {
    fn member(&self) -> &Member {
        &self.state.membership.members()[self.place.index as usize]
    }
}

impl<S: Deref<Target = State>> Drop for InPlace<S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.state.end(self.place);
    }
}

impl<'a> Pick<'a> {
    #[inline(always)]
    pub(super) fn new(state: &'a State, hash: u64, owner: usize) -> Self {
        let place = state.place(hash, owner);
        Pick(InPlace { state, place })
    }
}

impl OwnedPick {
    #[inline(always)]
    pub(super) fn new(state: Held<State>, hash: u64, owner: usize) -> Self {
        let place = state.place(hash, owner);
        OwnedPick(InPlace { state, place })
    }
}

macro_rules! what_a_pick_says {
    ($pick:ty) => {
        impl $pick {
            /// The node that the request goes to.
            pub fn member(&self) -> &Member {
                self.0.member()
            }

            /// How many nodes were passed, since they were full: 0 if this is
            /// the owner.
            pub fn displacement(&self) -> usize {
                self.0.place.displacement as usize
            }
        }

        impl Deref for $pick {
            type Target = Member;

            fn deref(&self) -> &Member {
                self.member()
            }
        }

        impl fmt::Debug for $pick {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Pick")
                    .field("member", self.member())
                    .field("displacement", &self.displacement())
                    .finish()
            }
        }
    };
}

what_a_pick_says!(Pick<'_>);
what_a_pick_says!(OwnedPick);
