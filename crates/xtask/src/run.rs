use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running child is looked at. It delays the end of a run by
/// half of this on average, which is nothing beside what is run here.
const GLANCE: Duration = Duration::from_millis(20);

/// A command about to be run, its output kept.
pub(crate) struct Run<'a> {
    command: &'a mut Command,
    limit: Option<Duration>,
    shown: bool,
    stop_at: Option<&'static str>,
}

/// What became of a run.
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) output: String,
    pub(crate) took: Duration,
}

pub(crate) enum End {
    Exited(ExitStatus),
    /// It was killed at its time limit.
    TimedOut,
    /// It was killed because it printed what the caller waited for.
    Stopped,
    NotStarted,
}

impl Finished {
    pub(crate) fn success(&self) -> bool {
        matches!(&self.end, End::Exited(status) if status.success())
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(command: &'a mut Command) -> Self {
        Run {
            command,
            limit: None,
            shown: true,
            stop_at: None,
        }
    }

    /// Kills the process after `limit`. Its own children are not found, so
    /// this is for binaries, not for cargo.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Keeps the output and does not show it.
    pub(crate) fn quiet(mut self) -> Self {
        self.shown = false;
        self
    }

    /// Kills the process once its output contains `text`.
    pub(crate) fn stop_at(mut self, text: &'static str) -> Self {
        self.stop_at = Some(text);
        self
    }

    pub(crate) fn go(self) -> Finished {
        let start = Instant::now();
        let output = Arc::new(Mutex::new(Vec::new()));
        let end = self.follow(start, &output);
        let output = output.lock().unwrap_or_else(PoisonError::into_inner);
        Finished {
            end,
            output: String::from_utf8_lossy(&output).into_owned(),
            took: start.elapsed(),
        }
    }

    fn follow(self, start: Instant, output: &Arc<Mutex<Vec<u8>>>) -> End {
        let spawned = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let text = format!("{:?}: {error}\n", self.command.get_program());
                eprint!("{text}");
                lock(output).extend_from_slice(text.as_bytes());
                return End::NotStarted;
            }
        };
        let readers = [
            child
                .stdout
                .take()
                .map(|pipe| copy(pipe, self.shown.then(std::io::stdout), Arc::clone(output))),
            child
                .stderr
                .take()
                .map(|pipe| copy(pipe, self.shown.then(std::io::stderr), Arc::clone(output))),
        ];
        let end = loop {
            match child.try_wait() {
                Ok(Some(status)) => break End::Exited(status),
                Ok(None) => {}
                Err(_) => break End::NotStarted,
            }
            let stop = self.stop_at.is_some_and(|text| {
                lock(output)
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
            });
            let late = self.limit.is_some_and(|limit| start.elapsed() > limit);
            if stop || late {
                // It may have ended by itself just now: then nothing is lost.
                let _ = child.kill();
                let _ = child.wait();
                break if stop { End::Stopped } else { End::TimedOut };
            }
            thread::sleep(GLANCE);
        };
        for reader in readers.into_iter().flatten() {
            let _ = reader.join();
        }
        end
    }
}

fn copy(
    mut pipe: impl Read + Send + 'static,
    shown: Option<impl Write + Send + 'static>,
    kept: Arc<Mutex<Vec<u8>>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut shown = shown;
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            lock(&kept).extend_from_slice(&buffer[..read]);
            if let Some(out) = &mut shown {
                // A reader that went away (`| head`) does not fail a lane.
                let _ = out.write_all(&buffer[..read]).and_then(|()| out.flush());
            }
        }
    })
}

fn lock(output: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `cargo` with these arguments, in `root`.
pub(crate) fn cargo<'a>(root: &Path, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(args);
    if std::io::stderr().is_terminal() {
        // Its output goes through our pipe, which it cannot see through.
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Whether `cargo NAME` is there.
pub(crate) fn has_cargo(root: &Path, name: &str) -> bool {
    Run::new(&mut cargo(root, [name, "--version"]))
        .quiet()
        .go()
        .success()
}

#[cfg(test)]
mod tests {
    use super::{End, Run};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn output_of_both_streams_is_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2"]);
        let finished = Run::new(&mut command).quiet().go();
        assert!(finished.success());
        assert!(finished.output.contains("out\n") && finished.output.contains("err\n"));
    }

    #[test]
    fn a_process_that_outlives_its_limit_is_killed() {
        let finished = Run::new(Command::new("sleep").arg("60"))
            .quiet()
            .limit(Duration::from_millis(50))
            .go();
        assert!(matches!(finished.end, End::TimedOut));
        assert!(finished.took < Duration::from_secs(30));
    }

    #[test]
    fn a_process_stops_at_what_we_waited_for() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test a ... FAILED'; exec sleep 60"]);
        let finished = Run::new(&mut command).quiet().stop_at("... FAILED").go();
        assert!(matches!(finished.end, End::Stopped));
    }

    #[test]
    fn a_command_that_does_not_exist_is_a_failure() {
        let finished = Run::new(&mut Command::new("no-such-command-here"))
            .quiet()
            .go();
        assert!(matches!(finished.end, End::NotStarted));
        assert!(!finished.success());
    }
}
