//! A NATS with JetStream of a test's own.

use std::fs::File;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{executable, free_port, signal, skip};

/// A server in a directory of its own, at a port of its own. Gone when it is
/// dropped.
pub(crate) struct Nats {
    executable: PathBuf,
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Nats {
    /// A new server that runs, if one is installed.
    pub(crate) fn start() -> Option<Nats> {
        let installed = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/bin")];
        let Some(executable) = executable("nats-server", &installed) else {
            skip("the executable of NATS");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("axiomatic-nats-").tempdir();
        let mut server = Nats {
            executable,
            directory: directory.expect("a directory"),
            port: free_port(),
            process: None,
        };
        server.run();
        Some(server)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it, and waits until it has stopped.
    pub(crate) fn stop(&mut self) {
        self.end("-TERM");
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.end("-KILL");
    }

    fn end(&mut self, how: &str) {
        if let Some(mut process) = self.process.take() {
            signal(&process, how);
            process.wait().expect("it is a child of this process");
        }
    }

    /// Starts it where it was, and waits until it takes connections.
    pub(crate) fn run(&mut self) {
        let mut nats = Command::new(&self.executable);
        nats.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js"]);
        nats.arg("-sd").arg(self.directory.path());
        let log = self.directory.path().join("log");
        let log = File::options().append(true).create(true).open(log);
        let log = log.expect("it can be written");
        nats.stdout(log.try_clone().expect("a file")).stderr(log);
        self.process = Some(nats.spawn().expect("it is there"));
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "it does not start"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
