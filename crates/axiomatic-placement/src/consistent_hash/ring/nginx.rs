//! As nginx with `hash … consistent`: `ngx_http_upstream_hash_module.c`. So
//! are Cache::Memcached::Fast's and pingora-ketama's.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use super::table::{Narrow, Point};
use crate::consistent_hash::membership::Membership;

const HASHER: Hasher = Hasher::new(Algorithm::Crc32, Seed::fixed(0));

/// Points for each unit of weight.
pub(super) const POINTS: u64 = 160;

/// Each is the CRC of the host, a zero, the port, and the point before.
pub(super) fn points(membership: &Membership) -> Vec<Narrow> {
    let mut points = Vec::with_capacity((membership.total_weight() * POINTS) as usize);
    for member in membership.members() {
        let (host, port) = host_and_port(member.id());
        let mut name = [host, b"\0", port, &[0; 4]].concat();
        let stem = name.len() - 4;
        for _ in 0..u64::from(member.weight()) * POINTS {
            let hash = HASHER.hash(&name);
            points.push(Narrow::new(hash, member.index() as u32));
            name[stem..].copy_from_slice(&(hash as u32).to_le_bytes());
        }
    }
    points
}

/// As nginx takes a server's name apart: a port is digits behind the last
/// colon, and the path of a socket is all host.
fn host_and_port(id: &[u8]) -> (&[u8], &[u8]) {
    const SOCKET: &[u8] = b"unix:";
    match id.split_at_checked(SOCKET.len()) {
        Some((start, path)) if start.eq_ignore_ascii_case(SOCKET) => return (path, b""),
        _ => {}
    }
    let digits = id.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    match id[..id.len() - digits].split_last() {
        Some((b':', host)) => (host, &id[id.len() - digits..]),
        _ => (id, b""),
    }
}

pub(super) fn hash(key: &[u8]) -> u64 {
    HASHER.hash(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_taken_apart_as_nginx_does_it() {
        for (server, host, port) in [
            ("10.0.0.1:443", "10.0.0.1", "443"),
            ("[::1]:80", "[::1]", "80"),
            ("[::1]", "[::1]", ""),
            ("backend", "backend", ""),
            ("backend:", "backend", ""),
            ("backend-7", "backend-7", ""),
            ("UNIX:/run/a:1", "/run/a:1", ""),
            ("1234", "1234", ""),
        ] {
            let taken = host_and_port(server.as_bytes());
            assert_eq!(taken, (host.as_bytes(), port.as_bytes()), "{server}");
        }
    }
}
