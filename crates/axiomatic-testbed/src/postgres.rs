//! A PostgreSQL of a test's own.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::{executable, free_port, signal, skip};

/// How drivers ask for a commit: in a simple query.
pub const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended, and their transactions rolled back.
    Fast,
    /// As if the machine had lost its power, but for what the operating system
    /// has still to write.
    Immediate,
}

/// A server in a directory of its own, at a port of its own, with `fsync` on.
/// Gone when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    directory: TempDir,
    port: u16,
    user: Option<(u32, u32)>,
    process: Option<Child>,
}

impl Postgres {
    /// A new server that runs, if PostgreSQL is installed. With a template of
    /// a cluster this would be faster, but its initialisation takes a second.
    ///
    /// # Panics
    ///
    /// If it does not start, or in CI if there is none.
    pub async fn start() -> Option<Postgres> {
        let mut installed: Vec<_> = fs::read_dir("/usr/lib/postgresql")
            .map(|versions| versions.flatten().map(|v| v.path().join("bin")).collect())
            .unwrap_or_default();
        installed.sort();
        let Some(initdb) = executable("initdb", &installed) else {
            skip("PostgreSQL's executables");
            return None;
        };
        let directory = tempfile::Builder::new()
            .prefix("axiomatic-postgres-")
            .tempdir();
        let directory = directory.expect("a directory");
        let user = unprivileged();
        if let Some((user, group)) = user {
            chown(directory.path(), Some(user), Some(group)).expect("root may");
        }
        let mut server = Postgres {
            bin: initdb.parent().expect("it is in a directory").to_owned(),
            directory,
            port: free_port(),
            user,
            process: None,
        };
        let mut initdb = server.command("initdb");
        initdb.args(["--auth=trust", "--username=root", "--no-sync"]);
        initdb.args(["--encoding=UTF8", "--locale=C"]);
        let made = initdb.stdout(Stdio::null()).status();
        assert!(made.expect("it is there").success());
        server.run().await;
        Some(server)
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// Its address behind something that forwards from this port.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://root@127.0.0.1:{port}/postgres")
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub async fn client(&self) -> Client {
        self.connect().await.expect("it runs")
    }

    /// Stops it, and waits until it has stopped.
    ///
    /// # Panics
    ///
    /// If that is impossible.
    pub fn stop(&mut self, how: Stop) {
        if let Some(mut process) = self.process.take() {
            match how {
                Stop::Fast => signal(&process, "-INT"),
                Stop::Immediate => signal(&process, "-QUIT"),
            }
            process.wait().expect("it is a child of this process");
        }
    }

    /// Starts it where it was, in the same directory at the same port, and
    /// waits until it takes connections.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn run(&mut self) {
        let mut postgres = self.command("postgres");
        postgres.args(["-p", &self.port.to_string()]);
        postgres.arg("-k").arg(self.directory.path());
        let settings = [
            "listen_addresses=127.0.0.1",
            "fsync=on",
            "max_connections=60",
            "shared_buffers=64MB",
        ];
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        let log = self.directory.path().join("log");
        let log = File::options().append(true).create(true).open(log);
        let log = log.expect("it can be written");
        postgres
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
        self.process = Some(postgres.spawn().expect("it is there"));
        let began = Instant::now();
        while self.connect().await.is_err() {
            let waited = began.elapsed() > Duration::from_secs(60);
            assert!(!waited, "it does not start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What it has said.
    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.arg("-D").arg(self.directory.path().join("data"));
        command.current_dir(self.directory.path());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nobody wants its files.
        self.stop(Stop::Immediate);
    }
}

/// PostgreSQL refuses to run as root: the user and the group that it runs as
/// then.
fn unprivileged() -> Option<(u32, u32)> {
    let me = fs::metadata("/proc/self").expect("this is Linux").uid();
    if me != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("it can be read");
    let postgres = users.lines().find_map(|user| {
        let mut fields = user.strip_prefix("postgres:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Some(postgres.expect("its package makes the user `postgres`"))
}
