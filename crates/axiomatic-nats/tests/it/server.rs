//! A NATS of a test's own, which it may stop, pause, kill and start again.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{connect, skip};

/// A server with JetStream whose store is a temporary directory. Its process
/// and its directory go when it is dropped.
pub(crate) struct Server {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> Option<Server> {
        if let Err(error) = Command::new(program()).arg("--version").output() {
            skip(&error.to_string());
            return None;
        }
        // Between asking for a free port and its use another may take it.
        for _ in 0..20 {
            let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = free.local_addr().expect("an address").port();
            drop(free);
            let folder = TempDir::with_prefix("axiomatic-nats").expect("a folder");
            let process = spawn(port, &folder);
            let mut server = Server {
                process,
                port,
                folder,
            };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("no private NATS would start");
    }

    /// A client of it that finds it again soon.
    pub(crate) async fn client(&self) -> async_nats::Client {
        connect(&format!("nats://127.0.0.1:{}", self.port))
            .await
            .expect("it is there")
    }

    /// Ends it as a crash of the process does: what it wrote is in the system's
    /// memory, so it is there afterwards.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it ran");
        self.process.wait().expect("it ended");
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        self.process.wait().expect("it ended");
    }

    /// Ends it as the loss of power does, with nothing on the disk yet.
    pub(crate) fn lose_power(&mut self) {
        self.kill();
        let store = self.folder.path().join("jetstream");
        std::fs::remove_dir_all(store).expect("it had stored something");
    }

    /// Starts it again at the same address, with what is in its directory.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder);
        assert!(self.answers(), "it did not start again");
    }

    /// Stops its process, so that it takes what is sent and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
        // The signal has been sent, which is not to say that it was heeded.
        while !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether all its threads are stopped, as far as the system tells.
    fn is_stopped(&self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.process.id())) else {
            return true;
        };
        threads.flatten().all(|thread| {
            let state = std::fs::read_to_string(thread.path().join("stat"));
            // The state stands behind the name, which is in parentheses.
            state.is_ok_and(|stat| {
                let behind = stat.rsplit(')').next().unwrap_or_default();
                behind.trim_start().starts_with('T')
            })
        })
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    fn answers(&mut self) -> bool {
        for _ in 0..6_000 {
            if self.process.try_wait().expect("ours").is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            // A server tells nobody that it listens: it is asked again.
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

/// Debian has it where a user's path may not lead.
fn program() -> &'static str {
    let elsewhere = "/usr/sbin/nats-server";
    if std::path::Path::new(elsewhere).exists() {
        elsewhere
    } else {
        "nats-server"
    }
}

fn spawn(port: u16, folder: &TempDir) -> Child {
    Command::new(program())
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js"])
        .arg("-sd")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is there")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
