//! The servers as processes, and what befalls them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_sim::Random;

/// A server that is started again and again. Its listening socket is this
/// process's: while none runs, connections wait in its queue, and nobody
/// takes its port.
pub(crate) struct Server {
    listener: TcpListener,
    variables: Vec<(&'static str, String)>,
    child: Child,
}

impl Server {
    pub(crate) fn start(variables: Vec<(&'static str, String)>) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let child = spawn(&listener, &variables);
        Server {
            listener,
            variables,
            child,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Kills it, and starts another in its place.
    pub(crate) fn restart(&mut self) {
        self.must_run();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.listener, &self.variables);
    }

    /// Sends it a signal, such as `-STOP`.
    fn signal(&mut self, signal: &str) {
        self.must_run();
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// None ends by itself.
    fn must_run(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert_eq!(ended, None, "a server ended by itself");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This executable again, with the socket as its standard input.
fn spawn(listener: &TcpListener, variables: &[(&'static str, String)]) -> Child {
    let socket = OwnedFd::from(listener.try_clone().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "server::child", "--nocapture"]);
    child.envs(variables.iter().map(|(name, value)| (name, value)));
    child.stdin(Stdio::from(socket)).stdout(Stdio::null());
    child.spawn().unwrap()
}

/// What has befallen them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) kills: u32,
    /// A server stood still for longer than its leases last, and went on.
    pub(crate) stops: u32,
}

/// Kills and stops them, whenever some keys more were sent for the first time.
/// Never ends by itself.
pub(crate) async fn rage(
    servers: &mut [Server],
    sent: &AtomicU64,
    mut random: Random,
    faults: &mut Faults,
) {
    loop {
        let then = sent.load(Ordering::Relaxed) + random.below(300);
        while sent.load(Ordering::Relaxed) < then {
            // One that ended by itself would keep its clients for ever.
            servers.iter_mut().for_each(Server::must_run);
            pause(1).await;
        }
        pause(random.below(20)).await;
        let which = random.below(servers.len() as u64) as usize;
        let server = &mut servers[which];
        if random.below(3) > 0 {
            server.restart();
            faults.kills += 1;
            continue;
        }
        let stopped = Stopped::of(server);
        pause(1_200 + random.below(600)).await;
        drop(stopped);
        faults.stops += 1;
    }
}

/// A server that stands still, until this is dropped.
struct Stopped<'a>(&'a mut Server);

impl Stopped<'_> {
    fn of(server: &mut Server) -> Stopped<'_> {
        server.signal("-STOP");
        Stopped(server)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal("-CONT");
    }
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
