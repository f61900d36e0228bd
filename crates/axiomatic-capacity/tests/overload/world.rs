//! A server in virtual time, made of the shipped bulkhead, its queue and the
//! load shedder; callers that give up and come again.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{self, Admission, Ask, Bulkhead, Waiting};
use axiomatic_capacity::load_shed::{self, LoadShedder, Prioritizer};
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_sim::{Agenda, Arrivals, Random, Timeline};

/// What comes, and what is done with it.
#[derive(Clone)]
pub struct Story {
    pub arrivals: Arrivals,
    /// The mean of the time that a worker needs.
    pub service: Timeline<Duration>,
    pub workers: u32,
    /// How long a caller waits for an answer.
    pub patience: Duration,
    /// How often it comes again, after how long.
    pub retries: u32,
    pub pause: Duration,
    pub end: Duration,
}

/// What stands in front of the workers.
pub struct Server {
    pub bulkhead: Bulkhead,
    pub shedder: Option<LoadShedder>,
    pub prioritizer: Option<Prioritizer>,
    /// Callers say until when they wait.
    pub tells_deadlines: bool,
}

/// What became of the requests, second by second.
#[derive(Clone, Debug, Default)]
pub struct Second {
    pub offered: u32,
    pub good: u32,
    pub refused: u32,
    pub good_by_class: [u32; 4],
    pub offered_by_class: [u32; 4],
    pub worst: Duration,
}

enum Event {
    Arrival,
    /// An attempt of a request.
    Attempt(u64, u32),
    /// The caller gives up an attempt.
    GiveUp(u64, u32),
    /// A worker is done with it.
    Done(u64, u32),
}

struct World<'s> {
    story: &'s Story,
    server: Server,
    agenda: Agenda<Event>,
    gaps: Random,
    times: Random,
    classes: Random,
    requests: u64,
    waiting: BTreeMap<(u64, u32), Pin<Box<Waiting>>>,
    serving: BTreeMap<(u64, u32), Held>,
    /// Attempts that callers still wait for.
    open: BTreeMap<(u64, u32), Duration>,
    shed_permits: BTreeMap<(u64, u32), load_shed::OwnedPermit>,
    woken: Arc<Mutex<Vec<(u64, u32)>>>,
    seconds: Vec<Second>,
}

struct Held(#[expect(dead_code, reason = "given back when it is dropped")] bulkhead::OwnedPermit);

struct Flag {
    id: (u64, u32),
    woken: Arc<Mutex<Vec<(u64, u32)>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.id);
    }
}

/// Of ten requests, so many are of each class.
const MIX: [u64; 4] = [3, 2, 4, 1];

fn class(request: u64, classes: &Random) -> usize {
    let mut at = classes.fork(request).below(10);
    for (class, share) in MIX.iter().enumerate() {
        if at < *share {
            return class;
        }
        at -= share;
    }
    unreachable!("of ten")
}

pub fn run(story: &Story, seed: u64, server: impl FnOnce(&ManualClock) -> Server) -> Vec<Second> {
    let agenda = Agenda::new();
    let server = server(&agenda.clock());
    let random = Random::new(seed);
    let seconds = vec![Second::default(); story.end.as_secs() as usize + 1];
    let mut world = World {
        story,
        server,
        agenda,
        gaps: random.fork(1),
        times: random.fork(2),
        classes: random.fork(3),
        requests: 0,
        waiting: BTreeMap::new(),
        serving: BTreeMap::new(),
        open: BTreeMap::new(),
        shed_permits: BTreeMap::new(),
        woken: Arc::default(),
        seconds,
    };
    world.next_arrival();
    while let Some(event) = world.agenda.next_event() {
        if world.agenda.elapsed() >= story.end {
            break;
        }
        world.happen(event);
        world.wake();
    }
    world.seconds.pop();
    world.seconds
}

