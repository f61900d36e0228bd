//! A Redis of a test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{executable, free_port, is_stopped, signal, skip};

/// A server that keeps nothing, in a directory of its own, at a port of its own.
/// Gone when it is dropped.
#[derive(Debug)]
pub struct Redis {
    executable: PathBuf,
    arguments: &'static [&'static str],
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    /// A new server that runs, if one is installed.
    ///
    /// # Panics
    ///
    /// If it does not start, or in CI if there is none.
    pub fn start() -> Option<Redis> {
        Self::start_with(&[])
    }

    /// The same, with arguments more.
    ///
    /// # Panics
    ///
    /// If it does not start, or in CI if there is none.
    pub fn start_with(arguments: &'static [&'static str]) -> Option<Redis> {
        let Some(executable) = executable("redis-server", &[]) else {
            skip("the executable of Redis");
            return None;
        };
        // Between asking for a free port and its use another may take it.
        for _ in 0..20 {
            let directory = tempfile::Builder::new()
                .prefix("axiomatic-redis-")
                .tempdir();
            let mut server = Redis {
                executable: executable.clone(),
                arguments,
                directory: directory.expect("a directory"),
                port: free_port(),
                process: None,
            };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("no Redis of a test's own starts");
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// Its address behind something that forwards from this port.
    pub fn url_through(&self, port: u16) -> String {
        format!("redis://127.0.0.1:{port}/")
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, with all it knows.
    ///
    /// # Panics
    ///
    /// If that is impossible.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(&process, "-KILL");
            process.wait().expect("it is a child of this process");
        }
    }

    /// Starts it again at the same address, knowing nothing.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn run(&mut self) {
        assert!(self.answers(), "it does not start again");
    }

    /// Stops its process, so that it accepts connections and answers nothing.
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

    /// Starts it. Returns whether it answers.
    fn answers(&mut self) -> bool {
        let mut redis = Command::new(&self.executable);
        redis.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        redis.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        redis.arg("--dir").arg(self.directory.path());
        redis.args(self.arguments).stdin(Stdio::null());
        redis.stdout(Stdio::null()).stderr(Stdio::null());
        let process = self.process.insert(redis.spawn().expect("it is there"));
        for _ in 0..2_000 {
            if process.try_wait().expect("it is ours").is_some() {
                self.process = None;
                return false;
            }
            if greets(self.port).is_ok_and(|greets| greets) {
                return true;
            }
            // A server tells nobody that it listens: it is asked again.
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

/// Whether what is at this port is there, and answers.
fn greets(port: u16) -> std::io::Result<bool> {
    let mut redis = TcpStream::connect(("127.0.0.1", port))?;
    redis.set_read_timeout(Some(Duration::from_secs(1)))?;
    redis.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    redis.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG")
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
