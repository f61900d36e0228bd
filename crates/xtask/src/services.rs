use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A server on loopback answers within a millisecond or is not there.
const PATIENCE: Duration = Duration::from_millis(500);

struct Server {
    name: &'static str,
    variable: &'static str,
    port: u16,
    /// Where it is if nobody says otherwise.
    usual: &'static str,
}

const SERVERS: &[Server] = &[
    Server {
        name: "PostgreSQL",
        variable: "AXIOMATIC_POSTGRES_URL",
        port: 5432,
        usual: "postgres://root@127.0.0.1:5432/test",
    },
    Server {
        name: "Redis",
        variable: "AXIOMATIC_REDIS_URL",
        port: 6379,
        usual: "redis://127.0.0.1:6379/",
    },
    Server {
        name: "RabbitMQ",
        variable: "AXIOMATIC_AMQP_URL",
        port: 5672,
        usual: "amqp://guest:guest@127.0.0.1:5672/%2f",
    },
    Server {
        name: "NATS",
        variable: "AXIOMATIC_NATS_URL",
        port: 4222,
        usual: "nats://127.0.0.1:4222",
    },
];

/// Prints which servers take a TCP connection, and where they were looked
/// for. It prints host and port only: a URL may hold a password.
pub(crate) fn print() {
    for server in SERVERS {
        let url = std::env::var(server.variable).ok();
        let (host, port) = url.as_deref().map_or_else(
            || ("127.0.0.1".to_owned(), server.port),
            |url| address(url, server.port),
        );
        let verdict = if answers(&host, port) {
            "answers"
        } else {
            "absent"
        };
        let source = if url.is_some() {
            format!("from {}", server.variable)
        } else {
            format!("the usual port; {} is not set", server.variable)
        };
        println!("{:10}  {verdict:7}  {host}:{port} ({source})", server.name);
    }
}

/// The URL that a variable has or stands for, if a server answers there.
pub(crate) fn url(variable: &str) -> Option<String> {
    let server = SERVERS.iter().find(|server| server.variable == variable)?;
    let url = std::env::var(variable).unwrap_or_else(|_| server.usual.to_owned());
    let (host, port) = address(&url, server.port);
    answers(&host, port).then_some(url)
}

fn answers(host: &str, port: u16) -> bool {
    (host, port)
        .to_socket_addrs()
        .is_ok_and(|mut all| all.any(|one| TcpStream::connect_timeout(&one, PATIENCE).is_ok()))
}

/// Host and port of `scheme://user:password@host:port/path?query`.
fn address(url: &str, usual_port: u16) -> (String, u16) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', ',']).next().unwrap_or_default();
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    if let Some((v6, after)) = place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        let port = after.strip_prefix(':').and_then(|port| port.parse().ok());
        return (v6.to_owned(), port.unwrap_or(usual_port));
    }
    let (host, port) = place.rsplit_once(':').unwrap_or((place, ""));
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    (host.to_owned(), port.parse().unwrap_or(usual_port))
}

#[cfg(test)]
mod tests {
    use super::{address, answers};

    #[test]
    fn an_address_is_read_out_of_a_url() {
        let cases = [
            ("postgres://me:p%40ss@db:5433/shop?x=1", "db", 5433),
            ("redis://localhost", "localhost", 9),
            ("amqp://guest:a:b@[::1]:5673/%2f", "::1", 5673),
            ("nats://one:4222,nats://two:4222", "one", 4222),
            ("postgres:///shop", "127.0.0.1", 9),
            ("box:77", "box", 77),
        ];
        for (url, host, port) in cases {
            assert_eq!(address(url, 9), (host.to_owned(), port), "{url}");
        }
    }

    #[test]
    fn a_listening_port_answers_and_a_name_of_nobody_does_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(answers("127.0.0.1", port));
        assert!(!answers("", port));
    }
}
