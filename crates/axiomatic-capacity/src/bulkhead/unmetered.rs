use std::thread::LocalKey;

use axiomatic_core::shared::Stash;
use axiomatic_core::{Outcome, Pattern};

use crate::gate::{Core, Meter};

/// A bulkhead measures nothing: it counts, and reads no clock.
#[derive(Debug)]
pub struct Unmetered;

impl Meter for Unmetered {
    const PATTERN: Pattern = Pattern::Bulkhead;

    type Mark = ();

    const UNSEEN: () = ();

    #[inline(always)]
    fn begin(_: &Core<Self>) {}

    #[inline(always)]
    fn settle(_: &Core<Self>, (): (), _: Outcome) {}

    #[inline(always)]
    fn cancelled(_: &Core<Self>, (): ()) {}

    #[inline(always)]
    fn turned_away(&self) {}

    fn stash() -> &'static LocalKey<Stash<Core<Self>>> {
        thread_local!(static STASH: Stash<Core<Unmetered>> = const { Stash::new() });
        &STASH
    }
}
