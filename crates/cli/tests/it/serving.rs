//! A service as a child process: what it says, and how it is ended.

use crate::harness::{Project, Ran};
use std::{
    cell::RefCell,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Far beyond what anything here takes, on a machine that is busy with much else.
pub const LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at what a service does not say.
const LOOK: Duration = Duration::from_millis(100);
const MOST_LOOKS: usize = 2_000;

pub struct Serving {
    child: RefCell<Child>,
    lines: Receiver<String>,
    said: RefCell<Vec<String>>,
}

impl Serving {
    pub fn start(p: &Project, args: &[&str]) -> Self {
        // The port is the system's choice.
        Self::spawn(p.command(&[&["serve", "--listen", "127.0.0.1:0"], args].concat()))
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let (says, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| says.send(line)));
        Self { child: RefCell::new(child), lines, said: RefCell::default() }
    }

    /// Its address, from its first line.
    #[track_caller]
    pub fn address(&self) -> String {
        let line = self.wait_for(" on http://");
        line.rsplit_once("http://").expect("an address").1.to_owned()
    }

    /// The next line that holds the text, in the order in which lines come.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LIMIT);
            let line = line.unwrap_or_else(|e| panic!("`{text}` was not said: {e}\n{}", self.said()));
            self.said.borrow_mut().push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Whether a line with the text comes before it has said nothing for so long.
    pub fn says_within(&self, time: Duration, text: &str) -> bool {
        while let Ok(line) = self.lines.recv_timeout(time) {
            let is_it = line.contains(text);
            self.said.borrow_mut().push(line);
            if is_it {
                return true;
            }
        }
        false
    }

    /// Until each of them was said, in whichever order.
    #[track_caller]
    pub fn wait_for_all(&self, texts: &[&str]) {
        let mut open = texts.to_vec();
        while !open.is_empty() {
            let line = self.lines.recv_timeout(LIMIT);
            let line = line.unwrap_or_else(|e| panic!("{open:?} was not said: {e}\n{}", self.said()));
            open.retain(|text| !line.contains(text));
            self.said.borrow_mut().push(line);
        }
    }

    /// Until it is so: for what no line tells, or one of several processes may have done.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..MOST_LOOKS {
            let lives = self.lives();
            if is_so() {
                return;
            }
            assert!(lives, "it ended, and {what} did not come\n{}", self.said());
            self.for_a_while(LOOK);
        }
        panic!("{what} does not come\n{}", self.said());
    }

    pub fn process(&self) -> u32 {
        self.child.borrow().id()
    }

    pub fn lives(&self) -> bool {
        self.child.borrow_mut().try_wait().expect("it can be asked").is_none()
    }

    /// Until it says its next line, or for that time.
    pub fn for_a_while(&self, time: Duration) {
        if let Ok(line) = self.lines.recv_timeout(time) {
            self.said.borrow_mut().push(line);
        }
    }

    /// Whether it comes to rest: nothing wakes the thread of its loop. A look a second would wake it eight times.
    pub fn comes_to_rest(&self) -> bool {
        const A_WHILE: Duration = Duration::from_secs(8);
        let woke = || {
            let status = fs::read_to_string(format!("/proc/{}/status", self.process())).expect("Linux tells it");
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")).expect("a line");
            line.trim().parse::<u64>().expect("a number")
        };
        (0..8).any(|_| {
            let before = woke();
            let said = self.lines.recv_timeout(A_WHILE).ok();
            let rests = said.is_none() && woke() - before < 4;
            self.said.borrow_mut().extend(said);
            rests
        })
    }

    /// Asks it to stop and waits until it did.
    #[track_caller]
    pub fn stop(self) -> Ran {
        let told = Command::new("kill").arg(self.child.borrow().id().to_string()).status().expect("kill runs");
        assert!(told.success(), "it was running\n{}", self.said());
        self.end()
    }

    /// As a power failure.
    pub fn kill(self) {
        self.child.borrow_mut().kill().expect("killed");
        self.end();
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn end(self) -> Ran {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => self.said.borrow_mut().push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end\n{}", self.said()),
            }
        }
        let code = self.child.borrow_mut().wait().expect("it ends").code();
        Ran { code, stdout: String::new(), stderr: self.said() }
    }

    fn said(&self) -> String {
        self.said.borrow().join("\n")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.borrow_mut().kill();
        let _ = self.child.borrow_mut().wait();
    }
}
