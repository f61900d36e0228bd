use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What of an address is one client: an address of IPv4, and of IPv6 the first
/// 64 bits.
///
/// A host of IPv6 has a network of 2⁶⁴ addresses to itself, and may use
/// another one for each request: limited by address, it is not limited at all,
/// and fills a table of keys besides. An address of IPv4 that is written as one
/// of IPv6 is the same client.
///
/// ```
/// use axiomatic_http::rate_limit::client_key;
///
/// let one = client_key("2001:db8:1:2:aaaa::7".parse()?);
/// let other = client_key("2001:db8:1:2:bbbb::9".parse()?);
/// assert_eq!(one, other);
/// assert_ne!(one, client_key("2001:db8:1:3::7".parse()?));
/// assert_eq!(client_key("::ffff:192.0.2.7".parse()?).to_string(), "192.0.2.7");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn client_key(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
    }
}

/// The address from which a request came to the first of your own proxies, of
/// which there are `trusted_hops` between that client and here.
///
/// Each proxy writes behind what is there in `X-Forwarded-For` from whom it has
/// the request. What stands furthest left is what the client itself has sent,
/// if it has sent something: whoever takes that for its address lets it choose
/// a new one for each request, or that of somebody else, who then is limited
/// in its place. What can be believed was written by your own proxies, and is
/// counted from the right: with one proxy it is the last address, with two the
/// one before.
///
/// Nothing if there are fewer addresses, since the request did not come by
/// these proxies; if there are no proxies, since then it is the connection that
/// has the address; or if what stands there is none. Ports are left out. The
/// field `Forwarded` of RFC 7239 is not read.
///
/// ```
/// use axiomatic_http::rate_limit::forwarded_for;
/// use http::HeaderMap;
///
/// let mut headers = HeaderMap::new();
/// // The client claims to be 10.0.0.1, and the proxy knows better.
/// headers.insert("x-forwarded-for", "10.0.0.1, 203.0.113.9".parse()?);
/// assert_eq!(forwarded_for(&headers, 1), Some("203.0.113.9".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn forwarded_for(headers: &HeaderMap, trusted_hops: usize) -> Option<IpAddr> {
    let from_the_right = trusted_hops.checked_sub(1)?;
    let hop = headers
        .get_all(&FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .nth(from_the_right)?;
    address(std::str::from_utf8(hop).ok()?.trim())
}

/// An address, with a port as some proxies write it, or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Some(with_port.ip());
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse().ok().map(IpAddr::V6)
}
