use std::collections::VecDeque;
use std::time::Duration;

use axiomatic_core::time::ManualClock;

use crate::judged::{Judged, Numbered};
use crate::{Agenda, Arrivals, Call, Dependency, End, Fate, Policy, Random, Series};

/// Who calls: with how many workers, and with how much patience.
///
/// A request takes a worker for as long as its call lasts; without a free one
/// it waits, and if that takes too long, or too many wait, it is starved. So
/// a dependency that hangs takes the workers from those who do not need it,
/// as it does in a server with a pool of threads or connections.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Client {
    workers: usize,
    timeout: Duration,
    places: usize,
    patience: Duration,
}

impl Client {
    /// One with so many workers, each of which waits so long for an answer.
    /// Nobody waits for a worker.
    pub const fn new(workers: usize, timeout: Duration) -> Self {
        Client {
            workers,
            timeout,
            places: 0,
            patience: Duration::ZERO,
        }
    }

    /// So many requests can wait for a worker, each so long.
    #[must_use]
    pub const fn with_queue(mut self, places: usize, patience: Duration) -> Self {
        self.places = places;
        self.patience = patience;
        self
    }
}

/// A story: requests arrive, a client calls dependencies for them, and
/// things go wrong on schedule.
///
/// The essay of the crate has an example.
#[derive(Clone, Debug)]
pub struct Scenario {
    clients: Vec<(Arrivals, Client)>,
    dependencies: Vec<Dependency>,
}

impl Scenario {
    /// Requests that all need one dependency.
    pub fn new(arrivals: Arrivals, client: Client, dependency: Dependency) -> Self {
        Scenario {
            clients: vec![(arrivals, client)],
            dependencies: vec![dependency],
        }
    }

    /// One more dependency. Each request needs one of all, any as likely as
    /// the others.
    #[must_use]
    pub fn and(mut self, dependency: Dependency) -> Self {
        self.dependencies.push(dependency);
        self
    }

    /// One more client of the same dependencies, with requests of its own.
    ///
    /// ```
    /// use axiomatic_sim::{Arrivals, Client, Dependency, Rate, Scenario, ServiceTime};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis;
    /// let server = Dependency::new(ServiceTime::Constant(ms(10))).with_workers(1);
    /// let client = Client::new(5, ms(100));
    /// let story = Scenario::new(Arrivals::evenly(Rate::per_second(40)), client, server)
    ///     .beside(Arrivals::evenly(Rate::per_second(400)), client);
    /// let runs = story.run_each(1, Duration::from_secs(10), |_, _| ());
    /// let goodput = |client: usize| runs[client].total().goodput();
    /// assert!(goodput(0) > goodput(1), "the server can do 100 a second");
    /// ```
    #[must_use]
    pub fn beside(mut self, arrivals: Arrivals, client: Client) -> Self {
        self.clients.push((arrivals, client));
        self
    }

    /// How many dependencies there are.
    pub fn dependencies(&self) -> usize {
        self.dependencies.len()
    }

    /// Runs the story under a policy: requests arrive until `end`, and those
    /// that are under way are brought to theirs. Of several clients, it is
    /// the first that has the policy and whose requests are told of; the
    /// others have none.
    ///
    /// The policy is made with the clock of the run, for `Clock::Manual`.
    /// Runs with the same seed see the same requests, and each attempt of a
    /// request the same luck, whatever the policy does.
    pub fn run<P: Policy>(
        &self,
        seed: u64,
        end: Duration,
        policy: impl FnOnce(&ManualClock) -> P,
    ) -> Series {
        let agenda = Agenda::new();
        let mut judged = Judged::new(policy(&agenda.clock()));
        let mut others: Vec<_> = self.clients.iter().map(|_| Judged::new(())).collect();
        let others = others.iter_mut().skip(1).map(|other| other as _);
        let policies = std::iter::once(&mut judged as _).chain(others).collect();
        self.tell(seed, end, agenda, policies).swap_remove(0)
    }

    /// Runs the story with a policy for each client, made by its number, and
    /// tells of the requests of each.
    pub fn run_each<P: Policy>(
        &self,
        seed: u64,
        end: Duration,
        mut policy: impl FnMut(usize, &ManualClock) -> P,
    ) -> Vec<Series> {
        let agenda = Agenda::new();
        let clock = agenda.clock();
        let numbers = 0..self.clients.len();
        let mut judged: Vec<_> = numbers
            .map(|number| Judged::new(policy(number, &clock)))
            .collect();
        let policies = judged.iter_mut().map(|judged| judged as _).collect();
        self.tell(seed, end, agenda, policies)
    }

    fn tell(
        &self,
        seed: u64,
        end: Duration,
        agenda: Agenda<Event>,
        policies: Vec<&mut dyn Numbered>,
    ) -> Vec<Series> {
        let random = Random::new(seed);
        let callers = self.clients.iter().zip(policies).zip(0..);
        let callers = callers.map(|(((arrivals, client), policy), number)| Caller {
            policy,
            arrivals: arrivals.clone(),
            client: *client,
            gaps: random.fork(3 * number),
            choices: random.fork(3 * number + 1),
            luck: random.fork(3 * number + 2),
            idle: client.workers,
            queue: VecDeque::new(),
            requests: 0,
            series: Series::new(),
        });
        let world = World {
            callers: callers.collect(),
            dependencies: self.dependencies.clone(),
            end,
        };
        world.run(agenda)
    }
}

/// A run under way.
struct World<'p> {
    callers: Vec<Caller<'p>>,
    dependencies: Vec<Dependency>,
    end: Duration,
}

