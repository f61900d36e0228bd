//! What there is: a store, executors, and requests on their way to others.

/// The protocol, and how much of it is explored.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) executors: u8,
    /// Each of two steps: the first has an undo, the second is the pivot. All
    /// are of one bucket.
    pub(crate) sagas: Vec<[Place; 2]>,
    pub(crate) outside: Outside,
    /// How often, at most, a lease is taken, an executor crashes, an answer is
    /// not heard, a pivot is refused, somebody cancels.
    pub(crate) claims: u8,
    pub(crate) crashes: u8,
    pub(crate) unknowns: u8,
    pub(crate) refusals: u8,
    pub(crate) cancels: u8,
    pub(crate) rule: Rule,
}

/// Where a step's effect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the saga's database.
    Local,
    /// Elsewhere.
    Foreign,
}

/// What others do for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    /// They know a request again that was done, by its key.
    pub(crate) knows_keys: bool,
    /// They know also what was undone or refused, so that the action does not
    /// happen after it.
    pub(crate) remembers_undone: bool,
    /// They refuse a request whose fencing token is smaller than one they saw.
    pub(crate) checks_tokens: bool,
}

/// What is wrong with the protocol, if anything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing.
    Sound,
    /// An append does not compare whose the lease is.
    AppendsForAnyone,
    /// An append does not compare that the lease has not ended.
    AppendsAfterTheEnd,
    /// An append does not compare how long the log is.
    AppendsAnywhere,
    /// Local work is done whoever holds the lease, and only what is appended
    /// with it compares.
    WorksUnfenced,
    /// That an action is done is written before it is.
    SaysDoneFirst,
    /// That an action begins is not written.
    SaysNoIntent,
    /// The key of a request follows from the attempt.
    KeysByAttempt,
    /// A lease that is taken keeps its epoch.
    KeepsEpoch,
    /// Who takes a bucket leaves alone what somebody held.
    LeavesHeld,
}

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) lease: Lease,
    pub(crate) sagas: Vec<Saga>,
    pub(crate) executors: Vec<Executor>,
    /// Sent, and not arrived: they may never. Sorted, since networks have no
    /// order.
    pub(crate) on_the_wire: Vec<Request>,
    pub(crate) left: Left,
    pub(crate) seen: Seen,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) epoch: u8,
    /// An executor, and which run of it.
    pub(crate) owner: Option<(u8, u8)>,
    pub(crate) has_ended: bool,
    /// Which holding this is in truth, whatever the epoch says.
    pub(crate) holding: u8,
}

/// The store's rows of a saga, and what its steps did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Saga {
    pub(crate) log: Vec<Line>,
    pub(crate) is_held: bool,
    /// By step.
    pub(crate) effects: [Effects; 2],
}

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    /// Its number.
    pub(crate) at: u8,
    pub(crate) kind: Kind,
    pub(crate) step: u8,
    pub(crate) by: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Began,
    Done,
    Failed,
    Doubted,
    UndoBegan,
    Undone,
    UndoDoubted,
    Turned,
}

/// What a step did, and what the other side knows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Effects {
    pub(crate) count: u8,
    /// Keys of what was done, as bits.
    pub(crate) done: u8,
    /// Keys of what was undone or refused.
    pub(crate) gone: u8,
    /// The greatest token.
    pub(crate) token: u8,
    /// The latest holding, in truth.
    pub(crate) holding: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Executor {
    pub(crate) run: u8,
    /// What it believes to hold.
    pub(crate) held: Option<Held>,
    /// By saga.
    pub(crate) works: Vec<Option<Work>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) epoch: u8,
    pub(crate) holding: u8,
}

/// An executor at a saga. Of the log it knows the first lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    pub(crate) under: Held,
    pub(crate) knows: u8,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// It sees what is next.
    Thinks,
    /// It has asked the store to append this, or will, and heard nothing yet.
    Says(Kind, u8),
    /// It may send a request: the intent is written.
    Sends { step: u8, is_undo: bool },
    /// It has sent one.
    Waits(Request),
    /// It does not know how the saga stands, and loads it.
    Loads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) saga: u8,
    pub(crate) step: u8,
    pub(crate) is_undo: bool,
    pub(crate) key: u8,
    pub(crate) from: (u8, u8),
    pub(crate) under: Held,
}

