//! Threads that share one step's work, and the progress they tell.

use crate::error::LakeError;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::mpsc;

/// Progress not yet shown; a full queue slows the lanes down.
const QUEUE: usize = 64;

pub(crate) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// What a lane has of the others: the next piece of work, and whether to stop.
pub(crate) struct Shared {
    next: AtomicUsize,
    stop: Arc<AtomicBool>,
    progress: mpsc::Sender<u64>,
}

impl Shared {
    /// The index of the next piece of work below `of`; `None` when there is none or another lane failed.
    pub(crate) fn take(&self, of: usize) -> Option<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        (i < of).then_some(i)
    }

    /// Tells what was done since the last call.
    ///
    /// # Errors
    /// When nobody waits for the step any more: the lane must end.
    pub(crate) fn advance(&self, by: u64) -> Result<(), LakeError> {
        if self.stop.load(Ordering::Relaxed) || self.progress.blocking_send(by).is_err() {
            return Err(LakeError::Worker("it was stopped"));
        }
        Ok(())
    }
}

/// Tells the lanes that nobody waits for them any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` in `lanes` threads and answers their results in order of the lanes; the first error stops all.
/// Dropping the future, as when a step has taken too long, stops the lanes before their next piece of work and at their
/// next word of progress. A thread that the system holds in a read is left to it; nothing of what it stages is committed.
pub(crate) async fn run<T: Send + 'static>(
    lanes: usize,
    work: impl Fn(&Shared) -> Result<T, LakeError> + Send + Sync + 'static,
    progress: impl FnMut(u64),
) -> Result<Vec<T>, LakeError> {
    staging(lanes, work, progress, |_| ()).await
}

/// As [`run`], of work that leaves something behind: where a lane failed, what the others made is undone.
pub(crate) async fn staging<T: Send + 'static>(
    lanes: usize,
    work: impl Fn(&Shared) -> Result<T, LakeError> + Send + Sync + 'static,
    mut progress: impl FnMut(u64),
    undo: impl Fn(&T),
) -> Result<Vec<T>, LakeError> {
    let (sender, mut told) = mpsc::channel(QUEUE);
    let stop = StopOnDrop(Arc::default());
    let shared = Arc::new(Shared { next: AtomicUsize::new(0), stop: stop.0.clone(), progress: sender });
    let work = Arc::new(work);
    let handles: Vec<_> = (0..lanes.max(1))
        .map(|_| {
            let (shared, work) = (shared.clone(), work.clone());
            tokio::task::spawn_blocking(move || {
                let result = work(&shared);
                if result.is_err() {
                    shared.stop.store(true, Ordering::Relaxed);
                }
                result
            })
        })
        .collect();
    drop(shared);
    let mut done = 0;
    while let Some(by) = told.recv().await {
        done += by;
        progress(done);
    }
    let mut results = Vec::new();
    for h in handles {
        results.push(h.await.unwrap_or(Err(LakeError::Worker("a thread ended early"))));
    }
    if results.iter().all(Result::is_ok) {
        return results.into_iter().collect();
    }
    results.iter().flatten().for_each(undo);
    // A lane that was told to stop reports only that; the cause is another lane's error.
    let stopped = |r: &Result<T, LakeError>| matches!(r, Err(LakeError::Worker(_)));
    let cause = results.iter().position(|r| r.is_err() && !stopped(r));
    let cause = cause.or_else(|| results.iter().position(Result::is_err));
    Err(cause.and_then(|i| results.swap_remove(i).err()).expect("one of them failed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::pin, task::Context};

    #[tokio::test]
    async fn what_others_made_is_undone_where_one_failed() {
        let taken = AtomicUsize::new(0);
        let first_fails = move |_: &Shared| match taken.fetch_add(1, Ordering::Relaxed) {
            0 => Err(LakeError::NoContract { dataset: "silver.t".parse().expect("a name") }),
            1 => Err(LakeError::Worker("it was stopped")),
            n => Ok(n),
        };
        let undone = std::cell::RefCell::new(Vec::new());
        let failed = staging(4, first_fails, |_| (), |n| undone.borrow_mut().push(*n)).await;
        assert!(matches!(failed, Err(LakeError::NoContract { .. })), "the cause, not who was stopped by it");
        undone.borrow_mut().sort_unstable();
        assert_eq!(*undone.borrow(), [2, 3]);
        let all = staging(2, |_| Ok(1), |_| (), |_| panic!("nothing failed")).await;
        assert_eq!(all.expect("done"), [1, 1]);
    }

    #[tokio::test]
    async fn lanes_end_when_nobody_waits_for_them() {
        let (ended, mut told) = mpsc::unbounded_channel();
        {
            // Never a word of progress, and work without end.
            let work = move |shared: &Shared| {
                while shared.take(usize::MAX).is_some() {
                    std::thread::yield_now();
                }
                let _ = ended.send(());
                Ok(())
            };
            let mut running = pin!(run(2, work, |_| {}));
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(running.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!((told.recv().await, told.recv().await), (Some(()), Some(())));
    }
}
