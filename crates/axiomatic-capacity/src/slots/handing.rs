//! Waiting for slots, and handing them over.

use std::sync::PoisonError;
use std::task::{Context, Poll};

use axiomatic_core::Reason;
use axiomatic_core::sync::MutexGuard;
use axiomatic_core::time::Instant;

use super::partition::Taker;
use super::wakers::Wakers;
use super::{COMMON, Joined, Slots, Taken, Waiting};
use crate::queue::{Left, Lines, Ticket, Waiter};

impl Slots {
    /// Waits in line, unless there are slots, or no place to wait in.
    pub(crate) fn join(&self, mut waiter: Waiter, now: Instant) -> Joined {
        if self.partition(waiter.line).is_none() {
            // A partition of others is none of ours, as for who does not wait.
            waiter.line = COMMON;
        }
        if !self.can_wait || waiter.weight > self.most(waiter.line) {
            return Joined::Refused(Reason::Full);
        }
        if waiter.until <= now {
            return Joined::Refused(waiter.too_late);
        }
        let mut wakers = Wakers::new();
        let mut waiting = self.lock();
        let mut more = More::No;
        // Those whose time is over leave their places first.
        if !waiting.queue.is_empty() {
            more = self.dispatch(&mut waiting, now, &mut wakers);
        }
        while more == More::Yes {
            drop(waiting);
            wakers.wake();
            waiting = self.lock();
            more = self.dispatch(&mut waiting, now, &mut wakers);
        }
        let joined = match waiting.queue.join(waiter, now) {
            None => Joined::Refused(Reason::QueueFull),
            Some((ticket, gave_way)) => {
                wakers.push(gave_way);
                self.flag(&mut waiting);
                more = self.dispatch(&mut waiting, now, &mut wakers);
                match waiting.queue.collect(&ticket) {
                    None => Joined::Waiting(ticket),
                    Some(Ok(taken)) => Joined::Granted(taken),
                    Some(Err(reason)) => Joined::Refused(reason),
                }
            }
        };
        drop(waiting);
        drop(wakers);
        if more == More::Yes {
            self.serve();
        }
        joined
    }

    /// What became of one that waits. Once that is known, the ticket is spent.
    /// Who was not polled before has no waker here to compare with.
    pub(crate) fn poll(
        &self,
        ticket: &Ticket,
        was_polled: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Taken, Reason>> {
        if was_polled {
            let mut waiting = self.lock();
            if let Some(settled) = waiting.queue.collect(ticket) {
                return Poll::Ready(settled);
            }
            if waiting.queue.wakes(ticket, cx.waker()) {
                return Poll::Pending;
            }
        }
        // Cloned, and the one before dropped, while the lock is free: both are
        // somebody else's code.
        let waker = cx.waker().clone();
        let mut waiting = self.lock();
        if let Some(settled) = waiting.queue.collect(ticket) {
            drop(waiting);
            return Poll::Ready(settled);
        }
        let before = waiting.queue.set_waker(ticket, waker);
        drop(waiting);
        drop(before);
        Poll::Pending
    }

    /// One that waited does so no longer. What it was given and never heard of
    /// goes to the next.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let now = self.clock.now();
        let mut waiting = self.lock();
        match waiting.queue.leave(ticket, now) {
            Left::Settled(Ok(taken)) => {
                drop(waiting);
                self.give_back(taken);
            }
            Left::Settled(Err(_)) => {}
            Left::Waited(waker) => {
                // Whom it stood before may fit where it did not. The waker,
                // somebody else's code, is dropped when that is done.
                drop(waiting);
                self.serve_at(now);
                drop(waker);
            }
        }
    }

    /// When one that waits is to be [looked for](Slots::look_for_overdue), who
    /// may be overdue then. None if he never is, or does not wait any more.
    pub(crate) fn overdue_from(&self, ticket: &Ticket) -> Option<Instant> {
        if !self.has_codel {
            return None;
        }
        self.lock().queue.overdue_from(ticket)
    }

    /// Tells those who are overdue, where nobody comes or goes who would. It is
    /// at least `then`, whatever a clock says that lags.
    pub(crate) fn look_for_overdue(&self, then: Instant) {
        self.serve_at(self.clock.now().max(then));
    }

    /// Hands what is free to who is next, until nobody is, or nothing is left.
    #[cold]
    pub(super) fn serve(&self) {
        self.serve_at(self.clock.now());
    }

    fn serve_at(&self, now: Instant) {
        let mut wakers = Wakers::new();
        loop {
            let more = self.dispatch(&mut self.lock(), now, &mut wakers);
            wakers.wake();
            if more == More::No {
                return;
            }
        }
    }

    /// One batch of it, once those who are overdue have left. Who stands before
    /// others in a line keeps its place until it fits: so what is heavy is not
    /// passed by for ever. The same goes for what partitions share.
    fn dispatch(&self, waiting: &mut Waiting, now: Instant, wakers: &mut Wakers) -> More {
        let mut blocked = Lines::default();
        let mut taker = Taker::Queue;
        let more = loop {
            if waiting.queue.is_empty() {
                break More::No;
            }
            if wakers.is_full() {
                break More::Yes;
            }
            // Nobody becomes overdue by who leaves: at the end of this there is
            // none, and so none among those who are served.
            if let Some(overdue) = waiting.queue.overdue(now) {
                let settled = Err(Reason::Shed);
                wakers.push(waiting.queue.settle(overdue, settled, now));
                continue;
            }
            let Some(next) = waiting.queue.next(now, blocked) else {
                break More::No;
            };
            let Waiter {
                line,
                weight,
                until,
                too_late,
                ..
            } = waiting.queue.waiter(next);
            let settled = if until <= now {
                Err(too_late)
            } else if weight > self.most(line) {
                Err(Reason::Full)
            } else if self.try_take_in(line, weight, taker) {
                Ok(Taken { weight, line })
            } else {
                // In a single line nobody comes before who is first.
                if self.partitions.is_empty() {
                    break More::No;
                }
                blocked.insert(line);
                taker = Taker::QueueOwnOnly;
                continue;
            };
            wakers.push(waiting.queue.settle(next, settled, now));
        };
        self.flag(waiting);
        more
    }

    /// Has the words say for which lines somebody waits.
    fn flag(&self, waiting: &mut Waiting) {
        let mut now = Lines::default();
        if !waiting.queue.is_empty() {
            now.insert(COMMON);
        }
        for (line, _) in (1..).zip(&self.partitions) {
            if !waiting.queue.is_line_empty(line) {
                now.insert(line);
            }
        }
        if now == waiting.flagged {
            return;
        }
        let before = std::mem::replace(&mut waiting.flagged, now);
        let changed = |line| (before.has(line) != now.has(line)).then(|| now.has(line));
        if let Some(waited) = changed(COMMON) {
            self.common.set_waiting(waited);
        }
        for (line, partition) in (1..).zip(&self.partitions) {
            if let Some(waited) = changed(line) {
                partition.word.set_waiting(waited);
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics under it but a bug of ours, and permits that others
        // hold come back all the same.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum More {
    No,
    Yes,
}
