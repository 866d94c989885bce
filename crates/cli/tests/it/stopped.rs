//! A command that is stopped at a crash point, neither alive nor dead, until it goes on or is killed.

use crate::harness::{Project, Ran};
use std::{
    fs,
    process::{Child, Command, Stdio},
};

pub fn signalled(process: u32, signal: &str) {
    let told = Command::new("kill").args([signal, &process.to_string()]).status().expect("kill runs");
    assert!(told.success(), "process {process} is there");
}

/// Whether the process is stopped, neither alive nor dead.
pub fn is_stopped(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|s| s.rsplit(") ").next().is_some_and(|s| s.starts_with('T')))
}

pub struct Stopped(Option<Child>);

impl Stopped {
    #[track_caller]
    pub fn at(p: &Project, args: &[&str], point: &str) -> Self {
        let mut command = p.command(args);
        command.env("ALLUVIUM_STOP_AT", point).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        while !is_stopped(child.id()) {
            assert!(child.try_wait().expect("a child").is_none(), "{point} is never reached");
            std::thread::yield_now();
        }
        Self(Some(child))
    }

    pub fn go_on(mut self) -> Ran {
        let child = self.0.take().expect("it is there until it goes on");
        signalled(child.id(), "-CONT");
        child.wait_with_output().expect("it ends").into()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
