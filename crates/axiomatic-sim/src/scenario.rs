use std::collections::VecDeque;
use std::time::Duration;

use axiomatic_core::Rejected;
use axiomatic_core::time::{Instant, ManualClock};

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
    arrivals: Arrivals,
    client: Client,
    dependencies: Vec<Dependency>,
}

impl Scenario {
    /// Requests that all need one dependency.
    pub fn new(arrivals: Arrivals, client: Client, dependency: Dependency) -> Self {
        Scenario {
            arrivals,
            client,
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

    /// How many dependencies there are.
    pub fn dependencies(&self) -> usize {
        self.dependencies.len()
    }

    /// Runs the story under a policy: requests arrive until `end`, and those
    /// that are under way are brought to theirs.
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
        let random = Random::new(seed);
        let mut judged = Judged::new(policy(&agenda.clock()));
        let world = World {
            policy: &mut judged,
            story: self.clone(),
            gaps: random.fork(0),
            choices: random.fork(1),
            luck: random.fork(2),
            idle: self.client.workers,
            queue: VecDeque::new(),
            requests: 0,
            end,
            series: Series::new(),
        };
        world.run(agenda)
    }
}

/// A policy whose permits are numbers.
///
/// So a run is one type, which is compiled here and once, and not in the
/// caller's crate for each policy: tests are not optimised, and this is.
trait Numbered {
    fn admit(&mut self, call: Call, now: Instant) -> Result<usize, Rejected>;
    fn record(&mut self, permit: usize, now: Instant, end: End);
    fn again(&mut self, call: Call, now: Instant, end: End) -> Option<Duration>;
}

/// A policy, and the permits that it gave out, each at its number.
struct Judged<P: Policy> {
    policy: P,
    permits: Vec<Option<P::Permit>>,
    free: Vec<usize>,
}

impl<P: Policy> Judged<P> {
    fn new(policy: P) -> Self {
        Judged {
            policy,
            permits: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<P: Policy> Numbered for Judged<P> {
    fn admit(&mut self, call: Call, now: Instant) -> Result<usize, Rejected> {
        let permit = Some(self.policy.admit(call, now)?);
        if let Some(number) = self.free.pop() {
            self.permits[number] = permit;
            return Ok(number);
        }
        self.permits.push(permit);
        Ok(self.permits.len() - 1)
    }

    fn record(&mut self, number: usize, now: Instant, end: End) {
        if let Some(permit) = self.permits[number].take() {
            self.free.push(number);
            self.policy.record(permit, now, end);
        }
    }

    fn again(&mut self, call: Call, now: Instant, end: End) -> Option<Duration> {
        self.policy.again(call, now, end)
    }
}

/// A run under way.
struct World<'p> {
    policy: &'p mut dyn Numbered,
    story: Scenario,
    gaps: Random,
    choices: Random,
    luck: Random,
    idle: usize,
    queue: VecDeque<Request>,
    requests: u64,
    end: Duration,
    series: Series,
}

#[derive(Copy, Clone)]
struct Request {
    arrived: Duration,
    call: Call,
}

enum Event {
    Arrival,
    Ended {
        request: Request,
        permit: usize,
        sent: Duration,
        end: End,
    },
    Again(Request),
}

type Schedule = Agenda<Event>;

impl World<'_> {
    fn run(mut self, mut agenda: Schedule) -> Series {
        self.next_arrival(&mut agenda);
        agenda.run(|agenda, event| match event {
            Event::Arrival => {
                self.arrive(agenda);
                self.next_arrival(agenda);
            }
            Event::Ended {
                request,
                permit,
                sent,
                end,
            } => {
                self.policy.record(permit, agenda.now(), end);
                self.series.sent(sent, end);
                self.conclude(agenda, request, end);
            }
            Event::Again(request) => self.send(agenda, request),
        });
        self.series
    }

    fn next_arrival(&mut self, agenda: &mut Schedule) {
        let elapsed = agenda.elapsed();
        let next = self.story.arrivals.next_after(elapsed, &mut self.gaps);
        if let Some(next) = next.filter(|next| *next < self.end) {
            agenda.after(next - elapsed, Event::Arrival);
        }
    }

    fn arrive(&mut self, agenda: &mut Schedule) {
        let arrived = agenda.elapsed();
        let dependencies = self.story.dependencies.len();
        let request = Request {
            arrived,
            call: Call {
                request: self.requests,
                dependency: self.choices.below(dependencies as u64) as usize,
                attempt: 0,
            },
        };
        self.requests += 1;
        self.series.offered(arrived);
        self.give_up_waiting(arrived);
        if self.idle > 0 {
            self.idle -= 1;
            self.send(agenda, request);
        } else if self.queue.len() < self.story.client.places {
            self.queue.push_back(request);
        } else {
            self.series.fate(arrived, Fate::Starved);
        }
    }

    /// Those who waited too long have gone. The first has waited longest.
    fn give_up_waiting(&mut self, now: Duration) {
        let patience = self.story.client.patience;
        while let Some(first) = self.queue.front() {
            if first.arrived + patience >= now {
                break;
            }
            self.series.fate(first.arrived, Fate::Starved);
            self.queue.pop_front();
        }
    }

    fn send(&mut self, agenda: &mut Schedule, request: Request) {
        let permit = match self.policy.admit(request.call, agenda.now()) {
            Ok(permit) => permit,
            Err(rejected) => {
                self.series.refused(agenda.elapsed());
                let end = End::Refused(rejected.reason());
                return self.conclude(agenda, request, end);
            }
        };
        let sent = agenda.elapsed();
        let mut luck = self.luck.fork(request.call.request);
        luck = luck.fork(u64::from(request.call.attempt));
        let answer = self.story.dependencies[request.call.dependency].call(sent, &mut luck);
        let timeout = self.story.client.timeout;
        let (after, end) = match answer.after {
            Some(after) if after <= timeout => (after, End::Answered(answer.outcome)),
            _ => (timeout, End::TimedOut),
        };
        let ended = Event::Ended {
            request,
            permit,
            sent,
            end,
        };
        agenda.after(after, ended);
    }

    /// A call ended, or was not sent: the request has its fate, or goes on.
    fn conclude(&mut self, agenda: &mut Schedule, request: Request, end: End) {
        let Request { arrived, call } = request;
        if !end.is_good() {
            if let Some(wait) = self.policy.again(call, agenda.now(), end) {
                let call = Call {
                    attempt: call.attempt + 1,
                    ..call
                };
                return agenda.after(wait, Event::Again(Request { arrived, call }));
            }
        }
        let fate = match end {
            _ if end.is_good() => Fate::Served(agenda.elapsed() - arrived),
            End::Answered(_) => Fate::Failed,
            End::TimedOut => Fate::TimedOut,
            End::Refused(_) => Fate::Refused,
        };
        self.series.fate(arrived, fate);
        self.give_up_waiting(agenda.elapsed());
        match self.queue.pop_front() {
            // By way of the agenda and not by a call: a thousand refusals in
            // a row must not be a thousand frames deep.
            Some(next) => agenda.after(Duration::ZERO, Event::Again(next)),
            None => self.idle += 1,
        }
    }
}
