//! Children.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where a child finds its files.
pub(crate) const PLACE: &str = "AXIOMATIC_KILL_PLACE";

/// What a child does.
pub(crate) const ROLE: &str = "AXIOMATIC_KILL_ROLE";

/// A child, which does not outlive its test.
pub(crate) struct Running(Option<Child>);

impl Running {
    /// Starts one with these variables.
    pub(crate) fn start<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Running {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "saga_kill::child::child", "--nocapture"]);
        child.envs(variables);
        child.stdout(Stdio::null()).stderr(Stdio::piped());
        Running(Some(child.spawn().unwrap()))
    }

    /// Lets it work until it is done; or until it ends at a boundary, which is
    /// returned.
    pub(crate) fn ended_at(self) -> Option<String> {
        let ended = self.wait();
        let said = String::from_utf8_lossy(&ended.stderr);
        if ended.status.success() {
            return None;
        }
        let at = said.lines().find_map(|line| {
            let at = line.strip_prefix("the process ends at ")?;
            Some(at.to_owned())
        });
        let is_abort = at.is_some() && ended.status.signal() == Some(6);
        assert!(is_abort, "{}: {said}", ended.status);
        at
    }

    pub(crate) fn wait(mut self) -> Output {
        let child = self.0.take().expect("nobody has waited");
        child.wait_with_output().unwrap()
    }

    /// Kills it after a while, unless it is done by then. Returns whether it
    /// was killed.
    pub(crate) fn kill_after(mut self, pause: Duration) -> bool {
        let mut child = self.0.take().expect("nobody has waited");
        let began = Instant::now();
        while began.elapsed() < pause {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        let ended = child.wait_with_output().unwrap();
        let was_killed = ended.status.signal() == Some(9);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(was_killed || ended.status.success(), "{said}");
        was_killed
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let mut ps = Command::new("ps");
        let state = ps.args(["-o", "state=", "-p", &self.id()]).output();
        state.unwrap().stdout.starts_with(b"T")
    }

    pub(crate) fn go_on(&self) {
        let mut kill = Command::new("kill");
        let sent = kill.args(["-CONT", &self.id()]).status();
        assert!(sent.unwrap().success());
    }

    fn id(&self) -> String {
        self.0.as_ref().expect("nobody has waited").id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
