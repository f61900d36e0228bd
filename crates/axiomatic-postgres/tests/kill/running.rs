//! Children.

use std::process::{Child, Command, Output, Stdio};

/// A child, which does not outlive its test.
pub(crate) struct Running(Option<Child>);

impl Running {
    /// This executable again, as the child that these variables say.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Running {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "kill::child::child", "--nocapture"]);
        child.envs(variables.iter().copied());
        child.stdout(Stdio::null()).stderr(Stdio::piped());
        Running(Some(child.spawn().unwrap()))
    }

    fn child(&self) -> &Child {
        self.0.as_ref().expect("nobody has waited")
    }

    pub(crate) fn signal(&self, signal: &str) {
        axiomatic_testbed::signal(self.child(), signal);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let id = self.child().id().to_string();
        let mut ps = Command::new("ps");
        let state = ps.args(["-o", "state=", "-p", &id]).output();
        state.unwrap().stdout.starts_with(b"T")
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Output {
        let child = self.0.take().expect("nobody has waited");
        child.wait_with_output().unwrap()
    }

    /// Waits until it has ended, as it should.
    pub(crate) fn succeed(self) {
        let ended = self.wait();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{}: {said}", ended.status);
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