/// How often something may happen still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) claims: u8,
    pub(crate) crashes: u8,
    pub(crate) unknowns: u8,
    pub(crate) refusals: u8,
    pub(crate) cancels: u8,
}

/// What has happened, and what should not have: the properties ask it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// A line was written by who did not hold the lease.
    pub(crate) line_of_another: bool,
    /// A line was written by who held it no more, with nobody after.
    pub(crate) line_after_the_end: bool,
    /// Who held the lease found that the log is not as it knew it.
    pub(crate) conflict: bool,
    /// A request of an earlier holding did something where one of a later
    /// holding had come.
    pub(crate) late_effect: bool,
    pub(crate) late_append_refused: bool,
    pub(crate) late_request_refused: bool,
    pub(crate) request_known_again: bool,
    pub(crate) append_known_again: bool,
}

/// How a saga has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Compensated,
}

/// What an executor does that knows so much of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Act { step: u8, is_undo: bool },
    End(End),
}

impl Protocol {
    pub(crate) fn start(&self) -> World {
        let saga = Saga {
            log: Vec::new(),
            is_held: false,
            effects: Default::default(),
        };
        let executor = Executor {
            run: 0,
            held: None,
            works: vec![None; self.sagas.len()],
        };
        World {
            lease: Lease::default(),
            sagas: vec![saga; self.sagas.len()],
            executors: vec![executor; usize::from(self.executors)],
            on_the_wire: Vec::new(),
            left: Left {
                claims: self.claims,
                crashes: self.crashes,
                unknowns: self.unknowns,
                refusals: self.refusals,
                cancels: self.cancels,
            },
            seen: Seen::default(),
        }
    }

    pub(crate) fn has_foreign(&self) -> bool {
        let mut steps = self.sagas.iter().flatten();
        steps.any(|place| *place == Place::Foreign)
    }

    pub(crate) fn place(&self, saga: u8, step: u8) -> Place {
        self.sagas[usize::from(saga)][usize::from(step)]
    }
}

impl World {
    pub(crate) fn name(&self, executor: u8) -> (u8, u8) {
        (executor, self.executors[usize::from(executor)].run)
    }

    /// What the store compares.
    pub(crate) fn compares(&self, name: (u8, u8), held: Held) -> bool {
        let lease = &self.lease;
        lease.owner == Some(name) && lease.epoch == held.epoch && !lease.has_ended
    }
}

impl Saga {
    pub(crate) fn has(&self, kind: Kind, step: u8) -> bool {
        has(&self.log, kind, step)
    }

    /// As the column beside the log says.
    pub(crate) fn end(&self) -> Option<End> {
        match next(&self.log) {
            Next::End(end) => Some(end),
            Next::Act { .. } => None,
        }
    }
}

fn has(log: &[Line], kind: Kind, step: u8) -> bool {
    let mut lines = log.iter();
    lines.any(|line| line.kind == kind && line.step == step)
}

/// Whether it is unwound.
pub(crate) fn is_back(log: &[Line]) -> bool {
    let mut lines = log.iter();
    lines.any(|line| matches!(line.kind, Kind::Turned | Kind::Failed))
}

/// Whether it can turn: the pivot was not begun.
pub(crate) fn can_turn(log: &[Line]) -> bool {
    let mut lines = log.iter();
    !is_back(log) && lines.all(|line| line.step == 0)
}

/// The pure machine, as far as two steps need it.
pub(crate) fn next(log: &[Line]) -> Next {
    if !is_back(log) {
        let step = (0..2).find(|step| !has(log, Kind::Done, *step));
        return step.map_or(Next::End(End::Done), |step| Next::Act {
            step,
            is_undo: false,
        });
    }
    let mut lines = log.iter();
    let is_left = lines.any(|line| {
        let may_be = matches!(line.kind, Kind::Began | Kind::Done | Kind::Doubted);
        line.step == 0 && may_be
    });
    if is_left && !has(log, Kind::Undone, 0) {
        Next::Act {
            step: 0,
            is_undo: true,
        }
    } else {
        Next::End(End::Compensated)
    }
}
