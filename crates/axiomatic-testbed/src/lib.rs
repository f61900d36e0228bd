//! For the project's own tests: servers of a test's own, which it may stop,
//! kill and start again, and what stands between them and their clients.
//!
//! | Module | |
//! |---|---|
//! | [`postgres`], [`nats`], [`rabbitmq`], [`redis`] | servers in directories and at ports of their own |
//! | [`proxy`] | what stands between them and their clients, and breaks connections; as a command too: `cargo run -p axiomatic-testbed --bin fault-proxy -- --help` |
//! | [`matrix`] | every fault, one after the other, against a client of ours |
//! | [`chance`] | chance that is the same in every run |
//!
//! Only processes that were started here are ended here, by their ids, and
//! everything listens on loopback only. Nothing of it is published.
//!
//! # A client against every fault
//!
//! A client's test says what it works on and what would be wrong, as a
//! [`Subject`](matrix::Subject); the faults, what is waited for, and the names
//! of the cells are the [`matrix`]'s.
//!
//! ```
//! use axiomatic_testbed::matrix::{Subject, cells, try_each};
//! use axiomatic_testbed::proxy::FaultProxy;
//!
//! /// Connections to a server that only listens.
//! struct Calls(u16);
//!
//! impl Subject for Calls {
//!     async fn work(&mut self) {
//!         use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!         let call = async {
//!             let mut call = tokio::net::TcpStream::connect(("127.0.0.1", self.0)).await?;
//!             call.write_all(b"hello").await?;
//!             call.read_u8().await
//!         };
//!         let within = std::time::Duration::from_millis(20);
//!         let _ = tokio::time::timeout(within, call).await;
//!     }
//!
//!     async fn is_done(&mut self) -> bool {
//!         true
//!     }
//!
//!     async fn wrong(&mut self) -> Vec<String> {
//!         Vec::new()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let proxy = FaultProxy::to(server.local_addr()?.port());
//! let refusal = cells(&[], &[]).split_off(12);
//! try_each(&proxy, &refusal, &mut Calls(proxy.port())).await;
//! assert!(proxy.counts().refused >= 3);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod chance;
pub mod matrix;
pub mod nats;
pub mod postgres;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};

/// A server is missing: a failure where there has to be one.
///
/// # Panics
///
/// In CI.
pub fn skip(what: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "{test} needs {what}");
    eprintln!("skipped: {test} needs {what}");
}

/// Sends a process that was started here a signal, such as `-STOP`.
///
/// # Panics
///
/// If that is impossible.
pub fn signal(process: &Child, signal: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, &process.id().to_string()]).status();
    assert!(sent.expect("there is a command for it").success());
}

/// Whether all threads of a process that was started here are stopped, as far
/// as the system tells.
pub fn is_stopped(process: &Child) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", process.id())) else {
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

/// A port that nobody listens at.
///
/// # Panics
///
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    listener.local_addr().expect("it is bound").port()
}

/// An executable in one of these directories, or in those of `PATH`.
pub fn executable(name: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path);
    let mut found = directories.iter().cloned().chain(path);
    found.find_map(|directory| {
        let file = directory.join(name);
        file.is_file().then_some(file)
    })
}
