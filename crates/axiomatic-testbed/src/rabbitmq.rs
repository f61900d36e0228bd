//! A RabbitMQ of a test's own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::{executable, free_port, signal, skip};

/// What a client says first, and every server answers.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A RabbitMQ with a node name, a directory, ports and an epmd of its own. It
/// and what it stored go when it is dropped.
///
/// Starting it takes some seconds of a processor: tests that do not break it
/// share one.
#[derive(Debug)]
pub struct RabbitMq {
    program: PathBuf,
    folder: TempDir,
    name: String,
    port: u16,
    dist_port: u16,
    epmd_port: u16,
    epmd: Child,
    node: Option<Child>,
}

impl RabbitMq {
    /// A server as it is when nothing is configured.
    ///
    /// None, and said so, if there is no RabbitMQ here.
    ///
    /// # Panics
    ///
    /// If it does not start, and where there has to be one.
    pub fn start() -> Option<Self> {
        Self::configured("")
    }

    /// A server with these lines in its `rabbitmq.conf`.
    ///
    /// None, and said so, if there is no RabbitMQ here.
    ///
    /// # Panics
    ///
    /// If it does not start, and where there has to be one.
    pub fn configured(lines: &str) -> Option<Self> {
        // What is in the path may be a wrapper that changes the user and the
        // directory, and forgets the environment.
        let here = [PathBuf::from("/usr/lib/rabbitmq/bin")];
        let program = executable("rabbitmq-server", &here);
        let (Some(program), Some(epmd)) = (program, executable("epmd", &[])) else {
            skip("RabbitMQ");
            return None;
        };
        // Between asking for a free port and its use another may take it.
        for _ in 0..5 {
            let mut server = Self::prepare(program.clone(), &epmd, lines);
            server.spawn();
            if server.answers() {
                return Some(server);
            }
        }
        panic!("no private RabbitMQ would start");
    }

    fn prepare(program: PathBuf, epmd: &Path, lines: &str) -> Self {
        let folder = TempDir::with_prefix("axiomatic-rabbitmq").expect("a folder");
        let (port, dist_port, epmd_port) = (free_port(), free_port(), free_port());
        let conf = format!("listeners.tcp.1 = 127.0.0.1:{port}\n{lines}\n");
        for (name, content) in [
            ("rabbitmq.conf", &*conf),
            ("plugins", "[]."),
            ("environment", ""),
        ] {
            std::fs::write(folder.path().join(name), content).expect("it is writable");
        }
        // A node would start one that outlives it, and of which nobody knows
        // the id.
        let mut command = Command::new(epmd);
        command.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        let epmd = quiet(&mut command).spawn().expect("it is there");
        Self {
            program,
            name: format!("axiomatic-{}-{port}@localhost", std::process::id()),
            folder,
            port,
            dist_port,
            epmd_port,
            epmd,
            node: None,
        }
    }

    /// Where it listens, as a URI with its user.
    pub fn address(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// The port at which it listens, which remains the same.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs `rabbitmqctl` against it, and returns what that prints.
    ///
    /// # Panics
    ///
    /// With what it says, if it fails.
    pub fn ctl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let program = self.program.with_file_name("rabbitmqctl");
        let mut command = self.command(&program);
        let done = command.args(["-q", "-n", &self.name]).args(arguments);
        let done = done.stdin(Stdio::null()).output().expect("it is there");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "rabbitmqctl: {said}{error}");
        said
    }

    /// Ends it as a crash of the process does: what it wrote is in the system's
    /// memory, so it is there afterwards.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn kill(&mut self) {
        self.end("-KILL");
    }

    /// Ends it as an operator does.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn stop(&mut self) {
        self.end("-TERM");
    }

    /// Starts it again at the same address, with what is in its directory.
    ///
    /// # Panics
    ///
    /// If it runs, or does not start.
    pub fn run(&mut self) {
        assert!(self.node.is_none(), "it runs");
        self.spawn();
        assert!(self.answers(), "it did not start again: {}", self.errors());
    }

    /// Stops its process, so that it takes what is sent and answers nothing.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn pause(&self) {
        signal(self.node(), "-STOP");
    }

    /// Lets its process go on.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn resume(&self) {
        signal(self.node(), "-CONT");
    }

    fn node(&self) -> &Child {
        self.node.as_ref().expect("it runs")
    }

    fn end(&mut self, signal: &str) {
        let mut node = self.node.take().expect("it runs");
        // The group, should the script have stayed before the node.
        let group = format!("-{}", node.id());
        let mut kill = Command::new("kill");
        let sent = quiet(kill.args([signal, "--", &group])).status();
        assert!(sent.expect("there is a command for it").success());
        node.wait().expect("it ended");
    }

    fn spawn(&mut self) {
        let errors = File::create(self.folder.path().join("errors")).expect("it is writable");
        let program = self.program.clone();
        let mut command = self.command(&program);
        let node = quiet(&mut command).stderr(errors).process_group(0).spawn();
        self.node = Some(node.expect("it is there"));
    }

    /// Waits until it answers a client, or ends.
    fn answers(&mut self) -> bool {
        for _ in 0..6_000 {
            let node = self.node.as_mut().expect("it was started");
            if node.try_wait().expect("ours").is_some() {
                self.node = None;
                return false;
            }
            if says_hello(self.port) {
                return true;
            }
            // A server tells nobody that it listens: it is asked again.
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default()
    }

    /// A program that knows of this server and of no other.
    fn command(&self, program: &Path) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(program);
        let paths = [
            ("HOME", ""),
            ("RABBITMQ_CONF_ENV_FILE", "environment"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
            ("RABBITMQ_MNESIA_BASE", "data"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_PLUGINS_EXPAND_DIR", "expanded"),
            ("RABBITMQ_PID_FILE", "pid"),
        ];
        command.envs(paths.map(|(name, file)| (name, folder.join(file))));
        command
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env(
                "ERL_FLAGS",
                "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
            )
            // As many at a time as tests may run.
            .env("RABBITMQ_CTL_DIST_PORT_MIN", "35672")
            .env("RABBITMQ_CTL_DIST_PORT_MAX", "35999")
            // Then the script becomes the node, whose id is that of the child.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env_remove("NOTIFY_SOCKET")
            .current_dir(folder);
        command
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        if self.node.is_some() {
            self.end("-KILL");
        }
        let _ = self.epmd.kill();
        let _ = self.epmd.wait();
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// Whether a server at this port answers a client: it listens before it does.
fn says_hello(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut first = [0];
    let limit = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let sent = limit.and_then(|()| stream.write_all(HELLO));
    let read = sent.and_then(|()| stream.read_exact(&mut first));
    // A method: it wants to start a connection.
    read.is_ok() && first == [1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_killed_stopped_and_started_again_with_what_it_had() {
        let Some(mut server) = RabbitMq::start() else {
            return;
        };
        server.ctl(["add_vhost", "kept"]);
        server.kill();
        assert!(!says_hello(server.port()));
        server.run();
        assert!(server.ctl(["list_vhosts"]).contains("kept"));
        server.stop();
        assert!(!says_hello(server.port()));
        server.run();
        assert!(server.ctl(["list_vhosts"]).contains("kept"));
        let processes = [server.node().id(), server.epmd.id()];
        drop(server);
        for process in processes {
            let process = PathBuf::from(format!("/proc/{process}"));
            assert!(!process.exists(), "{process:?} still runs");
        }
    }
}
