//! Every place where a process may die between two effects outside itself.
//!
//! A test kills the process at each point in [`CRASH_POINTS`], runs again and compares all tables with an
//! uninterrupted run's. A new effect gets a new point here.

use std::sync::atomic::{AtomicU64, Ordering};

/// Name of one crash point; `ALLUVIUM_CRASH_AT=name` or `name:n` (the n-th time it is reached) kills the process there.
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
    CrashPoint("commit.before_create"),
    CrashPoint("commit.after_create"),
    CrashPoint("commit.before_main"),
    CrashPoint("commit.after_main"),
    CrashPoint("commit.before_follow"),
    CrashPoint("commit.after_follow"),
    CrashPoint("step.before_done"),
    CrashPoint("step.after_done"),
    CrashPoint("step.before_fail"),
    CrashPoint("step.after_fail"),
    CrashPoint("replay.before_revive"),
    CrashPoint("replay.after_revive"),
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
];

static SEEN: AtomicU64 = AtomicU64::new(0);

/// Kills the process with SIGKILL when the environment asks for this point; otherwise costs one lookup.
pub fn crash_point(name: &'static str) {
    debug_assert!(CRASH_POINTS.iter().any(|p| p.0 == name), "crash point {name} is not in the list");
    static WANTED: std::sync::OnceLock<Option<(String, u64)>> = std::sync::OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("ALLUVIUM_CRASH_AT").ok()?;
        match text.rsplit_once(':') {
            Some((name, n)) => Some((name.to_owned(), n.parse().ok()?)),
            None => Some((text, 1)),
        }
    });
    if let Some((at, nth)) = wanted
        && at == name
        && SEEN.fetch_add(1, Ordering::SeqCst) + 1 == *nth
    {
        // SIGKILL, not abort: no handler, no flush and no destructor may run.
        let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        loop {
            std::thread::park();
        }
    }
}
