//! What a service has written down.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use axiomatic_sim::Random;
use http::{Method, StatusCode};

/// What goes wrong with a purchase at a service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It refuses, and does nothing.
    Refuses,
    /// It acts, and says the first time that it has failed.
    Lies,
    /// It acts, and its answer is lost; whoever asks later hears of it.
    LosesAnswers,
    /// It acts, and from then on tells nobody whether it has.
    IsSilent,
}

/// What arrives.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// What is done or undone, or asked for.
    pub(crate) key: String,
    pub(crate) saga: String,
    pub(crate) fence: u64,
    /// Which process has sent it.
    pub(crate) executor: u32,
    pub(crate) body: String,
}

/// What is said.
pub(crate) type Reply = (StatusCode, String);

/// What was done under a key.
struct Entry {
    /// Which purchase; 0 if it was undone before it was done, and will not be
    /// done any more.
    number: u32,
    amount: u64,
    id: String,
    is_undone: bool,
}

/// Of this process's actions, some are held on their way.
struct Hold {
    executor: u32,
    after: u64,
    count: u64,
}

/// What a service has written down.
pub(crate) struct Books {
    name: &'static str,
    random: Random,
    entries: BTreeMap<String, Entry>,
    /// The greatest token that was seen of each saga.
    fences: HashMap<String, u64>,
    troubles: HashMap<u32, Trouble>,
    /// Which processes have called for each saga.
    callers: HashMap<String, BTreeSet<u32>>,
    hold: Option<Hold>,
    /// What is held on its way, by its key, if this process has sent it.
    held: HashMap<String, u32>,
    /// How many of those that were held have arrived.
    pub(crate) late: u64,
    /// How many came with a token that is too small, and were refused.
    pub(crate) stale: u64,
    /// How many were done before, and known again.
    pub(crate) repeats: u64,
}

impl Books {
    pub(crate) fn new(name: &'static str, random: Random) -> Self {
        Books {
            name,
            random,
            entries: BTreeMap::new(),
            fences: HashMap::new(),
            troubles: HashMap::new(),
            callers: HashMap::new(),
            hold: None,
            held: HashMap::new(),
            late: 0,
            stale: 0,
            repeats: 0,
        }
    }

    pub(crate) fn trouble(&mut self, number: u32, trouble: Trouble) {
        self.troubles.insert(number, trouble);
    }

    /// After some more of this process's actions, holds so many on their way:
    /// they arrive when another has called for the saga.
    pub(crate) fn hold(&mut self, executor: u32, after: u64, count: u64) {
        self.hold = Some(Hold {
            executor,
            after,
            count,
        });
    }

    /// Whether all are held that were to be.
    pub(crate) fn holds_all(&self) -> bool {
        self.hold.is_none()
    }

    /// Which processes have called for which sagas.
    pub(crate) fn callers(&self) -> impl Iterator<Item = (&String, u32)> {
        let callers = self.callers.iter();
        callers.flat_map(|(saga, who)| who.iter().map(move |process| (saga, *process)))
    }

    pub(crate) fn fence(&self, saga: &str) -> u64 {
        self.fences.get(saga).copied().unwrap_or_default()
    }

    /// Something is sent: how long it is under way, and whether it is held.
    pub(crate) fn send(&mut self, call: &Call) -> (Duration, bool) {
        let takes = Duration::from_millis(3 + self.random.below(12));
        if call.method != Method::POST {
            return (takes, false);
        }
        match &mut self.hold {
            Some(hold) if hold.executor == call.executor && hold.after > 0 => hold.after -= 1,
            Some(hold) if hold.executor == call.executor => {
                let of = self.held.insert(call.key.clone(), call.executor);
                hold.count -= u64::from(of.is_none());
                if hold.count == 0 {
                    self.hold = None;
                }
            }
            _ => {}
        }
        // However often it is sent.
        let is_held = self.held.get(&call.key) == Some(&call.executor);
        (takes, is_held)
    }

    /// Something arrives. Returns what is said; nothing, if that is lost.
    pub(crate) fn arrive(&mut self, call: &Call) -> Option<Reply> {
        let fence = self.fences.entry(call.saga.clone()).or_default();
        if call.fence < *fence {
            self.stale += 1;
            let why = format!("{} is followed by {fence}", call.fence);
            return Some((StatusCode::PRECONDITION_FAILED, why));
        }
        *fence = call.fence;
        let callers = self.callers.entry(call.saga.clone()).or_default();
        callers.insert(call.executor);
        match call.method {
            Method::POST => self.act(call),
            Method::DELETE => Some(self.undo(call)),
            _ => Some(self.tell(call)),
        }
    }

    fn act(&mut self, call: &Call) -> Option<Reply> {
        let mut words = call.body.split(' ').map(str::parse::<u64>);
        let (Some(Ok(number)), Some(Ok(amount))) = (words.next(), words.next()) else {
            return Some((StatusCode::BAD_REQUEST, "what?".to_owned()));
        };
        let number = number as u32;
        let trouble = self.troubles.get(&number).copied();
        if trouble == Some(Trouble::Refuses) {
            let why = format!("{} refuses", self.name);
            return Some((StatusCode::UNPROCESSABLE_ENTITY, why));
        }
        let id = format!("{}-{}", self.name, self.entries.len() + 1);
        let (mut is_new, key) = (false, call.key.clone());
        let entry = self.entries.entry(key).or_insert_with(|| {
            is_new = true;
            Entry {
                number,
                amount,
                id,
                is_undone: false,
            }
        });
        self.repeats += u64::from(!is_new);
        if entry.is_undone {
            return Some((StatusCode::GONE, "it is undone".to_owned()));
        }
        let failed = |why: &str| Some((StatusCode::INTERNAL_SERVER_ERROR, why.to_owned()));
        match trouble {
            Some(Trouble::Lies) if is_new => failed("something went wrong"),
            Some(Trouble::IsSilent) => failed("who knows"),
            Some(Trouble::LosesAnswers) => None,
            _ => Some((StatusCode::CREATED, entry.id.clone())),
        }
    }

    fn undo(&mut self, call: &Call) -> Reply {
        // What has not arrived is not to be done if it does.
        let entry = self.entries.entry(call.key.clone()).or_insert(Entry {
            number: 0,
            amount: 0,
            id: String::new(),
            is_undone: false,
        });
        self.repeats += u64::from(entry.is_undone);
        entry.is_undone = true;
        (StatusCode::NO_CONTENT, String::new())
    }

    fn tell(&self, call: &Call) -> Reply {
        match self.entries.get(&call.key) {
            Some(entry) if self.troubles.get(&entry.number) == Some(&Trouble::IsSilent) => {
                (StatusCode::SERVICE_UNAVAILABLE, "ask later".to_owned())
            }
            Some(entry) if !entry.is_undone => (StatusCode::OK, entry.id.clone()),
            _ => (StatusCode::NOT_FOUND, String::new()),
        }
    }

    /// How often something was done for a purchase, and how often undone.
    pub(crate) fn effects(&self, number: u32) -> (usize, usize) {
        let entries = || self.entries.values().filter(|entry| entry.number == number);
        (
            entries().count(),
            entries().filter(|entry| entry.is_undone).count(),
        )
    }

    /// How much is taken by a purchase, and not given back.
    pub(crate) fn taken_by(&self, number: u32) -> u64 {
        let entries = self.entries.values();
        let of_it = entries.filter(|entry| entry.number == number && !entry.is_undone);
        of_it.map(|entry| entry.amount).sum()
    }
}
