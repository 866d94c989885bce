//! What a process gives back while nothing arrives: memory that work had, and the pages of its own code.
//!
//! Called by `serve` and `worker`. Nearly all of what a service at rest has in memory is from its start and from work that is done. The allocator gives
//! back what was freed when threads ask it for more, which none does at rest. Code the system keeps in its cache as long as it has
//! room, and whoever works again has it back in some milliseconds. `docs/decisions/0057`.

use crate::{memory, process};
use alluvium_server::Stop;
use std::{ffi::c_void, fs, time::Duration};
use tokio::time::timeout;

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A process that used less than this between two looks is at rest: where the state is asked once a second, that takes a tenth of it.
const RESTS: Duration = Duration::from_millis(50);

/// Gives back once for each rest, until `stop` is said. Where the system does not tell what a process used, it keeps what it has.
pub async fn give_back(stop: Stop) {
    let (mut before, mut given) = (process::cpu_time(), false);
    while timeout(LOOK_EVERY, stop.clone().said()).await.is_err() {
        let used = process::cpu_time();
        let rests = used.zip(before).is_some_and(|(used, before)| used.saturating_sub(before) < RESTS);
        if rests && !given {
            let_go();
        }
        (before, given) = (used, rests);
    }
}

fn let_go() {
    memory::give_back();
    code_goes();
}

fn code_goes() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    let Some(own) = std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok()) else {
        return;
    };
    for (start, bytes) in code(&maps, &own) {
        // SAFETY: the range is a mapping of this process that is never written, so that what the next access
        // finds in the file is what was there.
        unsafe {
            libc::madvise(start as *mut c_void, bytes, libc::MADV_DONTNEED);
        }
    }
}

/// Start and bytes of each part of the file that is mapped to be executed and cannot be written. Data of the file is left
/// alone: the loader has written addresses into it.
fn code(maps: &str, own: &str) -> Vec<(usize, usize)> {
    let part = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let path = rest.splitn(5, ' ').nth(4)?.trim_start();
        (rest.starts_with("r-xp ") && path == own).then(|| (start, end.saturating_sub(start)))
    };
    maps.lines().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::PoisonError;

    #[test]
    fn only_code_of_the_binary_goes() {
        let maps = "55d0c0000000-55d0c1000000 r--p 00000000 fe:01 1835   /opt/a b/alluvium\n\
                    55d0c1000000-55d0c5000000 r-xp 01000000 fe:01 1835   /opt/a b/alluvium\n\
                    55d0c5000000-55d0c5800000 r--p 05000000 fe:01 1835   /opt/a b/alluvium\n\
                    55d0c5800000-55d0c5900000 rw-p 05800000 fe:01 1835   /opt/a b/alluvium\n\
                    55d0c5900000-55d0c5a00000 rwxp 05900000 fe:01 1835   /opt/a b/alluvium\n\
                    7f0000000000-7f0000100000 r-xp 00000000 fe:01 99     /usr/lib/libc.so.6\n\
                    7f0000200000-7f0000300000 rw-p 00000000 00:00 0 \n\
                    7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0      [vdso]\n";
        assert_eq!(code(maps, "/opt/a b/alluvium"), [(0x55d0_c100_0000, 0x0400_0000)]);
    }

    /// In KiB.
    fn resident(what: &str) -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
        let line = status.lines().find_map(|l| l.strip_prefix(what)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    fn what_was_given_back_is_there_again() {
        let before = resident("RssFile:");
        code_goes();
        assert!(resident("RssFile:") < before, "{before} KiB before");
        assert_eq!("12".parse::<u8>(), Ok(12));
    }

    #[test]
    fn what_work_had_is_given_back() {
        const PIECES: usize = 256;
        const BYTES: usize = 1 << 20;
        let _alone = memory::ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let had: Vec<Vec<u8>> =
            std::thread::spawn(|| (0..PIECES).map(|_| vec![1; BYTES]).collect()).join().expect("it ends");
        let before = resident("RssAnon:");
        drop(had);
        let_go();
        let left = resident("RssAnon:");
        // Other tests have some, too.
        assert!(left < before - (PIECES * BYTES / 2 / 1024) as u64, "{left} of {before} KiB");
    }
}
