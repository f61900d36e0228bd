//! What the compiler is asked: whether values may go to other threads.

use axiomatic_placement::bounded_load::{self, BoundedLoad, OwnedPick, Pick};
use axiomatic_placement::consistent_hash as hash;
use axiomatic_placement::consistent_hash::Placement;
use axiomatic_placement::shuffle_shard as shard;

use super::support::nodes;

fn is<T: Send + Sync + std::fmt::Debug>() {}
fn is_clone<T: Clone + Send + Sync + std::fmt::Debug>() {}
fn goes<T: Send>(_: T) {}

#[test]
fn placements_and_what_they_are_made_of_may_go_to_other_threads() {
    is_clone::<hash::Node>();
    is_clone::<hash::State>();
    is_clone::<hash::Member>();
    is_clone::<hash::Membership>();
    is_clone::<hash::Rendezvous>();
    is_clone::<hash::Skeleton>();
    is_clone::<hash::Maglev>();
    is_clone::<hash::Jump>();
    is_clone::<hash::JumpBack>();
    is_clone::<hash::ShardSet>();
    is_clone::<hash::Movement>();
    is_clone::<hash::Share>();
    is_clone::<hash::Replicas<'_>>();
    is_clone::<hash::Spread>();
    is_clone::<hash::Shortage>();
    is_clone::<hash::Algorithm>();
    is::<hash::Live<hash::Rendezvous>>();
    goes(
        hash::Live::new(hash::Rendezvous::new(&nodes(2)))
            .load()
            .into_arc(),
    );
    is_clone::<BoundedLoad<hash::Maglev>>();
    is::<Pick<'_>>();
    is::<OwnedPick>();
    is_clone::<bounded_load::Snapshot>();
    is_clone::<bounded_load::NodeLoad>();
    is_clone::<shard::Lattice>();
    is_clone::<shard::Config>();
    is_clone::<shard::ShuffleShard>();
    is_clone::<shard::Shard<'_>>();
    is_clone::<shard::Registry>();
    is_clone::<shard::Assignment>();
    is_clone::<shard::OverlapReport>();
}

#[test]
fn errors_may_go_to_other_threads_and_be_boxed() {
    fn is_error<T: std::error::Error + Clone + PartialEq + Send + Sync + 'static>() {}
    is_error::<hash::MembershipError>();
    is_error::<hash::PlacementError>();
    is_error::<hash::ShardsError>();
    is_error::<hash::DecodeShardsError>();
    is_error::<hash::Stale>();
    is_error::<hash::UpdateError>();
    is_error::<bounded_load::BalanceError>();
    is_error::<shard::ShardError>();
    is_error::<shard::NoRoom>();
    is_error::<shard::ImportError>();
}

#[test]
fn candidates_may_go_to_other_threads() {
    let members = nodes(3);
    let maglev = hash::Maglev::new(&members).unwrap();
    goes(hash::Rendezvous::new(&members).candidates(1));
    goes(hash::Skeleton::new(&members).candidates(1));
    goes(maglev.candidates(1));
    goes(maglev.shares());
}
