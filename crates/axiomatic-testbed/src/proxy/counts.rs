//! What a proxy has seen and done.

use std::fmt;

/// What a proxy has seen and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were made to it, those that it refused among them.
    pub connections: u64,
    /// Connections that it refused.
    pub refused: u64,
    /// Connections that it cut in both directions.
    pub cut: u64,
    /// Connections of which it closed one end.
    pub half_open: u64,
    /// Connections that were cut where certain bytes passed.
    pub triggered: u64,
    /// Bytes that it passed on to the server.
    pub to_server: u64,
    /// Bytes that it passed on to clients.
    pub to_client: u64,
    /// Bytes that it swallowed.
    pub swallowed: u64,
    /// Times that bytes had to wait.
    pub delayed: u64,
}

impl Counts {
    /// How often any fault was felt by a connection.
    pub fn felt(&self) -> u64 {
        self.refused + self.cut + self.half_open + self.swallowed + self.delayed
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections, {} refused, {} cut, {} half-open; {} bytes to the server, \
             {} to clients, {} swallowed, {} waits",
            self.connections,
            self.refused,
            self.cut,
            self.half_open,
            self.to_server,
            self.to_client,
            self.swallowed,
            self.delayed
        )
    }
}
