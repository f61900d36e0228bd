//! A server in virtual time, made of the shipped bulkhead, its queue and the
//! load shedder; callers that give up and come again.
//!
//! One file, because it is one loop: each event leads to the next.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{self, Admission, Ask, Waiting};
use axiomatic_capacity::load_shed;
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::{Outcome, Rejected};
use axiomatic_sim::{Agenda, Arrivals, Random, Timeline};

use crate::run::Run;
use crate::servers::{Pieces, Server};

pub(crate) const WORKERS: u32 = 20;
/// How long a caller waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// What comes, and what is done with it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) arrivals: Arrivals,
    /// The mean of the time that a worker needs.
    pub(crate) takes: Timeline<Duration>,
    /// What each request costs on its way to the queue, one after the other, if
    /// it is not shed: to be decrypted, parsed, found out whose it is.
    pub(crate) entrance: Duration,
    /// Nothing ends in this time, and then everything goes on.
    pub(crate) stuck: Range<Duration>,
    pub(crate) again: Again,
    /// So many of a hundred requests are of one user, the others of as many
    /// as there are requests in a second of theirs.
    pub(crate) of_one_user: u64,
    /// All requests are critical.
    pub(crate) one_class: bool,
    pub(crate) end: Duration,
}

/// Whether who was refused, or had no answer in time, comes again.
#[derive(Copy, Clone)]
pub(crate) enum Again {
    /// So often, after so long, by half more or less.
    After(u32, Duration),
    /// So often, when it is told to.
    AsTold(u32),
}

#[derive(Copy, Clone)]
enum Event {
    Arrival,
    /// A request is sent for the first time or once more.
    Attempt(usize, u32),
    /// It has come to the queue.
    Enter(usize),
    /// The caller of an attempt gives up.
    GiveUp(usize),
    /// Who waits may be overdue.
    Look(usize),
    /// A worker is done with it.
    Done(usize),
    /// The processors are looked at.
    Sample,
}

/// A request, sent once or more often.
struct Request {
    arrived: Duration,
    class: usize,
    user: u64,
}

/// A request that was sent.
struct Attempt {
    request: usize,
    nth: u32,
    began: Duration,
    ask: Ask,
    /// Its caller still waits.
    is_open: bool,
    waiting: Option<Pin<Box<Waiting>>>,
    slot: Option<bulkhead::OwnedPermit>,
    shed: Option<load_shed::OwnedPermit>,
}

struct Told<'w> {
    world: &'w World,
    pieces: &'w Pieces,
    server: Server,
    agenda: Agenda<Event>,
    gaps: Random,
    times: Random,
    kinds: Random,
    pauses: Random,
    requests: Vec<Request>,
    attempts: Vec<Attempt>,
    serving: u32,
    /// When all that was let in will have entered.
    entrance: Duration,
    woken: Arc<Mutex<Vec<usize>>>,
    run: Run,
}

struct Flag {
    attempt: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.attempt);
    }
}

/// Of ten requests, so many are of each class.
const MIX: [u64; 4] = [3, 2, 4, 1];

pub(crate) const CRITICAL_PLUS: usize = 3;
pub(crate) const CRITICAL: usize = 2;
pub(crate) const SHEDDABLE: usize = 0;

/// The user that asks for more than the others.
const HEAVY: u64 = 0;

/// How often the processors are looked at.
const SAMPLED: Duration = Duration::from_millis(100);

impl World {
    pub(crate) fn run(&self, pieces: &Pieces, seed: u64) -> Run {
        let mut agenda = Agenda::new();
        let server = pieces.build(&agenda.clock(), seed);
        agenda.after(SAMPLED, Event::Sample);
        let random = Random::new(seed);
        let mut told = Told {
            world: self,
            pieces,
            server,
            agenda,
            gaps: random.fork(1),
            times: random.fork(2),
            kinds: random.fork(3),
            pauses: random.fork(4),
            requests: Vec::new(),
            attempts: Vec::new(),
            serving: 0,
            entrance: Duration::ZERO,
            woken: Arc::default(),
            run: Run::new(self),
        };
        told.next_arrival();
        while let Some(event) = told.agenda.next_event() {
            if told.agenda.elapsed() >= self.end {
                break;
            }
            told.happen(event);
            told.wake();
        }
        told.run
    }
}