impl World<'_> {
    fn second(&mut self) -> &mut Second {
        let at = self.agenda.elapsed().as_secs() as usize;
        &mut self.seconds[at]
    }

    fn next_arrival(&mut self) {
        let elapsed = self.agenda.elapsed();
        if let Some(next) = self.story.arrivals.next_after(elapsed, &mut self.gaps) {
            self.agenda.after(next - elapsed, Event::Arrival);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => {
                let request = self.requests;
                self.requests += 1;
                let class = class(request, &self.classes);
                let second = self.second();
                second.offered += 1;
                second.offered_by_class[class] += 1;
                self.attempt((request, 0));
                self.next_arrival();
            }
            Event::Attempt(request, attempt) => self.attempt((request, attempt)),
            Event::GiveUp(request, attempt) => {
                if self.open.remove(&(request, attempt)).is_some() {
                    self.again((request, attempt));
                }
            }
            Event::Done(request, attempt) => {
                let id = (request, attempt);
                self.serving.remove(&id);
                self.shed_permits.remove(&id);
                if let Some(began) = self.open.remove(&id) {
                    let took = self.agenda.elapsed() - began;
                    let class = class(request, &self.classes);
                    let second = self.second();
                    second.good += 1;
                    second.good_by_class[class] += 1;
                    second.worst = second.worst.max(took);
                }
            }
        }
    }

    fn attempt(&mut self, id: (u64, u32)) {
        let now = self.agenda.now();
        self.open.insert(id, self.agenda.elapsed());
        self.agenda
            .after(self.story.patience, Event::GiveUp(id.0, id.1));
        let class = class(id.0, &self.classes) as u8;
        let mut ask = Ask::default().with_priority(Priority::from_u8(class * 64));
        if self.server.tells_deadlines {
            ask = ask.with_deadline(Deadline::at(now + self.story.patience));
        }
        if let Some(shedder) = &self.server.shedder {
            match shedder.admit_owned(now, ask) {
                Ok(permit) => drop(self.shed_permits.insert(id, permit)),
                Err(_) => return self.refused(id),
            }
        }
        match self.server.bulkhead.admit_or_wait(ask) {
            Ok(Admission::Admitted(permit)) => self.serve(id, permit),
            Ok(Admission::Waiting(waiting)) => {
                self.waiting.insert(id, Box::pin(waiting));
                self.poll(id);
            }
            Err(_) => self.turned_away(id),
        }
    }

    fn turned_away(&mut self, id: (u64, u32)) {
        if let Some(prioritizer) = &self.server.prioritizer {
            prioritizer.turned_away();
        }
        self.shed_permits.remove(&id);
        self.refused(id);
    }

    fn refused(&mut self, id: (u64, u32)) {
        if self.open.remove(&id).is_some() {
            self.second().refused += 1;
            self.again(id);
        }
    }

    fn again(&mut self, (request, attempt): (u64, u32)) {
        if attempt < self.story.retries {
            let next = Event::Attempt(request, attempt + 1);
            self.agenda.after(self.story.pause, next);
        }
    }

    fn serve(&mut self, id: (u64, u32), permit: bulkhead::OwnedPermit) {
        let mean = self.story.service.at(self.agenda.elapsed());
        let mut luck = self.times.fork(id.0).fork(id.1.into());
        let takes = luck.exponential(mean);
        self.serving.insert(id, Held(permit));
        self.agenda.after(takes, Event::Done(id.0, id.1));
    }

    fn wake(&mut self) {
        loop {
            let woken = std::mem::take(&mut *self.woken.lock().unwrap());
            if woken.is_empty() {
                return;
            }
            woken.into_iter().for_each(|id| self.poll(id));
        }
    }

    fn poll(&mut self, id: (u64, u32)) {
        let waker = Waker::from(Arc::new(Flag {
            id,
            woken: Arc::clone(&self.woken),
        }));
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return;
        };
        match waiting.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(settled) => {
                self.waiting.remove(&id);
                match settled {
                    Ok(permit) => self.serve(id, permit),
                    Err(_) => self.turned_away(id),
                }
            }
        }
    }
}

pub fn manual(clock: &ManualClock) -> Clock {
    Clock::Manual(clock.clone())
}
