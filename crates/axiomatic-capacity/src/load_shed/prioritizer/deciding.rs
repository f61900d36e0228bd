//! How a period ends: what one call does for all, and no other waits for.

use std::sync::{PoisonError, TryLockError};

use axiomatic_core::Ratio;
use axiomatic_core::context::AdmissionLevel;
use axiomatic_core::pressure::Pressure;
use axiomatic_core::sync::{Mutex, MutexGuard};
use axiomatic_core::time::{Instant, saturating_nanos};

use super::Config;
use super::controller::{Controller, Law, Period};
use super::crowd::Crowd;
use super::patience::Patience;
use super::prioritizer::{Inner, Prioritizer};
use super::tallies_cell::{Fate, Totals};
use crate::load_shed::signal::{Look, Overload};

/// What one call at a time has, and no other waits for.
pub(super) struct Control {
    pub(super) overload: Overload,
    pub(super) controller: Controller,
    pub(super) crowd: Crowd,
    pub(super) patience: Patience,
    pub(super) before: Totals,
    pub(super) began: Option<Instant>,
}

/// What can be changed live, of what the control has.
pub(super) struct Changed {
    pub(super) law: Law,
    pub(super) enter: Pressure,
    pub(super) leave: Pressure,
    pub(super) waits: (u64, u64),
}

/// What is told of the last period.
pub(super) struct Last {
    pub(super) look: Look,
    pub(super) offered: u64,
    pub(super) turned_away: u64,
    pub(super) admitting: Option<u64>,
    pub(super) refused: Ratio,
    pub(super) crowd: Crowd,
}

/// Of fewer requests a share is chance: the period goes on, up to ten times as
/// long. It was not measured. A model has no time for so many.
const FEW: u64 = if cfg!(axiomatic_loom) { 1 } else { 20 };
const LONGEST: u64 = 10;

impl Prioritizer {
    /// The period is over, perhaps: decides for the next one.
    #[cold]
    #[inline(never)]
    pub(super) fn step(&self, now: Instant) {
        let inner = &*self.0;
        let Some(mut taken) = Taken::from(inner, now) else {
            return;
        };
        let Some(control) = &mut taken.control else {
            return;
        };
        // First of all: a signal that panics does so once a period, and not
        // with every call.
        let period = inner.period.load();
        inner.front.due.store(now.as_nanos().saturating_add(period));
        if let Some(changed) = lock(&inner.changed).take() {
            control.change(&changed);
        }
        let watched = std::mem::take(&mut *lock(&inner.watched));
        control.overload.watch(watched);
        let totals = inner.front.tallies.read();
        if inner.is_anew.load() == 1 {
            inner.is_anew.store(0);
            control.began = None;
        }
        let Some(began) = control.began else {
            control.began = Some(now);
            control.before = totals;
            return;
        };
        let counted = totals.since(&control.before);
        if now < began {
            // Another clock: what there is has no length.
            control.began = Some(now);
            control.before = totals;
            return;
        }
        let nanos = saturating_nanos(now - began);
        let offered = counted.all();
        let longest = period.saturating_mul(LONGEST);
        if offered < FEW && nanos < longest {
            return;
        }
        control.began = Some(now);
        control.before = totals;
        let look = control.overload.look(now);
        let told = match inner.is_announced.load() {
            0 => AdmissionLevel::ALL,
            _ => self.level(),
        };
        let has_door = inner.has_door.load() == 1;
        let refused = control.decide(&counted, nanos, &look, told, has_door);
        let level = control.crowd.level(refused);
        let late = counted.of(Fate::Late);
        let turned_away = counted.of(Fate::Shed) + counted.of(Fate::TurnedAway) + late;
        // Beyond the longest period nobody came.
        let (busy, idle) = (nanos.min(longest), nanos.saturating_sub(longest));
        control.patience.step(busy, turned_away, offered + late);
        let wait = control.patience.idle(idle);
        *lock(&inner.last) = Last {
            look,
            offered,
            turned_away: counted.of(Fate::TurnedAway),
            admitting: control.controller.admitting(),
            refused,
            crowd: control.crowd.clone(),
        };
        let before = self.level();
        inner.front.wait.store(saturating_nanos(wait));
        inner.front.level.store(level.as_u32().into());
        drop(taken);
        inner.telemetry.decided(before, level, &look);
    }
}

impl Control {
    fn change(&mut self, changed: &Changed) {
        let (first, longest) = changed.waits;
        self.controller.set_law(changed.law);
        self.overload.set(changed.enter, changed.leave);
        self.patience.set(first, longest);
    }

    /// What share to refuse in the next period.
    fn decide(
        &mut self,
        counted: &Totals,
        nanos: u64,
        look: &Look,
        told: AdmissionLevel,
        has_door: bool,
    ) -> Ratio {
        let kept_back = self.crowd.add(counted, told);
        let turned_away = counted.of(Fate::TurnedAway);
        let served = counted.of(Fate::Served);
        self.controller.step(&Period {
            nanos,
            offered: counted.all() + kept_back,
            turned_away,
            served: if has_door {
                served
            } else {
                // All that were let in, those among them.
                served.saturating_sub(turned_away)
            },
            overload: look.overloaded.then_some(look.pressure),
        })
    }
}

/// Whether a period is over; also if it would not be for longer than periods
/// last, because some instant was one of another clock. In one comparison.
#[inline(always)]
pub(super) fn is_due(due: u64, now: Instant) -> bool {
    const LONGEST: u64 = 2 * Config::LONGEST_PERIOD.as_nanos() as u64;
    due.wrapping_sub(now.as_nanos()).wrapping_sub(1) >= LONGEST
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The control, in the hands of one call, and back when it is done with it,
/// also if a signal panics.
struct Taken<'p> {
    inner: &'p Inner,
    control: Option<Box<Control>>,
}

impl<'p> Taken<'p> {
    /// None if another call has it, or the period is not over after all.
    fn from(inner: &'p Inner, now: Instant) -> Option<Self> {
        let mut place = match inner.control.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if !is_due(inner.front.due.load(), now) {
            return None;
        }
        let control = Some(place.take()?);
        Some(Taken { inner, control })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.inner.control) = self.control.take();
    }
}
