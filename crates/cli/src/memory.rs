//! The allocator of the process: mimalloc, told to give back what is freed where the process has grown.
//!
//! Used by `main`; `wire` says for which limit. By itself it keeps what was freed for a second, which is cheap, and on a machine that
//! allocates a gigabyte a second is what the peak is made of. Looks as memory is taken, so that a process at rest does nothing. `docs/decisions/0068`.

use mimalloc::MiMalloc;
use std::{
    alloc::{GlobalAlloc, Layout},
    fs::File,
    os::unix::fs::FileExt,
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// Nearly all bytes are in pieces of this size and above; the others are not counted, so that they cost nothing.
const LARGE_BYTES: usize = 32 << 10;
/// So much is taken from one look to the next: a look costs some microseconds, and as much to fill half a millisecond at least.
const LOOK_BYTES: usize = 8 << 20;
/// Of the limit, in sixteenths: up to there what is freed is kept.
const KEPT_SIXTEENTHS: u64 = 9;
/// Share of the limit by which memory grows again before more is given back, as what is given back has to be taken anew.
const GROWTH_SHARE: u64 = 32;
const LEAST_GROWTH: u64 = 32 << 20;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static LINE: Line = Line::new();

/// Mimalloc, with looks.
pub struct Allocator;

// SAFETY: all memory is mimalloc's; what happens before only counts, and asks it to give back what is free.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        takes(layout.size());
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        takes(layout.size());
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        takes(new_size);
        unsafe { MiMalloc.realloc(ptr, layout, new_size) }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { MiMalloc.dealloc(ptr, layout) }
    }
}

/// From now on what is freed is given back early where the process nears `limit_bytes`.
pub fn stay_below(limit_bytes: u64) {
    LINE.stay_below(limit_bytes);
}

unsafe extern "C" {
    /// Of mimalloc, whose crate has no name for it without its feature for all of its functions.
    fn mi_collect(force: bool);
}

/// Gives back all that is freed, but for what other threads keep.
pub fn give_back() {
    // SAFETY: any thread may call it at any time; it touches nothing that is in use.
    unsafe { mi_collect(true) };
}

#[inline]
fn takes(bytes: usize) {
    if bytes >= LARGE_BYTES {
        count(bytes);
    }
}

#[inline(never)]
fn count(bytes: usize) {
    if TAKEN.fetch_add(bytes, Relaxed).saturating_add(bytes) >= LOOK_BYTES {
        TAKEN.store(0, Relaxed);
        LINE.look(resident_bytes, give_back);
    }
}

/// Memory of this process now; `None` where the system does not tell. Takes none itself.
fn resident_bytes() -> Option<u64> {
    static STATM: OnceLock<Option<(File, u64)>> = OnceLock::new();
    let opened = STATM.get_or_init(|| Some((File::open("/proc/self/statm").ok()?, page_bytes()?)));
    let (statm, page_bytes) = opened.as_ref()?;
    let mut text = [0; 128];
    let read = statm.read_at(&mut text, 0).ok()?;
    let pages = str::from_utf8(&text[..read]).ok()?.split(' ').nth(1)?;
    Some(pages.parse::<u64>().ok()? * page_bytes)
}

/// Four KiB on most machines, and 16 or 64 on some with ARM.
fn page_bytes() -> Option<u64> {
    // SAFETY: it takes a number and gives one.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()
}

/// From where on what is freed is given back.
struct Line {
    least: AtomicU64,
    growth: AtomicU64,
    /// As high as can be while there is no limit, and while it is looked after.
    at: AtomicU64,
}

impl Line {
    const fn new() -> Self {
        Self { least: AtomicU64::new(u64::MAX), growth: AtomicU64::new(LEAST_GROWTH), at: AtomicU64::new(u64::MAX) }
    }

    fn stay_below(&self, limit_bytes: u64) {
        let least = limit_bytes / 16 * KEPT_SIXTEENTHS;
        self.growth.store((limit_bytes / GROWTH_SHARE).max(LEAST_GROWTH), Relaxed);
        self.least.store(least, Relaxed);
        self.at.store(least, Relaxed);
    }

    /// Where memory is over the line it is given back, once by whoever sees it first. What is in use then stays, so the line is as much above that as is
    /// worth the next time; it comes down as the process does.
    fn look(&self, resident: impl Fn() -> Option<u64>, give_back: impl FnOnce()) {
        let at = self.at.load(Relaxed);
        if at == u64::MAX {
            return;
        }
        let Some(now) = resident() else { return };
        if now < at {
            let _ = self.at.compare_exchange(at, at.min(self.above(now)), Relaxed, Relaxed);
        } else if self.at.compare_exchange(at, u64::MAX, Relaxed, Relaxed).is_ok() {
            give_back();
            self.at.store(self.above(resident().unwrap_or(now)), Relaxed);
        }
    }

