use super::error::PlacementError;
use super::membership::{Member, Membership};
use super::replicas::{Replicas, Shortage, Spread};

/// Who owns what: a pure function of the algorithm, its parameters and seed,
/// the membership, and the hash of a key.
///
/// The hash is the caller's, of the key's bytes by a
/// [`Hasher`](axiomatic_core::hash::Hasher). Keys that have the same hash have
/// the same owner, and of a [`Ring`](super::Ring) of 32 bits the lower half of
/// it is the hash. Who places by one hash twice, into regions and then into
/// shards of a region, takes another seed for the second.
pub trait Placement: Sized {
    /// Which algorithm: its number stands for exactly these answers, in every
    /// version.
    fn algorithm(&self) -> Algorithm;

    /// Over whom.
    fn membership(&self) -> &Membership;

    /// Who owns the keys of this hash.
    fn owner(&self, hash: u64) -> &Member;

    /// Whom to ask, in this order: all who may own keys, each once, the owner
    /// first. It is lazy.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member>;

    /// The nodes that hold the keys of this hash: as many as are `wanted`, the
    /// owner first, on distinct domains of failure.
    ///
    /// Of the candidates, in their order, those are taken that share no domain
    /// with whoever was taken before. So whoever was not taken could leave the
    /// membership and nothing would change for this key, if that leaves the
    /// order of the others alone, as it does for rendezvous. The owner of a
    /// table or of a skeleton may be another one then, and with it those who
    /// share its domain.
    ///
    /// One allocation.
    ///
    /// ```
    /// use axiomatic_placement::consistent_hash::{Membership, Node, Placement, Rendezvous};
    /// use axiomatic_placement::consistent_hash::{Shortage, Spread};
    ///
    /// let nodes = (0..6).map(|n| Node::new(format!("node-{n}")).in_zone(["a", "b"][n % 2]));
    /// let placement = Rendezvous::new(&Membership::new(1, nodes)?);
    ///
    /// let three = placement.replicas(17, 3, Spread::Zone, Shortage::BestEffort);
    /// assert_eq!(three[0], placement.owner(17));
    /// assert_ne!(three[0].zone(), three[1].zone());
    /// assert_eq!((three.len(), three.domains()), (3, 2));
    ///
    /// // Rather two than three of which two fail together.
    /// let two = placement.replicas(17, 3, Spread::Zone, Shortage::Strict);
    /// assert!(two.len() == 2 && two.is_short());
    /// # Ok::<(), axiomatic_placement::consistent_hash::MembershipError>(())
    /// ```
    fn replicas(
        &self,
        hash: u64,
        wanted: usize,
        spread: Spread,
        shortage: Shortage,
    ) -> Replicas<'_> {
        let candidates = || self.candidates(hash);
        Replicas::choose(self.membership(), candidates, wanted, spread, shortage)
    }

    /// The same algorithm with the same parameters and the same seed over
    /// another membership. Where only states differ, what is dear to build, a
    /// table or points, is shared, and identities are hashed anew at most.
    ///
    /// # Errors
    ///
    /// If the parameters do not fit that membership.
    fn over(&self, membership: &Membership) -> Result<Self, PlacementError>;
}

/// An algorithm, by its number in stored forms. A number is never given to
/// another algorithm, and never to another version of its own.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum Algorithm {
    /// [`JumpBack`](super::JumpBack).
    JumpBack = 1,
    /// [`Jump`](super::Jump).
    Jump = 2,
    /// [`ShardSet`](super::ShardSet).
    ShardSet = 3,
    /// [`Rendezvous`](super::Rendezvous).
    Rendezvous = 16,
    /// [`Skeleton`](super::Skeleton).
    Skeleton = 17,
    /// [`Maglev`](super::Maglev).
    Maglev = 18,
    /// A ring as libketama's.
    RingLibketama = 19,
    /// A ring as nginx's.
    RingNginx = 20,
    /// A ring as Envoy's.
    RingEnvoy = 21,
    /// A ring as HAProxy's.
    RingHaproxy = 22,
    /// [`MultiProbe`](super::MultiProbe).
    MultiProbe = 24,
}

impl Algorithm {
    /// The number that stands for it in stored forms.
    pub const fn id(self) -> u16 {
        self as u16
    }
}