/// A client, and what became of its requests.
struct Caller<'p> {
    policy: &'p mut dyn Numbered,
    arrivals: Arrivals,
    client: Client,
    gaps: Random,
    choices: Random,
    luck: Random,
    idle: usize,
    queue: VecDeque<Request>,
    requests: u64,
    series: Series,
}

#[derive(Copy, Clone)]
struct Request {
    arrived: Duration,
    call: Call,
}

struct Event {
    /// Whose.
    caller: usize,
    what: What,
}

enum What {
    Arrival,
    Ended {
        request: Request,
        permit: usize,
        sent: Duration,
        end: End,
    },
    Again(Request),
}

impl World<'_> {
    fn run(mut self, mut agenda: Agenda<Event>) -> Vec<Series> {
        for (number, caller) in self.callers.iter_mut().enumerate() {
            let mut schedule = Schedule {
                agenda: &mut agenda,
                caller: number,
            };
            caller.next_arrival(&mut schedule, self.end);
        }
        agenda.run(|agenda, event| {
            let caller = &mut self.callers[event.caller];
            let mut schedule = Schedule {
                agenda,
                caller: event.caller,
            };
            match event.what {
                What::Arrival => {
                    caller.arrive(&mut schedule, &mut self.dependencies);
                    caller.next_arrival(&mut schedule, self.end);
                }
                What::Ended {
                    request,
                    permit,
                    sent,
                    end,
                } => {
                    caller.policy.record(permit, schedule.agenda.now(), end);
                    caller.series.sent(sent, end);
                    caller.conclude(&mut schedule, request, end);
                }
                What::Again(request) => {
                    caller.send(&mut schedule, &mut self.dependencies, request);
                }
            }
        });
        self.callers.into_iter().map(|it| it.series).collect()
    }
}

/// The agenda, in the hands of one of the callers.
struct Schedule<'a> {
    agenda: &'a mut Agenda<Event>,
    caller: usize,
}

impl Schedule<'_> {
    fn after(&mut self, wait: Duration, what: What) {
        let caller = self.caller;
        self.agenda.after(wait, Event { caller, what });
    }
}

impl Caller<'_> {
    fn next_arrival(&mut self, schedule: &mut Schedule<'_>, end: Duration) {
        let elapsed = schedule.agenda.elapsed();
        let next = self.arrivals.next_after(elapsed, &mut self.gaps);
        if let Some(next) = next.filter(|next| *next < end) {
            schedule.after(next - elapsed, What::Arrival);
        }
    }

    fn arrive(&mut self, schedule: &mut Schedule<'_>, dependencies: &mut [Dependency]) {
        let arrived = schedule.agenda.elapsed();
        let request = Request {
            arrived,
            call: Call {
                request: self.requests,
                dependency: self.choices.below(dependencies.len() as u64) as usize,
                attempt: 0,
            },
        };
        self.requests += 1;
        self.series.offered(arrived);
        self.give_up_waiting(arrived);
        if self.idle > 0 {
            self.idle -= 1;
            self.send(schedule, dependencies, request);
        } else if self.queue.len() < self.client.places {
            self.queue.push_back(request);
        } else {
            self.series.fate(arrived, Fate::Starved);
        }
    }

    /// Those who waited too long have gone. The first has waited longest.
    fn give_up_waiting(&mut self, now: Duration) {
        let patience = self.client.patience;
        while let Some(first) = self.queue.front() {
            if first.arrived + patience >= now {
                break;
            }
            self.series.fate(first.arrived, Fate::Starved);
            self.queue.pop_front();
        }
    }

    fn send(
        &mut self,
        schedule: &mut Schedule<'_>,
        dependencies: &mut [Dependency],
        request: Request,
    ) {
        let permit = match self.policy.admit(request.call, schedule.agenda.now()) {
            Ok(permit) => permit,
            Err(rejected) => {
                self.series.refused(schedule.agenda.elapsed());
                let end = End::Refused(rejected.reason());
                return self.conclude(schedule, request, end);
            }
        };
        let sent = schedule.agenda.elapsed();
        let mut luck = self.luck.fork(request.call.request);
        luck = luck.fork(u64::from(request.call.attempt));
        let answer = dependencies[request.call.dependency].call(sent, &mut luck);
        let timeout = self.client.timeout;
        let (after, end) = match answer.after {
            Some(after) if after <= timeout => (after, End::Answered(answer.outcome)),
            _ => (timeout, End::TimedOut),
        };
        let ended = What::Ended {
            request,
            permit,
            sent,
            end,
        };
        schedule.after(after, ended);
    }

    /// A call ended, or was not sent: the request has its fate, or goes on.
    fn conclude(&mut self, schedule: &mut Schedule<'_>, request: Request, end: End) {
        let Request { arrived, call } = request;
        if !end.is_good() {
            if let Some(wait) = self.policy.again(call, schedule.agenda.now(), end) {
                let call = Call {
                    attempt: call.attempt + 1,
                    ..call
                };
                return schedule.after(wait, What::Again(Request { arrived, call }));
            }
        }
        let fate = match end {
            _ if end.is_good() => Fate::Served(schedule.agenda.elapsed() - arrived),
            End::Answered(_) => Fate::Failed,
            End::TimedOut => Fate::TimedOut,
            End::Refused(_) => Fate::Refused,
        };
        self.series.fate(arrived, fate);
        self.give_up_waiting(schedule.agenda.elapsed());
        match self.queue.pop_front() {
            // By way of the agenda and not by a call: a thousand refusals in
            // a row must not be a thousand frames deep.
            Some(next) => schedule.after(Duration::ZERO, What::Again(next)),
            None => self.idle += 1,
        }
    }
}
