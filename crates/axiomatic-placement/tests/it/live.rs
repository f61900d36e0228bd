//! The placement in use, while it is replaced.

use std::sync::{Arc, Barrier, Mutex};

use axiomatic_placement::consistent_hash::{
    Algorithm, Live, Member, Membership, MembershipError, Node, Placement, PlacementError,
    Rendezvous, State, UpdateError,
};
use proptest::prelude::*;

/// As many nodes as its epoch says, and all of that epoch.
fn of(epoch: u64) -> Rendezvous {
    let nodes = (0..epoch).map(|i| Node::new(format!("{epoch}-{i}")));
    Rendezvous::new(&Membership::new(epoch, nodes).unwrap())
}

#[test]
fn a_membership_that_is_not_newer_is_refused() {
    let live = Live::new(of(5));
    for offered in [4, 5] {
        let stale = live.replace(of(offered)).unwrap_err();
        assert_eq!((stale.offered(), stale.current()), (offered, 5));
    }
    assert_eq!(
        live.replace(of(4)).unwrap_err().to_string(),
        "epoch 4 is not newer than epoch 5"
    );
    let replaced = live.replace(of(6)).unwrap();
    assert_eq!(replaced.membership().epoch(), 5);
    assert_eq!(live.load().membership().epoch(), 6);
}

#[test]
fn an_update_that_fails_changes_nothing() {
    let live = Live::new(of(2));
    let before = live.load().into_arc();
    let error = live.update(|now| now.marked("nobody", State::Down));
    assert!(matches!(
        error,
        Err(UpdateError::Membership(MembershipError::Unknown { .. }))
    ));
    let error = live.update(|now| Ok(now.clone())).unwrap_err();
    assert!(matches!(error, UpdateError::Stale(_)));
    assert_eq!(error.to_string(), "epoch 2 is not newer than epoch 2");
    assert!(Arc::ptr_eq(&before, &live.load().into_arc()));
}

#[test]
fn who_holds_a_placement_keeps_its_answers() {
    let live = Live::new(of(1));
    let held = live.load();
    live.replace(of(2)).unwrap();
    assert_eq!(held.owner(7).id(), b"1-0");
    assert_eq!(held.candidates(7).count(), 1);
    assert_eq!(live.load().candidates(7).count(), 2);
}

#[test]
fn readers_see_one_whole_placement_however_often_it_is_replaced() {
    const EPOCHS: u64 = 60;
    let live = Live::new(of(1));
    let all = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                all.wait();
                let mut last = 0;
                while last < EPOCHS {
                    let now = live.load();
                    let epoch = now.membership().epoch();
                    assert!(epoch >= last, "epochs only grow");
                    let prefix = format!("{epoch}-");
                    let mut candidates = 0;
                    for member in now.candidates(epoch) {
                        assert!(member.id().starts_with(prefix.as_bytes()));
                        candidates += 1;
                    }
                    assert_eq!(candidates, epoch);
                    last = epoch;
                }
            });
        }
        all.wait();
        for epoch in 2..=EPOCHS {
            live.replace(of(epoch)).unwrap();
            std::thread::yield_now();
        }
    });
}

proptest! {
    #[test]
    fn the_last_epoch_wins_whatever_the_order_of_arrival(
        epochs in prop::collection::vec(1u64..9, 1..30),
    ) {
        let live = Live::new(of(epochs[0]));
        let mut last = epochs[0];
        for epoch in epochs {
            prop_assert_eq!(live.replace(of(epoch)).is_ok(), epoch > last);
            last = last.max(epoch);
            prop_assert_eq!(live.load().membership().epoch(), last);
        }
    }
}

/// A placement that lets another overtake it, once, between a look at epochs
/// and what is done about it.
struct Overtaken {
    membership: Membership,
    by: Mutex<Option<(u64, Arc<Live<Overtaken>>)>>,
}

impl Overtaken {
    fn by(epoch: u64, other: Option<(u64, Arc<Live<Overtaken>>)>) -> Self {
        Overtaken {
            membership: of(epoch).membership().clone(),
            by: Mutex::new(other),
        }
    }
}

impl Placement for Overtaken {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Rendezvous
    }

    fn membership(&self) -> &Membership {
        let other = self.by.lock().unwrap().take();
        if let Some((epoch, live)) = other {
            live.replace(Overtaken::by(epoch, None)).map(drop).unwrap();
        }
        &self.membership
    }

    fn owner(&self, _: u64) -> &Member {
        &self.membership.members()[0]
    }

    fn candidates(&self, _: u64) -> impl Iterator<Item = &Member> {
        self.membership.eligible()
    }

    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        Ok(Overtaken {
            membership: membership.clone(),
            by: Mutex::new(None),
        })
    }
}

#[test]
fn a_replacement_that_is_overtaken_is_judged_again() {
    for (other, stays) in [(2, 3), (3, 3), (4, 4)] {
        let live = Arc::new(Live::new(Overtaken::by(1, None)));
        let slow = Overtaken::by(3, Some((other, Arc::clone(&live))));
        let replaced = live.replace(slow);
        match replaced {
            Ok(old) => assert_eq!((old.membership.epoch(), other), (2, 2)),
            Err(stale) => assert_eq!((stale.offered(), stale.current()), (3, other)),
        }
        assert_eq!(live.load().membership().epoch(), stays);
    }
}

#[test]
fn an_update_that_is_overtaken_is_made_again() {
    let live = Live::new(of(3));
    let mut seen = Vec::new();
    let replaced = live.update(|now| {
        if seen.is_empty() {
            live.replace(of(7)).unwrap();
        }
        seen.push(now.epoch());
        let first = now.members()[0].id();
        now.marked(first, State::Down)
    });
    assert_eq!(replaced.unwrap().membership().epoch(), 7);
    assert_eq!(seen, [3, 7]);
    assert_eq!(live.load().membership().epoch(), 8);
    assert_eq!(live.load().membership().eligible().count(), 6);
}

#[test]
fn of_racing_replacements_the_newest_stays() {
    const THREADS: u64 = 4;
    for round in 0..300 {
        let live = Live::new(of(1));
        let all = Barrier::new(THREADS as usize);
        let replaced: u64 = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..THREADS)
                .map(|i| {
                    let (live, all) = (&live, &all);
                    // Now the one, now the other is the first.
                    let placement = of(2 + (i + round) % THREADS);
                    scope.spawn(move || {
                        all.wait();
                        live.replace(placement)
                            .map_or(0, |old| old.membership().epoch())
                    })
                })
                .collect();
            racers.into_iter().map(|r| r.join().unwrap()).sum()
        });
        assert_eq!(live.load().membership().epoch(), 1 + THREADS);
        assert!(replaced > 0);
    }
}

#[test]
fn no_racing_update_is_lost() {
    const THREADS: u64 = 4;
    const EACH: u64 = 100;
    let live = Live::new(of(3));
    let all = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                all.wait();
                for _ in 0..EACH {
                    let next = |now: &Membership| now.marked("3-1", State::Up);
                    live.update(next).unwrap();
                }
            });
        }
    });
    assert_eq!(live.load().membership().epoch(), 3 + THREADS * EACH);
}
