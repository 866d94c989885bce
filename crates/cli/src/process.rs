//! What the operating system knows of processes: who we are, who still lives, how much memory and time was used.

use alluvium_store::Owner;
use std::{fs, time::Duration};

/// What Linux counts the time of processes in, on every machine that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// This process, as a holder of leases.
pub fn owner() -> Owner {
    let process = std::process::id();
    let started_ticks = stat(process).map_or(0, |s| s.started_ticks);
    Owner { host: host(), process, started_ticks }
}

/// `false` only when it is sure that the holder is gone; a holder elsewhere keeps its lease until the lease ends.
pub fn is_alive(owner: &Owner) -> bool {
    if owner.host != host() || stat(std::process::id()).is_none() {
        return true;
    }
    stat(owner.process).is_some_and(|s| !s.ended && s.started_ticks == owner.started_ticks)
}

/// Peak resident memory of this process so far; `None` where the system does not tell.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// CPU time of all threads of this process so far; `None` where the system does not tell.
pub fn cpu_time() -> Option<Duration> {
    let ticks = stat(std::process::id())?.used_ticks;
    Some(TICK * u32::try_from(ticks).unwrap_or(u32::MAX))
}

/// Containers may share a host's name, but not the space in which a process id means something.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", name.trim(), space.display())
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// It ended, and only its parent's notice is outstanding.
    ended: bool,
    used_ticks: u64,
    started_ticks: u64,
}

fn stat(process: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The program's name stands in parentheses and may itself hold some, so that fields are counted behind the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    let (user, system): (u64, u64) = (fields.nth(10)?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Stat { ended, used_ticks: user + system, started_ticks: fields.nth(6)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_may_hold_anything() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        let expected = |ended| Some(Stat { ended, used_ticks: 11 + 12, started_ticks: 777 });
        assert_eq!(parse_stat(&format!("12 (a) b (c) S {rest}")), expected(false));
        assert_eq!(parse_stat(&format!("12 (x) Z {rest}")), expected(true));
        assert_eq!(parse_stat("12 (x"), None);
    }

    #[test]
    fn a_reused_process_id_is_another_process() {
        let me = owner();
        assert!(is_alive(&me));
        assert!(!is_alive(&Owner { started_ticks: me.started_ticks + 1, ..me.clone() }));
        assert!(is_alive(&Owner { host: "elsewhere".to_owned(), process: 1, started_ticks: 1 }));
    }

    #[test]
    fn an_ended_process_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().expect("true runs");
        let process = child.id();
        let ticks = stat(process).map_or(0, |s| s.started_ticks);
        child.wait().expect("it ends");
        assert!(!is_alive(&Owner { process, started_ticks: ticks, ..owner() }));
    }
}
