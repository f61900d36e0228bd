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

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn key(text: &str) -> String {
        client_key(text.parse().unwrap()).to_string()
    }

    #[test]
    fn a_network_of_one_host_is_one_client() {
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(key("2001:db8:1:2:ffff:ffff:ffff:ffff"), "2001:db8:1:2::");
        assert_eq!(key("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(key("::1"), "::");
    }

    fn hop(lines: &[&str], trusted_hops: usize) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(&FORWARDED_FOR, line);
        }
        forwarded_for(&headers, trusted_hops).map(|address| address.to_string())
    }

    // tower-governor takes the leftmost, which the client writes.
    #[test]
    fn what_the_client_claims_is_not_believed() {
        for claimed in ["10.0.0.1", "unknown", "", "1.1.1.1, 2.2.2.2", "\u{fc}"] {
            let line = format!("{claimed}, 203.0.113.9");
            assert_eq!(hop(&[&line], 1).as_deref(), Some("203.0.113.9"));
            assert_eq!(
                hop(&[claimed, "203.0.113.9"], 1).as_deref(),
                Some("203.0.113.9")
            );
            let line = format!("{line}, 10.1.1.1");
            assert_eq!(hop(&[&line], 2).as_deref(), Some("203.0.113.9"));
        }
    }

    #[test]
    fn who_did_not_come_by_all_proxies_has_no_address() {
        assert_eq!(hop(&[], 1), None);
        assert_eq!(hop(&["203.0.113.9"], 0), None);
        assert_eq!(hop(&["203.0.113.9"], 2), None);
        assert_eq!(hop(&["10.0.0.1, unknown"], 1), None);
        assert_eq!(hop(&["10.0.0.1, "], 1), None);
        assert_eq!(hop(&["10.0.0.1, 300.0.0.1"], 1), None);
    }

    #[test]
    fn an_address_is_read_with_its_port_and_in_brackets() {
        for (text, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("\t203.0.113.9 ", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
        ] {
            assert_eq!(hop(&[text], 1).as_deref(), Some(expected), "{text}");
        }
    }
}