impl Told<'_> {
    fn next_arrival(&mut self) {
        let elapsed = self.agenda.elapsed();
        if let Some(next) = self.world.arrivals.next_after(elapsed, &mut self.gaps) {
            self.agenda.after(next - elapsed, Event::Arrival);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => {
                let request = self.request();
                self.attempt(request, 0);
                self.next_arrival();
            }
            Event::Attempt(request, nth) => self.attempt(request, nth),
            Event::Enter(at) => self.enter(at),
            Event::GiveUp(at) => self.give_up(at),
            Event::Look(at) => self.look(at),
            Event::Done(at) => self.done(at),
            Event::Sample => {
                self.server.busy.sample(self.serving, WORKERS);
                self.agenda.after(SAMPLED, Event::Sample);
            }
        }
    }

    fn request(&mut self) -> usize {
        let at = self.requests.len();
        let mut kind = self.kinds.fork(at as u64);
        let mut draw = kind.below(10);
        let mut class = 0;
        while draw >= MIX[class] {
            draw -= MIX[class];
            class += 1;
        }
        if self.world.one_class {
            class = CRITICAL;
        }
        let is_heavy = kind.below(100) < self.world.of_one_user;
        let user = if is_heavy {
            HEAVY
        } else {
            1 + kind.below(1_000)
        };
        let arrived = self.agenda.elapsed();
        self.requests.push(Request {
            arrived,
            class,
            user,
        });
        let bin = self.run.bin(arrived);
        bin.offered[class] += 1;
        bin.offered_of[usize::from(is_heavy)] += 1;
        at
    }

    fn attempt(&mut self, request: usize, nth: u32) {
        let at = self.attempts.len();
        let now = self.agenda.now();
        let began = self.agenda.elapsed();
        self.run.bin(began).attempts += 1;
        self.attempts.push(Attempt {
            request,
            nth,
            began,
            ask: Ask::default(),
            is_open: true,
            waiting: None,
            slot: None,
            shed: None,
        });
        self.agenda.after(PATIENCE, Event::GiveUp(at));
        let Request { class, user, .. } = self.requests[request];
        let mut ask = Ask::default();
        if self.pieces.priorities {
            let priority = Priority::from_u8(class as u8 * 64);
            let fairness = self.server.fairness.as_ref();
            ask = ask.with_priority(fairness.map_or(priority, |fairness| {
                fairness.rank(now, fairness.hasher().number(user), priority)
            }));
        }
        if self.pieces.deadlines {
            ask = ask.with_deadline(Deadline::at(now + PATIENCE));
        }
        if let Some(shedder) = &self.server.shedder {
            match shedder.admit_owned(now, ask) {
                Ok(permit) => self.attempts[at].shed = Some(permit),
                Err(rejected) => return self.refused(at, &rejected),
            }
        }
        self.attempts[at].ask = ask;
        if self.world.entrance.is_zero() {
            return self.enter(at);
        }
        self.entrance = self.entrance.max(began) + self.world.entrance;
        self.agenda.after(self.entrance - began, Event::Enter(at));
    }

    fn enter(&mut self, at: usize) {
        match self.server.bulkhead.admit_or_wait(self.attempts[at].ask) {
            Ok(Admission::Admitted(permit)) => self.serve(at, permit),
            Ok(Admission::Waiting(waiting)) => {
                self.attempts[at].waiting = Some(Box::pin(waiting));
                self.poll(at);
                self.look(at);
            }
            Err(rejected) => self.turned_away(at, &rejected),
        }
    }

    /// Refused further in.
    fn turned_away(&mut self, at: usize, rejected: &Rejected) {
        self.attempts[at].shed = None;
        self.refused(at, rejected);
    }

    fn refused(&mut self, at: usize, rejected: &Rejected) {
        if std::mem::replace(&mut self.attempts[at].is_open, false) {
            self.run.bin(self.agenda.elapsed()).refused += 1;
            self.again(at, rejected.retry_after());
        }
    }

    fn give_up(&mut self, at: usize) {
        if !std::mem::replace(&mut self.attempts[at].is_open, false) {
            return;
        }
        self.again(at, None);
        // Who says until when it waits leaves the queue by then.
        if !self.pieces.deadlines {
            return;
        }
        if let Some(waiting) = self.attempts[at].waiting.take() {
            if let Some(rejected) = Pin::into_inner(waiting).give_up() {
                self.turned_away(at, &rejected);
            }
        }
    }

    fn again(&mut self, at: usize, told: Option<Duration>) {
        let Attempt { request, nth, .. } = self.attempts[at];
        let pause = match self.world.again {
            Again::After(times, pause) if nth < times => {
                let mut luck = self.pauses.fork(at as u64);
                pause / 2 + pause * luck.below(1_000) as u32 / 1_000
            }
            Again::AsTold(times) if nth < times => match told {
                Some(told) => told,
                None => return,
            },
            _ => return,
        };
        self.agenda.after(pause, Event::Attempt(request, nth + 1));
    }

    fn serve(&mut self, at: usize, permit: bulkhead::OwnedPermit) {
        let elapsed = self.agenda.elapsed();
        let Attempt { request, nth, .. } = self.attempts[at];
        let mut luck = self.times.fork(request as u64).fork(nth.into());
        let takes = luck.exponential(self.world.takes.at(elapsed));
        let stuck = &self.world.stuck;
        let stands = if elapsed + takes > stuck.start && elapsed < stuck.end {
            stuck.end - elapsed.max(stuck.start)
        } else {
            Duration::ZERO
        };
        self.attempts[at].slot = Some(permit);
        self.serving += 1;
        self.agenda.after(takes + stands, Event::Done(at));
    }

    fn done(&mut self, at: usize) {
        let now = self.agenda.elapsed();
        self.serving -= 1;
        let attempt = &mut self.attempts[at];
        attempt.slot = None;
        if let Some(permit) = attempt.shed.take() {
            permit.record(Outcome::Success);
        }
        let Attempt { began, is_open, .. } = *attempt;
        attempt.is_open = false;
        let Request {
            arrived,
            class,
            user,
        } = self.requests[attempt.request];
        if !is_open {
            self.run.bin(now).in_vain += 1;
            return;
        }
        self.run.bin(now).good += 1;
        self.run.latencies.push((now, now - began));
        let bin = self.run.bin(arrived);
        bin.served[class] += 1;
        bin.served_of[usize::from(user == HEAVY)] += 1;
    }

    /// As a timer would, which the queue has none of.
    fn look(&mut self, at: usize) {
        let now = self.agenda.now();
        let Some(waiting) = &self.attempts[at].waiting else {
            return;
        };
        waiting.look(now);
        self.wake();
        let Some(waiting) = &self.attempts[at].waiting else {
            return;
        };
        let next = waiting.next_look();
        if next < waiting.until() {
            self.agenda.at(next, Event::Look(at));
        }
    }

    fn wake(&mut self) {
        loop {
            let woken = std::mem::take(&mut *self.woken.lock().unwrap());
            if woken.is_empty() {
                return;
            }
            woken.into_iter().for_each(|at| self.poll(at));
        }
    }

    fn poll(&mut self, at: usize) {
        let woken = Arc::clone(&self.woken);
        let waker = Waker::from(Arc::new(Flag { attempt: at, woken }));
        let Some(waiting) = &mut self.attempts[at].waiting else {
            return;
        };
        let Poll::Ready(settled) = waiting.as_mut().poll(&mut Context::from_waker(&waker)) else {
            return;
        };
        self.attempts[at].waiting = None;
        match settled {
            Ok(permit) => self.serve(at, permit),
            Err(rejected) => self.turned_away(at, &rejected),
        }
    }
}
