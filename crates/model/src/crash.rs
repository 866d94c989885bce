//! Every place where a process may die between two effects outside itself.
//!
//! A test kills the process at each point in [`CRASH_POINTS`], runs again and compares all tables with an
//! uninterrupted run's. A new effect gets a new point here.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Name of one crash point; `ALLUVIUM_CRASH_AT=name` or `name:n` (the n-th time it is reached) kills the process there,
/// `ALLUVIUM_STOP_AT` stops it there until it is told to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint(pub &'static str);

pub const CRASH_POINTS: &[CrashPoint] = &[
    CrashPoint("events.before_record"),
    CrashPoint("events.after_record"),
    CrashPoint("plan.before_record"),
    CrashPoint("plan.after_record"),
    CrashPoint("step.after_claim"),
    CrashPoint("stage.after_file"),
    CrashPoint("stage.after_vectors"),
    CrashPoint("gate.after_pass"),
    CrashPoint("hold.before_note"),
    CrashPoint("hold.after_note"),
    CrashPoint("hold.before_verdict"),
    CrashPoint("hold.after_verdict"),
    CrashPoint("remote.after_file"),
    CrashPoint("remote.after_upload"),
    CrashPoint("payload.after_keep"),
    CrashPoint("commit.before_create"),
    CrashPoint("commit.after_create"),
    CrashPoint("commit.before_main"),
    CrashPoint("commit.after_main"),
    CrashPoint("commit.before_follow"),
    CrashPoint("commit.after_follow"),
    CrashPoint("fence.before_commit"),
    CrashPoint("fence.after_commit"),
    CrashPoint("step.before_done"),
    CrashPoint("step.after_done"),
    CrashPoint("step.before_fail"),
    CrashPoint("step.after_fail"),
    CrashPoint("replay.before_record"),
    CrashPoint("replay.after_record"),
    CrashPoint("replay.before_revive"),
    CrashPoint("replay.after_revive"),
    CrashPoint("discard.before_record"),
    CrashPoint("discard.after_record"),
    CrashPoint("backfill.before_record"),
    CrashPoint("backfill.after_record"),
    CrashPoint("backfill.before_removal"),
    CrashPoint("backfill.after_removal"),
    CrashPoint("publish.before_delivery"),
    CrashPoint("publish.after_delivery"),
    CrashPoint("maintain.before_commit"),
    CrashPoint("maintain.after_commit"),
    CrashPoint("maintain.after_removal"),
    CrashPoint("run.before_finish"),
    CrashPoint("run.after_finish"),
    CrashPoint("alert.before_told"),
    CrashPoint("alert.after_told"),
    CrashPoint("run.before_told"),
    CrashPoint("run.after_told"),
];

/// A point that the environment names, and how often it was reached.
struct Wanted {
    variable: &'static str,
    point: OnceLock<Option<(String, u64)>>,
    seen: AtomicU64,
}

static KILL: Wanted = Wanted::by("ALLUVIUM_CRASH_AT");
static STOP: Wanted = Wanted::by("ALLUVIUM_STOP_AT");

impl Wanted {
    const fn by(variable: &'static str) -> Self {
        Self { variable, point: OnceLock::new(), seen: AtomicU64::new(0) }
    }

    fn is_here(&self, name: &str) -> bool {
        let point = self.point.get_or_init(|| {
            let text = std::env::var(self.variable).ok()?;
            match text.rsplit_once(':') {
                Some((name, n)) => Some((name.to_owned(), n.parse().ok()?)),
                None => Some((text, 1)),
            }
        });
        point.as_ref().is_some_and(|(at, nth)| at == name && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == *nth)
    }
}

/// Kills the process with SIGKILL, or stops it with SIGSTOP, when the environment asks for this point; otherwise costs two lookups.
pub fn crash_point(name: &'static str) {
    debug_assert!(CRASH_POINTS.iter().any(|p| p.0 == name), "crash point {name} is not in the list");
    let signal = |signal: &str| {
        let _ = std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status();
    };
    if KILL.is_here(name) {
        // SIGKILL, not abort: no handler, no flush and no destructor may run.
        signal("-9");
        loop {
            std::thread::park();
        }
    }
    if STOP.is_here(name) {
        signal("-STOP");
        // All threads stop, but maybe not this one first, and on a busy machine much later than another.
        std::thread::park_timeout(Duration::from_secs(2));
    }
}
