//! A NATS with JetStream of a test's own.

use std::fs::File;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

use crate::{executable, free_port, is_stopped, signal, skip};

/// A server in a directory of its own, at a port of its own. Gone when it is
/// dropped.
#[derive(Debug)]
pub struct Nats {
    executable: PathBuf,
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Nats {
    /// A new server that runs, if one is installed.
    ///
    /// # Panics
    ///
    /// If it does not start, or in CI if there is none.
    pub fn start() -> Option<Nats> {
        // Debian has it where a user's path may not lead.
        let installed = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/bin")];
        let Some(executable) = executable("nats-server", &installed) else {
            skip("the executable of NATS");
            return None;
        };
        // Between asking for a free port and its use another may take it.
        for _ in 0..20 {
            let directory = tempfile::Builder::new().prefix("axiomatic-nats-").tempdir();
            let mut server = Nats {
                executable: executable.clone(),
                directory: directory.expect("a directory"),
                port: free_port(),
                process: None,
            };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("no NATS of a test's own starts");
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// Its address behind something that forwards from this port.
    pub fn url_through(&self, port: u16) -> String {
        format!("nats://127.0.0.1:{port}")
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops it as an operator does, and waits until it has stopped.
    pub fn stop(&mut self) {
        self.end("-TERM");
    }

    /// Ends it as a crash of the process does: what it wrote is in the system's
    /// memory, so it is there afterwards.
    pub fn kill(&mut self) {
        self.end("-KILL");
    }

    /// Ends it as the loss of power does, with nothing on the disk yet.
    ///
    /// # Panics
    ///
    /// If it has stored nothing.
    pub fn lose_power(&mut self) {
        self.kill();
        let store = self.directory.path().join("jetstream");
        std::fs::remove_dir_all(store).expect("it had stored something");
    }

    fn end(&mut self, how: &str) {
        if let Some(mut process) = self.process.take() {
            signal(&process, how);
            process.wait().expect("it is a child of this process");
        }
    }

    /// Starts it where it was, with what is in its directory, and waits until it
    /// takes connections.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn run(&mut self) {
        assert!(self.answers(), "it does not start again");
    }

    /// Stops its process, so that it takes what is sent and answers nothing.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn pause(&self) {
        let process = self.process.as_ref().expect("it runs");
        signal(process, "-STOP");
        // The signal has been sent, which is not to say that it was heeded.
        while !is_stopped(process) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets its process go on.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn resume(&self) {
        signal(self.process.as_ref().expect("it runs"), "-CONT");
    }

    /// Starts it. Returns whether it takes connections.
    fn answers(&mut self) -> bool {
        let mut nats = Command::new(&self.executable);
        nats.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js"]);
        nats.arg("-sd").arg(self.directory.path());
        let log = self.directory.path().join("log");
        let log = File::options().append(true).create(true).open(log);
        let log = log.expect("it can be written");
        nats.stdout(log.try_clone().expect("a file")).stderr(log);
        let process = self.process.insert(nats.spawn().expect("it is there"));
        for _ in 0..6_000 {
            if process.try_wait().expect("it is ours").is_some() {
                self.process = None;
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

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