    fn above(&self, used: u64) -> u64 {
        used.saturating_add(self.growth.load(Relaxed)).max(self.least.load(Relaxed))
    }
}

/// Tests that compare what the process has hold it: each takes more than the other may see.
#[cfg(test)]
pub static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, hint::black_box, sync::PoisonError};

    const MIB: u64 = 1 << 20;

    /// A process of whose memory `used` is in use.
    struct Process {
        line: Line,
        used: Cell<u64>,
        freed: Cell<u64>,
        given: Cell<u32>,
    }

    impl Process {
        fn new(limit_mib: u64) -> Self {
            let line = Line::new();
            line.stay_below(limit_mib * MIB);
            Self { line, used: Cell::default(), freed: Cell::default(), given: Cell::default() }
        }

        /// How often it has given back, once it has so much.
        fn has(&self, used_mib: u64, freed_mib: u64) -> u32 {
            self.used.set(used_mib * MIB);
            self.freed.set(freed_mib * MIB);
            let give_back = || {
                self.freed.set(0);
                self.given.set(self.given.get() + 1);
            };
            self.line.look(|| Some(self.used.get() + self.freed.get()), give_back);
            self.given.get()
        }
    }

    #[test]
    fn what_is_freed_is_kept_up_to_a_part_of_the_limit() {
        let process = Process::new(1024);
        assert_eq!(process.has(300, 275), 0);
        assert_eq!(process.has(300, 276), 1);
        assert_eq!((process.used.get(), process.freed.get()), (300 * MIB, 0));
        assert_eq!(process.has(300, 275), 1);
        assert_eq!(process.has(300, 276), 2);
    }

    #[test]
    fn what_is_in_use_is_no_reason_to_ask_again() {
        let process = Process::new(1024);
        assert_eq!(process.has(600, 0), 1);
        assert_eq!(process.has(600, 31), 1);
        assert_eq!(process.has(600, 32), 2);
        assert_eq!(process.has(620, 0), 2);
        assert_eq!(process.has(632, 0), 3);
    }

    #[test]
    fn the_line_comes_down_with_the_process() {
        let process = Process::new(1024);
        assert_eq!(process.has(800, 0), 1);
        assert_eq!(process.has(300, 320), 1);
        // 620 and a little: not 832 any more.
        assert_eq!(process.has(300, 351), 1);
        assert_eq!(process.has(300, 352), 2);
    }

    #[test]
    fn the_larger_the_limit_the_more_comes_together() {
        let (large, small) = (Process::new(4096), Process::new(64));
        assert_eq!((large.has(3000, 0), small.has(3000, 0)), (1, 1));
        assert_eq!((large.has(3000, 31), small.has(3000, 31)), (1, 1));
        assert_eq!((large.has(3000, 127), small.has(3000, 32)), (1, 2));
        assert_eq!(large.has(3000, 128), 2);
    }

    #[test]
    fn without_a_limit_or_a_system_that_tells_nothing_is_given_back() {
        Line::new().look(|| Some(u64::MAX), || panic!("it has no limit"));
        Process::new(1024).line.look(|| None, || panic!("it does not know"));
    }

    #[test]
    fn pages_are_as_large_as_the_system_has_told_the_process() {
        /// `AT_PAGESZ` of what a program is given where it begins: pairs of words.
        const PAGE_SIZE: usize = 6;
        const WORD: usize = size_of::<usize>();
        let given = std::fs::read("/proc/self/auxv").expect("Linux tells it");
        let words: Vec<usize> =
            given.chunks_exact(WORD).map(|w| usize::from_ne_bytes(w.try_into().expect("a word"))).collect();
        let size = words.chunks_exact(2).find(|pair| pair[0] == PAGE_SIZE).expect("it is among them")[1];
        assert_eq!(page_bytes(), Some(size as u64));
    }

    #[test]
    fn memory_that_is_taken_is_looked_at() {
        const PIECES: usize = 256;
        const BYTES: usize = 1 << 20;
        /// Another test's thread may be the one that looks, so that it is given back a moment later.
        const ROUNDS: usize = 50;
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |pieces| black_box((0..pieces).map(|_| vec![1; BYTES]).collect::<Vec<Vec<u8>>>());
        // While it is there: of what is free, a slow machine may have given back some by then.
        let held = taken(PIECES);
        let before = resident_bytes().expect("Linux tells it");
        drop(held);
        let sinks = || {
            // As one whose limit is low, and that has given nothing back so far.
            LINE.stay_below(0);
            drop(taken(2 * LOOK_BYTES / BYTES));
            resident_bytes().expect("Linux tells it") < before - (PIECES * BYTES / 2) as u64
        };
        let sank = (0..ROUNDS).any(|_| sinks());
        LINE.stay_below(u64::MAX);
        assert!(sank, "{before} bytes before, {:?} afterwards", resident_bytes());
    }
}
