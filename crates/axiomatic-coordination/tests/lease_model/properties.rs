//! What holds in every state.

use std::collections::HashSet;

use stateright::Property;

use super::actions::Action;
use super::world::{Protocol, Row, Rule, Stage, Verdict, World};

pub(crate) const ONE_HOLDER: &str = "a bucket has one holder";
pub(crate) const EPOCHS: &str = "epochs grow";
pub(crate) const LATE_SETTLEMENTS: &str = "a late settlement changes nothing";
pub(crate) const SETTLED: &str = "what is settled was published";
pub(crate) const COMMITTED: &str = "what is published was committed";
pub(crate) const ORDER: &str = "a key's messages come first in the order of their commits";
pub(crate) const DUPLICATES: &str = "a message comes again only in a window";
pub(crate) const PROGRESS: &str = "what is committed can be published, whatever has happened";

pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(ONE_HOLDER, has_one_holder),
        Property::always(EPOCHS, |_, world: &World| !world.seen.epoch_stood_still),
        Property::always(LATE_SETTLEMENTS, |_, world: &World| {
            !world.seen.late_settlement_changed
        }),
        Property::always(SETTLED, |_, world: &World| {
            let mut rows = world.rows.iter().zip(&world.arrived);
            rows.all(|(row, arrived)| *row != Row::Gone || !arrived.is_empty())
        }),
        Property::always(COMMITTED, |_, world: &World| {
            let mut firsts = world.firsts.iter();
            firsts.all(|message| world.rows[usize::from(*message)] != Row::Uncommitted)
        }),
        Property::always(ORDER, |protocol: &Protocol, world: &World| {
            (0..protocol.lanes.len() as u8).all(|lane| {
                let firsts = world.firsts.iter();
                let of_lane = |message: &&u8| protocol.messages[usize::from(**message)] == lane;
                firsts.filter(of_lane).copied().eq(protocol
                    .of_lane(lane)
                    .take(world.firsts.iter().filter(of_lane).count()))
            })
        }),
        Property::always(DUPLICATES, |_, world: &World| !world.seen.duplicate_outside),
        Property::always(PROGRESS, drains),
    ];
    // What the others would hold without, if it never happened.
    if protocol.rule == Rule::Sound {
        all.extend([
            Property::sometimes("everything is published and settled", |_, world: &World| {
                world.rows.iter().all(|row| *row == Row::Gone)
            }),
            Property::sometimes("a settlement comes too late", comes_too_late),
            Property::sometimes("a message comes again", |_, world: &World| {
                world.arrived.iter().any(|arrived| arrived.len() > 1)
            }),
            Property::sometimes("a bucket changes hands", |_, world: &World| {
                world.leases.iter().any(|lease| lease.epoch > 1)
            }),
        ]);
    }
    all
}

/// Of all holdings that relays remember or have something in flight under,
/// the store would listen to one.
fn has_one_holder(protocol: &Protocol, world: &World) -> bool {
    (0..protocol.buckets() as u8).all(|bucket| {
        let mut holders = HashSet::new();
        for (index, relay) in world.relays.iter().enumerate() {
            let name = world.name(index as u8);
            let flights = relay.flights.iter().zip(&protocol.lanes);
            let flights = flights.filter(|(_, of)| **of == bucket);
            let flights = flights.filter_map(|(flight, _)| Some((*flight)?.under));
            let held = relay.held[usize::from(bucket)].into_iter().chain(flights);
            let heard = held.filter(|held| world.compares(bucket, name, *held));
            holders.extend(heard.map(|held| (name, held)));
        }
        holders.len() <= 1
    })
}

fn comes_too_late(protocol: &Protocol, world: &World) -> bool {
    (0..protocol.relays).any(|relay| {
        let name = world.name(relay);
        let flights = world.relays[usize::from(relay)].flights.iter();
        flights.zip(&protocol.lanes).any(|(flight, bucket)| {
            flight.is_some_and(|flight| {
                let is_answered = matches!(flight.stage, Stage::Answered(_));
                is_answered && !world.compares(*bucket, name, flight.under)
            })
        })
    })
}

/// From here on nobody moves but one relay, the clock, an operator and the
/// broker: then everything that is committed comes to be settled.
///
/// That is "eventually" as a relay understands it that is left alone for long
/// enough. It is asked of every state, so no crash and no expiry leads to one
/// from which there is no way.
fn drains(protocol: &Protocol, world: &World) -> bool {
    const RELAY: u8 = 0;
    let mut world = world.clone();
    // More than it can need: ten steps a message, and what was left undone.
    for _ in 0..32 * protocol.messages.len() {
        let Some(waiting) = world.rows.iter().position(|row| *row == Row::Waiting) else {
            return true;
        };
        let action = helps(protocol, &world, RELAY, waiting as u8);
        if protocol.step(&mut world, action).is_none() {
            return false;
        }
    }
    false
}

/// The step that brings this message nearer to being settled.
fn helps(protocol: &Protocol, world: &World, relay: u8, message: u8) -> Action {
    let lane = protocol.messages[usize::from(message)];
    let bucket = protocol.lanes[usize::from(lane)];
    let name = world.name(relay);
    let own = &world.relays[usize::from(relay)];
    if let Some(flight) = own.flights[usize::from(lane)] {
        let answer = |verdict| Action::Answer {
            relay,
            lane,
            verdict,
        };
        return match flight.stage {
            Stage::Fetched => Action::Send { relay, lane },
            Stage::Sent { arrived: true } => answer(Verdict::Acked),
            Stage::Sent { arrived: false } => {
                let mut wire = world.on_the_wire.iter();
                let sent = wire.find(|sent| {
                    let is_of_it = sent.message == flight.message && sent.under == flight.under;
                    is_of_it && sent.from == name
                });
                sent.map_or(answer(Verdict::Unknown), |sent| Action::Arrive(*sent))
            }
            Stage::Answered(_) | Stage::Checked(_) => Action::Settle { relay, lane },
        };
    }
    if world.parked[usize::from(lane)] {
        return Action::Resume { lane };
    }
    match own.held[usize::from(bucket)] {
        Some(held) if world.compares(bucket, name, held) => Action::Fetch { relay, message },
        Some(_) => Action::Renew { relay, bucket },
        None => {
            let lease = &world.leases[usize::from(bucket)];
            if lease.owner.is_some() && !lease.is_expired {
                Action::Expire { bucket }
            } else {
                Action::Claim { relay, bucket }
            }
        }
    }
}
