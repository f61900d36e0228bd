use super::error::PlacementError;
use super::membership::{Member, Membership};

/// Who owns what: a pure function of the algorithm, its parameters and seed,
/// the membership, and the hash of a key.
///
/// The hash is the caller's, of the key's bytes by a
/// [`Hasher`](axiomatic_core::hash::Hasher), and every bit of it is used:
/// keys that have the same hash have the same owner.
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

    /// The same algorithm with the same parameters and the same seed over
    /// another membership. Where only states differ, what was built is shared.
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
