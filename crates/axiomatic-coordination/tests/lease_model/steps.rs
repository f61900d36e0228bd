//! What it changes.

use super::actions::Action;
use super::world::{Flight, Held, Protocol, Relay, Row, Rule, Sent, Stage, Verdict, World};

impl Protocol {
    /// Does it, or nothing if it is not possible.
    pub(crate) fn step(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Commit { message } => self.commit(world, message),
            Action::Expire { bucket } => {
                let lease = &mut world.leases[usize::from(bucket)];
                lease.owner.filter(|_| !lease.is_expired)?;
                lease.is_expired = true;
                lease.expired |= 1 << lease.holding;
                Some(())
            }
            Action::Resume { lane } => {
                let parked = &mut world.parked[usize::from(lane)];
                std::mem::take(parked).then_some(())
            }
            Action::Claim { relay, bucket } => self.claim(world, relay, bucket),
            Action::Renew { relay, bucket } => {
                let held = world.relays[usize::from(relay)].held[usize::from(bucket)]?;
                let is_lost = !world.compares(bucket, world.name(relay), held);
                is_lost.then(|| self.forget(&mut world.relays[usize::from(relay)], bucket))
            }
            Action::Release { relay, bucket } => self.release(world, relay, bucket),
            Action::Fetch { relay, message } => self.fetch(world, relay, message),
            Action::Send { relay, lane } => {
                let from = world.name(relay);
                let flight = world.flight(relay, lane)?;
                let is_ready = flight.stage == Stage::Fetched;
                flight.stage = Stage::Sent { arrived: false };
                let (message, under) = (flight.message, flight.under);
                let sent = Sent {
                    message,
                    from,
                    under,
                };
                world.on_the_wire.push(sent);
                world.on_the_wire.sort_unstable();
                is_ready.then_some(())
            }
            Action::Arrive(sent) => self.arrive(world, sent),
            Action::Lose(sent) => world.take_from_wire(sent),
            Action::Answer {
                relay,
                lane,
                verdict,
            } => answer(world, relay, lane, verdict),
            Action::Settle { relay, lane } => self.settle(world, relay, lane),
            Action::Crash { relay } => {
                let relay = &mut world.relays[usize::from(relay)];
                relay.run += 1;
                relay.held.fill(None);
                relay.flights.fill(None);
                world.left.crashes = world.left.crashes.saturating_sub(1);
                Some(())
            }
        }
    }

    fn commit(&self, world: &mut World, message: u8) -> Option<()> {
        let mut before = self.of_lane(self.messages[usize::from(message)]);
        let mut before = before.by_ref().take_while(|other| *other < message);
        let is_next = before.all(|other| world.rows[usize::from(other)] != Row::Uncommitted);
        let row = &mut world.rows[usize::from(message)];
        (is_next && *row == Row::Uncommitted).then(|| *row = Row::Waiting)
    }

    fn claim(&self, world: &mut World, relay: u8, bucket: u8) -> Option<()> {
        let name = world.name(relay);
        let lease = &mut world.leases[usize::from(bucket)];
        let is_free = match lease.owner {
            None => true,
            Some(_) => lease.is_expired && self.rule != Rule::NeverTakesExpired,
        };
        if !is_free {
            return None;
        }
        let before = lease.epoch;
        if self.rule != Rule::KeepsEpoch || lease.owner != Some(name) {
            lease.epoch += 1;
        }
        lease.owner = Some(name);
        lease.is_expired = false;
        lease.holding += 1;
        world.seen.epoch_stood_still |= lease.epoch <= before;
        let held = Held {
            epoch: lease.epoch,
            holding: lease.holding,
        };
        // What is in flight under an earlier lease stays so: it is settled
        // under that one, and refused.
        world.relays[usize::from(relay)].held[usize::from(bucket)] = Some(held);
        world.left.claims = world.left.claims.saturating_sub(1);
        Some(())
    }

    fn release(&self, world: &mut World, relay: u8, bucket: u8) -> Option<()> {
        let name = world.name(relay);
        let has_flights = self.flights_of(&world.relays[usize::from(relay)], bucket) > 0;
        if has_flights && self.rule != Rule::ReleasesInFlight {
            return None;
        }
        let held = world.relays[usize::from(relay)].held[usize::from(bucket)].take()?;
        if world.compares(bucket, name, held) {
            world.leases[usize::from(bucket)].owner = None;
        }
        Some(())
    }

    fn fetch(&self, world: &mut World, relay: u8, message: u8) -> Option<()> {
        let lane = self.messages[usize::from(message)];
        let mut waiting = self
            .of_lane(lane)
            .filter(|message| self.can_see(world.rows[usize::from(*message)]));
        let is_next = match self.rule {
            Rule::FetchesAny => waiting.any(|other| other == message),
            _ => waiting.next() == Some(message),
        };
        let bucket = self.lanes[usize::from(lane)];
        let under = world.relays[usize::from(relay)].held[usize::from(bucket)]?;
        let is_ready = is_next && !world.parked[usize::from(lane)];
        let flight = &mut world.relays[usize::from(relay)].flights[usize::from(lane)];
        let stage = Stage::Fetched;
        (is_ready && flight.is_none()).then(|| {
            *flight = Some(Flight {
                message,
                under,
                stage,
            });
        })
    }

    /// Whether a fetch finds this row.
    pub(crate) fn can_see(&self, row: Row) -> bool {
        match row {
            Row::Waiting => true,
            Row::Uncommitted => self.rule == Rule::FetchesUncommitted,
            Row::Gone => false,
        }
    }

    fn arrive(&self, world: &mut World, sent: Sent) -> Option<()> {
        world.take_from_wire(sent)?;
        let lane = self.messages[usize::from(sent.message)];
        if world.name(sent.from.0) == sent.from {
            if let Some(flight) = world.flight(sent.from.0, lane) {
                let is_of_this = flight.message == sent.message && flight.under == sent.under;
                if is_of_this && flight.stage == (Stage::Sent { arrived: false }) {
                    flight.stage = Stage::Sent { arrived: true };
                }
            }
        }
        let holding = sent.under.holding;
        let arrived = &mut world.arrived[usize::from(sent.message)];
        if arrived.is_empty() {
            world.firsts.push(sent.message);
        } else {
            // The windows: a lease that expired between the two, or a
            // confirmation that was lost. A crash leaves a lease to expire.
            let lease = &world.leases[usize::from(self.lanes[usize::from(lane)])];
            let has_expired = |other: &u8| lease.expired >> holding.min(*other) & 1 == 1;
            let is_other = !arrived.contains(&holding);
            let unknown = &mut world.seen.unknown[usize::from(sent.message)];
            if !(is_other && arrived.iter().any(has_expired)) {
                world.seen.duplicate_outside |= *unknown == 0;
                *unknown = unknown.saturating_sub(1);
            }
        }
        arrived.push(holding);
        arrived.sort_unstable();
        Some(())
    }

    fn settle(&self, world: &mut World, relay: u8, lane: u8) -> Option<()> {
        let bucket = self.lanes[usize::from(lane)];
        let name = world.name(relay);
        let flight = *world.flight(relay, lane)?;
        let is_held = world.compares(bucket, name, flight.under);
        let (verdict, passes) = match flight.stage {
            Stage::Answered(verdict) if self.rule == Rule::ChecksThenActs && is_held => {
                world.flight(relay, lane)?.stage = Stage::Checked(verdict);
                return Some(());
            }
            Stage::Answered(verdict) => (verdict, is_held || self.rule == Rule::SettlesUnfenced),
            Stage::Checked(verdict) => (verdict, true),
            Stage::Fetched | Stage::Sent { .. } => return None,
        };
        let is_late = !world.truly_holds(bucket, name, flight.under);
        world.relays[usize::from(relay)].flights[usize::from(lane)] = None;
        if !passes {
            let relay = &mut world.relays[usize::from(relay)];
            // It may have taken the bucket again since.
            if relay.held[usize::from(bucket)] == Some(flight.under) {
                self.forget(relay, bucket);
            }
            return Some(());
        }
        let before = (world.rows.clone(), world.parked.clone());
        let row = &mut world.rows[usize::from(flight.message)];
        match verdict {
            Verdict::Acked => *row = Row::Gone,
            Verdict::Unknown if self.rule == Rule::SettlesUnknown => *row = Row::Gone,
            Verdict::Unknown => world.parked[usize::from(lane)] = false,
            Verdict::Refused => world.parked[usize::from(lane)] = true,
        }
        let has_changed = before != (world.rows.clone(), world.parked.clone());
        world.seen.late_settlement_changed |= is_late && has_changed;
        Some(())
    }

    /// The relay knows that it has lost the bucket: what is in flight is
    /// discarded.
    fn forget(&self, relay: &mut Relay, bucket: u8) {
        relay.held[usize::from(bucket)] = None;
        for (flight, of) in relay.flights.iter_mut().zip(&self.lanes) {
            if *of == bucket {
                *flight = None;
            }
        }
    }

    fn flights_of(&self, relay: &Relay, bucket: u8) -> usize {
        let flights = relay.flights.iter().zip(&self.lanes);
        flights
            .filter(|(flight, of)| **of == bucket && flight.is_some())
            .count()
    }
}

