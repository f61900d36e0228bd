//! What can happen.

use stateright::{Model, Property};

use super::world::{Protocol, Row, Sent, Stage, Verdict, World};

/// One step of one of them: a transaction of the store, or a message sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Commit {
        message: u8,
    },
    /// The store's clock passes the lease.
    Expire {
        bucket: u8,
    },
    /// An operator says that a parked lane may go on.
    Resume {
        lane: u8,
    },
    Claim {
        relay: u8,
        bucket: u8,
    },
    /// The relay finds that it has lost the bucket. If it has not, renewing
    /// changes nothing here.
    Renew {
        relay: u8,
        bucket: u8,
    },
    Release {
        relay: u8,
        bucket: u8,
    },
    Fetch {
        relay: u8,
        message: u8,
    },
    Send {
        relay: u8,
        lane: u8,
    },
    Arrive(Sent),
    Lose(Sent),
    Answer {
        relay: u8,
        lane: u8,
        verdict: Verdict,
    },
    Settle {
        relay: u8,
        lane: u8,
    },
    Crash {
        relay: u8,
    },
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    /// Whatever may be tried. What turns out not to be possible changes
    /// nothing: what is plainly not is left out because it takes time.
    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let of = |count: usize| 0..count as u8;
        for message in of(self.messages.len()) {
            if world.rows[usize::from(message)] == Row::Uncommitted {
                actions.push(Action::Commit { message });
            }
        }
        for bucket in of(self.buckets()) {
            actions.push(Action::Expire { bucket });
        }
        for lane in of(self.lanes.len()) {
            if world.parked[usize::from(lane)] {
                actions.push(Action::Resume { lane });
            }
        }
        for relay in 0..self.relays {
            self.actions_of(world, relay, actions);
        }
        for sent in &world.on_the_wire {
            actions.push(Action::Arrive(*sent));
            // It comes out as a confirmation that is missing.
            if world.left.unknowns > 0 {
                actions.push(Action::Lose(*sent));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::properties::all(self)
    }
}

impl Protocol {
    fn actions_of(&self, world: &World, relay: u8, actions: &mut Vec<Action>) {
        let of_it = &world.relays[usize::from(relay)];
        for bucket in 0..self.buckets() as u8 {
            let lease = &world.leases[usize::from(bucket)];
            if world.left.claims > 0 && (lease.owner.is_none() || lease.is_expired) {
                actions.push(Action::Claim { relay, bucket });
            }
            if of_it.held[usize::from(bucket)].is_some() {
                actions.push(Action::Renew { relay, bucket });
                actions.push(Action::Release { relay, bucket });
            }
        }
        for message in 0..self.messages.len() as u8 {
            if self.can_see(world.rows[usize::from(message)]) {
                actions.push(Action::Fetch { relay, message });
            }
        }
        for (lane, flight) in of_it.flights.iter().enumerate() {
            let lane = lane as u8;
            let answer = |verdict| Action::Answer {
                relay,
                lane,
                verdict,
            };
            match flight.map(|flight| flight.stage) {
                None => {}
                Some(Stage::Fetched) => actions.push(Action::Send { relay, lane }),
                Some(Stage::Sent { .. }) => {
                    actions.push(answer(Verdict::Acked));
                    if world.left.unknowns > 0 {
                        actions.push(answer(Verdict::Unknown));
                    }
                    if world.left.refusals > 0 {
                        actions.push(answer(Verdict::Refused));
                    }
                }
                Some(Stage::Answered(_) | Stage::Checked(_)) => {
                    actions.push(Action::Settle { relay, lane });
                }
            }
        }
        if world.left.crashes > 0 {
            actions.push(Action::Crash { relay });
        }
    }
}
