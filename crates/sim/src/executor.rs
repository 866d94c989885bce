//! One thread on which all simulated processes take turns, and the time that passes when none can go on.
//!
//! Which of several tasks goes on is the seed's choice. It never looks at the machine's clock.

use alluvium_flow::Timer;
use alluvium_model::{Clock, Entropy, SeededEntropy};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// What is begun by a task.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What all tasks share: time, choice, and the record of what happened.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    choice: SeededEntropy,
    woken: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Default)]
struct State {
    /// Since the start, in microseconds. It never goes back.
    now: i64,
    /// What the clock on the wall shows beside that.
    offset: i64,
    serial: u64,
    timers: BTreeMap<(i64, u64), Waker>,
    fresh: Vec<(u64, Task)>,
    trace: Vec<String>,
}

/// Where the clock stands at the start.
pub(crate) const START: i64 = 1_700_000_000_000_000;

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let (state, woken) = Default::default();
        Self(Arc::new(Shared { state, choice: SeededEntropy::new(seed), woken }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder of this lock panics")
    }

    /// Microseconds since the start.
    pub(crate) fn elapsed(&self) -> i64 {
        self.state().now
    }

    pub(crate) fn jump(&self, micros: i64) {
        self.state().offset += micros;
    }

    /// A number from 0 up to `end`, which is not among them.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.0.choice.next_u64() % end.max(1)
    }

    /// Once in so many times.
    pub(crate) fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn note(&self, what: impl std::fmt::Display) {
        let mut state = self.state();
        let line = format!("{:>12.6} {what}", state.now as f64 / 1e6);
        state.trace.push(line);
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// Goes on by itself, whatever becomes of who began it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.serial();
        self.state().fresh.push((id, Box::pin(task)));
    }

    fn serial(&self) -> u64 {
        let mut state = self.state();
        state.serial += 1;
        state.serial
    }

    pub(crate) fn sleep(&self, micros: i64) -> Sleep {
        let mut state = self.state();
        state.serial += 1;
        Sleep { sim: self.clone(), key: (state.now + micros.max(0), state.serial) }
    }
}

impl Clock for Sim {
    fn now(&self) -> Timestamp {
        let state = self.state();
        Timestamp::from_microsecond(START + state.now + state.offset).expect("within the calendar")
    }
}

impl Entropy for Sim {
    fn next_u64(&self) -> u64 {
        self.0.choice.next_u64()
    }
}

#[async_trait]
impl Timer for Sim {
    async fn wait(&self, time: Duration) {
        self.sleep(i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4)).await;
    }
}

pub(crate) struct Sleep {
    sim: Sim,
    key: (i64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.sim.state();
        if state.now >= self.key.0 {
            state.timers.remove(&self.key);
            return Poll::Ready(());
        }
        state.timers.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.sim.state().timers.remove(&self.key);
    }
}

struct Woken {
    id: u64,
    all: Arc<Mutex<BTreeSet<u64>>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.all.lock().expect("no holder of this lock panics").insert(self.id);
    }
}

pub(crate) struct Executor {
    sim: Sim,
    tasks: BTreeMap<u64, Pin<Box<dyn Future<Output = ()>>>>,
    ready: BTreeSet<u64>,
}

impl Executor {
    pub(crate) fn new(sim: Sim) -> Self {
        Self { sim, tasks: BTreeMap::new(), ready: BTreeSet::new() }
    }

    pub(crate) fn begin(&mut self, task: impl Future<Output = ()> + 'static) -> u64 {
        let id = self.sim.serial();
        self.tasks.insert(id, Box::pin(task));
        self.ready.insert(id);
        id
    }

    /// The task ends where it stands, as a process that is killed.
    pub(crate) fn kill(&mut self, id: u64) {
        self.tasks.remove(&id);
        self.ready.remove(&id);
    }

    /// Until that time, or until the task ended. `false`: it has not ended by then.
    pub(crate) fn run(&mut self, until: i64, ended: Option<u64>) -> bool {
        loop {
            let fresh = std::mem::take(&mut self.sim.state().fresh);
            for (id, task) in fresh {
                self.tasks.insert(id, task);
                self.ready.insert(id);
            }
            if ended.is_some_and(|id| !self.tasks.contains_key(&id)) {
                return true;
            }
            let woken = std::mem::take(&mut *self.sim.0.woken.lock().expect("no holder of this lock panics"));
            self.ready.extend(woken.into_iter().filter(|id| self.tasks.contains_key(id)));
            if self.ready.is_empty() {
                if !self.pass(until) {
                    return false;
                }
                continue;
            }
            let nth = self.sim.below(self.ready.len() as u64) as usize;
            let id = *self.ready.iter().nth(nth).expect("it is below the length");
            self.ready.remove(&id);
            let waker = Waker::from(Arc::new(Woken { id, all: self.sim.0.woken.clone() }));
            let task = self.tasks.get_mut(&id).expect("only tasks are ready");
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.tasks.remove(&id);
            }
        }
    }

    /// To the next timer. `false`: there is none before the end, and the end is now.
    fn pass(&self, until: i64) -> bool {
        let mut state = self.sim.state();
        match state.timers.first_key_value() {
            Some(((time, _), _)) if *time <= until => {
                let ((time, _), waker) = state.timers.pop_first().expect("it is there");
                state.now = state.now.max(time);
                drop(state);
                waker.wake();
                true
            }
            _ => {
                state.now = state.now.max(until);
                false
            }
        }
    }
}