/// The relay hears from the broker, or hears nothing for too long.
fn answer(world: &mut World, relay: u8, lane: u8, verdict: Verdict) -> Option<()> {
    let from = world.name(relay);
    let flight = world.flight(relay, lane)?;
    let Stage::Sent { arrived } = flight.stage else {
        return None;
    };
    flight.stage = Stage::Answered(verdict);
    let (message, under) = (flight.message, flight.under);
    match verdict {
        Verdict::Acked => arrived.then_some(()),
        Verdict::Unknown => {
            world.left.unknowns = world.left.unknowns.saturating_sub(1);
            world.seen.unknown[usize::from(message)] += 1;
            Some(())
        }
        Verdict::Refused => {
            world.left.refusals = world.left.refusals.saturating_sub(1);
            if arrived {
                return None;
            }
            world.take_from_wire(Sent {
                message,
                from,
                under,
            })
        }
    }
}

impl World {
    fn flight(&mut self, relay: u8, lane: u8) -> Option<&mut Flight> {
        self.relays[usize::from(relay)].flights[usize::from(lane)].as_mut()
    }

    fn take_from_wire(&mut self, sent: Sent) -> Option<()> {
        let at = self.on_the_wire.iter().position(|other| *other == sent)?;
        self.on_the_wire.remove(at);
        Some(())
    }
}
