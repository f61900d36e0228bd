//! The hash contract: bytes in, a named algorithm, an explicit seed.
//!
//! Whatever another process, another version or a file sees must be hashed
//! in a way that is written down. `std::hash::Hash` is not: its bytes and its
//! algorithm may change with any release. So placement, sketches, buckets and
//! keyed tables hash bytes, and stored forms carry the [`Algorithm`]'s id.
//!
//! ```
//! use axiomatic_core::hash::{Algorithm, Encoder, Hasher, Seed};
//!
//! let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
//! // The published XXH3-64 of no bytes with seed 0.
//! assert_eq!(hasher.hash(b""), 0x2d06_8005_38d3_94c2);
//!
//! // ("ab", "c") and ("a", "bc") are different keys.
//! let key = |tenant: &str, user: &str| {
//!     let mut encoder = Encoder::new();
//!     encoder.text(tenant).text(user);
//!     hasher.hash(encoder.as_bytes())
//! };
//! assert_ne!(key("ab", "c"), key("a", "bc"));
//! ```
//!
//! # The algorithms
//!
//! | Id | Variant | Feature | `hash` | `hash128` | Seed | As in |
//! |---|---|---|---|---|---|---|
//! | 1 | `Xxh3` | always | XXH3-64 | XXH3-128 | 64 bits | the default; xxHash 0.8 |
//! | 2 | `Xxh64` | always | XXH64 | none | 64 bits | Envoy, Parquet |
//! | 3 | `Murmur3` | `murmur` | its first 64 bits | MurmurHash3 x64-128 | 64 bits, as both halves of the state | Guava, SMHasher; seeds above `u32::MAX` are ours |
//! | 4 | `Murmur2` | `murmur` | 32 bits | none | none: it is Kafka's | Kafka's default partitioner |
//! | 5 | `Murmur64A` | `murmur` | MurmurHash64A | none | 64 bits | Envoy, RedisBloom |
//! | 6 | `Crc32` | `crc` | 32 bits | none | none | nginx; IEEE 802.3, zlib |
//! | 7 | `Crc16` | `crc` | 16 bits | none | none | Redis Cluster; XMODEM |
//! | 8 | `Md5` | `md5` | first 4 bytes, little-endian | the digest, little-endian | none | libketama |
//! | 9 | `SipHash13` | `siphash` | 64 bits | SipHash-128 | 128 bits | keys that strangers choose |
//! | 10 | `SipHash24` | `siphash` | 64 bits | SipHash-128 | 128 bits | the same, with the margin of the paper |
//!
//! An id is never reused. A number that this program does not know, and one
//! that it knows but was built without, are told apart by
//! [`Algorithm::try_from`](Algorithm#impl-TryFrom%3Cu16%3E-for-Algorithm).
//!
//! What has fewer than 64 bits leaves the upper ones zero, so that it is the
//! number that the named system computes ([`Algorithm::bits`] tells how many
//! there are): reduce it by a remainder, not by its top bits. What has no 128
//! bits of its own has no `hash128`: stretched, a 32-bit hash would collide
//! as often as before and look as if it did not.
//!
//! # Seeds
//!
//! [`Seed::fixed`] for what is stored or agreed on, [`Seed::random`] for what
//! one process keeps to itself, [`Seed::secret`] or [`Seed::key`] where
//! strangers choose keys. An algorithm uses what it can take of it:
//!
//! - 64 bits: the seed's own; of a 128-bit key both halves, mixed one after
//!   the other, so that equal halves do not cancel out.
//! - 128 bits (SipHash): the key; or from a seed `s`, with `m = mix(s)`, the
//!   halves `mix(m)` and `mix(!m)`. [`mix`] is a bijection and `m` is never
//!   `!m`, so the halves are never equal.
//! - None (CRC, MD5, Murmur2): with `Seed::fixed(0)` the hash is the named
//!   system's, bit for bit; with any other seed `s` it is
//!   `mix(raw ^ mix(s))`. So a seed always has its effect, but keys that
//!   collide do so under every seed. Where that matters,
//!   [`Hasher::exact`] refuses such a seed.
//!
//! Only SipHash withstands somebody who chooses keys to collide and learns
//! what collided. Murmur's collisions do not even depend on the seed
//! (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).

mod algorithm;
#[cfg(feature = "crc")]
mod crc;
mod encoder;
mod hasher;
mod mixing;
#[cfg(feature = "murmur")]
mod murmur;
mod seed;
#[cfg(feature = "siphash")]
mod sip;
mod xxh3;

pub use algorithm::{Algorithm, AlgorithmError};
pub use encoder::Encoder;
pub use hasher::{Hasher, SeedError};
pub use mixing::{mix, rendezvous};
pub use seed::{Seed, entropy};
