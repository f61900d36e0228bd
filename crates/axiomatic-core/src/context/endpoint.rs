use crate::hash::{Algorithm, Hasher, Seed};

/// An instance of a dependency, by the hash of what identifies it.
///
/// Who avoids an endpoint and who chooses one must mean the same by it. So
/// they agree on the bytes, an address as text for example, and take
/// [`from_bytes`](Endpoint::from_bytes); or one of them has a hash that the
/// other uses too.
///
/// ```
/// use axiomatic_core::Context;
/// use axiomatic_core::context::Endpoint;
///
/// let failed = Endpoint::from_bytes(b"10.0.0.7:443");
/// let context = Context::default().avoiding(failed);
/// let next = ["10.0.0.7:443", "10.0.0.8:443"]
///     .into_iter()
///     .find(|address| {
///         let endpoint = Endpoint::from_bytes(address.as_bytes());
///         context.avoided().all(|avoided| avoided != endpoint)
///     });
/// assert_eq!(next, Some("10.0.0.8:443"));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(u64);

impl Endpoint {
    /// The endpoint that these bytes identify: their hash by
    /// [`Algorithm::Xxh3`] with the seed 0, so that it is the same in every
    /// process and version.
    pub fn from_bytes(identity: &[u8]) -> Self {
        Endpoint(Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(identity))
    }

    /// The endpoint whose identity has this hash, where there is one already,
    /// as in a ring of nodes.
    pub const fn from_hash(hash: u64) -> Self {
        Endpoint(hash)
    }

    /// The hash of its identity.
    pub const fn as_hash(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_same_in_every_process() {
        let endpoint = Endpoint::from_bytes(b"");
        assert_eq!(endpoint.as_hash(), 0x2d06_8005_38d3_94c2);
    }
}
