use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use axiomatic_core::BoxError;
use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_placement::consistent_hash::{
    Guard, Live, Membership, Node, Placement, Rendezvous, State,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::shard::Shard;

/// Finds the shard of each key by itself. As many of them as there may be,
/// anywhere, agree.
pub(crate) struct Client {
    live: Live<Rendezvous>,
    hasher: Hasher,
    addresses: RefCell<HashMap<Vec<u8>, SocketAddr>>,
    failovers: Cell<usize>,
}

/// Connections to shards, opened when they are first needed. Whoever asks has
/// their own.
#[derive(Default)]
pub(crate) struct Connections(HashMap<Vec<u8>, BufReader<TcpStream>>);

/// What became of reading some keys.
pub(crate) struct Reading {
    stretches: Vec<(usize, usize)>,
}

impl Client {
    pub(crate) fn of(shards: &[Shard]) -> Result<Self, BoxError> {
        let membership = Membership::new(1, shards.iter().map(|shard| Node::new(shard.id())))?;
        let client = Client {
            live: Live::new(Rendezvous::new(&membership)),
            hasher: Hasher::new(Algorithm::Xxh3, Seed::fixed(0)),
            addresses: RefCell::default(),
            failovers: Cell::new(0),
        };
        shards.iter().for_each(|shard| client.know(shard));
        Ok(client)
    }

    /// Learns where a shard listens.
    pub(crate) fn know(&self, shard: &Shard) {
        let id = shard.id().as_bytes().to_vec();
        self.addresses.borrow_mut().insert(id, shard.address());
    }

    /// Places keys so from now on.
    pub(crate) fn switch_to(&self, placement: Rendezvous) -> Result<(), BoxError> {
        self.live.replace(placement)?;
        Ok(())
    }

    pub(crate) fn placement(&self) -> Guard<Rendezvous> {
        self.live.load()
    }

    pub(crate) fn hash(&self, key: &str) -> u64 {
        self.hasher.hash(key.as_bytes())
    }

    /// How often a shard did not answer and the next one was asked.
    pub(crate) fn failovers(&self) -> usize {
        self.failovers.get()
    }

    /// Reads every key once, one after the other.
    pub(crate) async fn read(&self, keys: &[String], stretch: usize) -> Result<Reading, BoxError> {
        let mut connections = Connections::default();
        let mut stretches = Vec::new();
        for keys in keys.chunks(stretch) {
            let mut hits = 0;
            for key in keys {
                hits += usize::from(self.get(&mut connections, key).await?);
            }
            stretches.push((hits, keys.len()));
        }
        Ok(Reading { stretches })
    }

    /// Asks the owner of a key, and if it is dead the next one, and tells all
    /// who place by this client. Whether it was a hit.
    async fn get(&self, connections: &mut Connections, key: &str) -> Result<bool, BoxError> {
        loop {
            let owner = self.placement().owner(self.hash(key)).id().to_vec();
            match self.get_from(connections, &owner, key).await {
                Ok(hit) => return Ok(hit),
                Err(_) => self.give_up(&owner)?,
            }
        }
    }

    /// Its keys go to those who come next for each of them, until it is marked
    /// up again.
    fn give_up(&self, id: &[u8]) -> Result<(), BoxError> {
        self.failovers.set(self.failovers.get() + 1);
        self.live
            .update(|membership| membership.marked(id, State::Down))?;
        Ok(())
    }

    /// Asks this shard, and gives it the value if it has none.
    pub(crate) async fn get_from(
        &self,
        connections: &mut Connections,
        id: &[u8],
        key: &str,
    ) -> io::Result<bool> {
        let address = self.addresses.borrow().get(id).copied();
        let address = address.ok_or(io::ErrorKind::NotFound)?;
        let answer = connections
            .ask(id, address, &format!("get {key}\n"))
            .await?;
        if let Some(value) = answer.strip_prefix("hit ") {
            assert_eq!(value, made(key), "a shard gave the value of another key");
            return Ok(true);
        }
        let value = made(key);
        connections
            .ask(id, address, &format!("set {key} {value}\n"))
            .await?;
        Ok(false)
    }
}

/// What is cached: whatever it costs to make, it says whose it is.
fn made(key: &str) -> String {
    format!("the value of {key}")
}

impl Connections {
    async fn ask(&mut self, id: &[u8], address: SocketAddr, request: &str) -> io::Result<String> {
        let answer = self.try_to_ask(id, address, request).await;
        if answer.is_err() {
            self.0.remove(id);
        }
        answer
    }

    async fn try_to_ask(
        &mut self,
        id: &[u8],
        address: SocketAddr,
        request: &str,
    ) -> io::Result<String> {
        if !self.0.contains_key(id) {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            self.0.insert(id.to_vec(), BufReader::new(socket));
        }
        let socket = self.0.get_mut(id).ok_or(io::ErrorKind::NotConnected)?;
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        match socket.read_line(&mut answer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }
}

impl Reading {
    pub(crate) fn misses(&self) -> usize {
        self.stretches.iter().map(|(hits, all)| all - hits).sum()
    }
}

/// The hit rate of each stretch, in percent, and of all.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (hits, all) in &self.stretches {
            write!(f, "{:>6.1}", 100.0 * *hits as f64 / *all as f64)?;
        }
        write!(f, " % hits, {} missed", self.misses())
    }
}
