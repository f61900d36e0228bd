#[cfg(feature = "ketama")]
use super::libketama;
#[cfg(feature = "nginx")]
use super::nginx;
use super::points::Points;
use super::table::{Narrow, Table};
use super::{envoy, haproxy};
use crate::consistent_hash::error::PlacementError;
use crate::consistent_hash::membership::Membership;
use crate::consistent_hash::placement::Algorithm;

/// Whose ring it is to be, bit for bit: the points of a node, the hash of a
/// key, and whose of two points a key is.
///
/// | | points of a node | hash of a key | owner |
/// |---|---|---|---|
/// | libketama | MD5 of "identity-0", …: four each, 40 × nodes × share of them | MD5, the first 4 bytes, little-endian | first point not below |
/// | nginx | CRC32 of host, 0, port and the last point; 160 × weight | CRC32 | first point not below |
/// | Envoy | XXH64 of "identity_0", …; share × ring size | XXH64 | first point not below |
/// | HAProxy | full avalanche of 4096 × id + 0, …; 16 × weight | sdbm, then full avalanche | nearest point |
///
/// What goes beyond the last point wraps round to the first.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// libketama's, of which many clients of memcached have a copy.
    ///
    /// The identity is a server as its file has it: `10.0.1.1:11211`; the
    /// weight is its memory. Each node has its share of 40 × nodes digests,
    /// rounded down from single precision: of equal weights 40, which are 160
    /// points. (Or 39: 1/61 × 40 × 61 falls short of 40. So it is for 1238 of
    /// the numbers of nodes up to 100,000, of which the first are 61, 122, 237
    /// and 244.) Whatever changes the share of a node may add or remove points
    /// of all the others, and move keys between them; and one that weighs next
    /// to nothing has no points at all.
    #[cfg(feature = "ketama")]
    Libketama,
    /// nginx's, with `hash $key consistent`; so is pingora-ketama's.
    ///
    /// The identity is a server as the configuration has it: `10.0.0.1:443`,
    /// `[::1]:80`, `backend`, `unix:/run/backend`. pingora-ketama writes the
    /// addresses of IPv6 without brackets, and places those otherwise.
    #[cfg(feature = "nginx")]
    Nginx,
    /// Envoy's, with `RING_HASH` and XXH64, between these sizes; see
    /// [`ENVOY`](Self::ENVOY). At most 8,388,608.
    ///
    /// The identity is what Envoy hashes of a host: its address,
    /// `127.0.0.1:90`, or its name. Envoy gives out points by running
    /// fractional sums, from host to host in the order in which it was told of
    /// them; here that is the order of identities. So a change of weights, or
    /// of how many nodes there are, adds or removes a few points of others. (Sums
    /// of doubles: of 75 equal nodes the first has 15 points and the others 14.)
    Envoy {
        /// `minimum_ring_size`: the lightest node has its share of so many
        /// points, rounded up.
        least: u32,
        /// `maximum_ring_size`: there are no more.
        most: u32,
    },
    /// HAProxy's, with `hash-type consistent`, which is sdbm with the
    /// avalanche, and `hash-key id`, the default.
    ///
    /// The identity is the id of a server, in decimal, from 1 to 1048575; the
    /// weight is at most 256, as there.
    Haproxy,
}

impl Format {
    /// [`Envoy`](Self::Envoy) with the sizes that Envoy has where nothing is
    /// said: 1024 to 8,388,608.
    pub const ENVOY: Format = Format::Envoy {
        least: envoy::LEAST,
        most: envoy::MOST,
    };

    /// The hash of a key: what a ring of this format wants to be asked for.
    ///
    /// It has 64 bits for Envoy's, and 32 for the others.
    pub fn hash(self, key: &[u8]) -> u64 {
        match self {
            #[cfg(feature = "ketama")]
            Format::Libketama => libketama::hash(key),
            #[cfg(feature = "nginx")]
            Format::Nginx => nginx::hash(key),
            Format::Envoy { .. } => envoy::hash(key),
            Format::Haproxy => haproxy::hash(key),
        }
    }

    pub(super) fn algorithm(self) -> Algorithm {
        match self {
            #[cfg(feature = "ketama")]
            Format::Libketama => Algorithm::RingLibketama,
            #[cfg(feature = "nginx")]
            Format::Nginx => Algorithm::RingNginx,
            Format::Envoy { .. } => Algorithm::RingEnvoy,
            Format::Haproxy => Algorithm::RingHaproxy,
        }
    }

    pub(super) fn points(self, membership: &Membership) -> Result<Points, PlacementError> {
        Ok(match self {
            #[cfg(feature = "ketama")]
            Format::Libketama => {
                let members = membership.members().len() as u64;
                narrow(members * libketama::POINTS, || {
                    Ok(libketama::points(membership))
                })?
            }
            #[cfg(feature = "nginx")]
            Format::Nginx => {
                let weight = membership.total_weight();
                narrow(weight.saturating_mul(nginx::POINTS), || {
                    Ok(nginx::points(membership))
                })?
            }
            Format::Envoy { least, most } => {
                Points::Wide(Table::new(envoy::points(membership, least, most)?))
            }
            Format::Haproxy => {
                let weight = membership.total_weight();
                narrow(weight.saturating_mul(haproxy::POINTS), || {
                    haproxy::points(membership)
                })?
            }
        })
    }
}

/// Counted before there are any: a weight is a user's number.
fn narrow(
    most: u64,
    points: impl FnOnce() -> Result<Vec<Narrow>, PlacementError>,
) -> Result<Points, PlacementError> {
    Table::<Narrow>::admit(most)?;
    Ok(Points::Narrow(Table::new(points()?)))
}
