//! Refusals, written down so that whoever calls without end fills no disk.
//!
//! Called by the API. The first refusal of its kind, path and caller in a minute is durable before it is answered; those that are
//! alike within the minute are counted, and their number is written when the minute is over. Of all of them the
//! state keeps the newest.

use crate::Stop;
use alluvium_flow::Timer;
use alluvium_model::{Clock, Fault};
use alluvium_store::{Refusal, RefusalKind, Store};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// Refusals that wait for the next transaction.
const QUEUE: usize = 256;
/// Different ones in a minute; what is beyond is counted by kind alone.
const MOST_KINDS: usize = 64;
const MINUTE: i64 = 60;
const FLUSH: Duration = Duration::from_secs(60);
/// Rows in the state.
const KEPT: u32 = 100_000;
const LONGEST_TEXT: usize = 200;
/// In place of many paths or callers.
const ANY: &str = "*";

/// Clones share one queue.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Request>,
    clock: Arc<dyn Clock>,
}

/// One call that was refused.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) kind: RefusalKind,
    pub(crate) path: String,
    pub(crate) peer: String,
    pub(crate) reason: String,
    pub(crate) id: Option<String>,
}

struct Request {
    refusal: Refusal,
    written: oneshot::Sender<()>,
}

impl Audit {
    /// With the future that does its work until `stop` is said and everything is written.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        timer: Arc<dyn Timer>,
        stop: Stop,
    ) -> (Self, impl Future<Output = ()>) {
        let (queue, requests) = mpsc::channel(QUEUE);
        let audit = Self { queue, clock };
        (audit, work(store, timer, requests, stop))
    }

    /// Returns when it is written, or counted, or cannot be written: the call is refused all the same.
    pub(crate) async fn note(&self, refused: Refused) {
        let refusal = Refusal {
            at: self.clock.now(),
            kind: refused.kind,
            path: short(&refused.path),
            peer: refused.peer,
            reason: short(&refused.reason),
            id: refused.id.as_deref().map(short),
            times: 1,
        };
        let (written, is_written) = oneshot::channel();
        if self.queue.send(Request { refusal, written }).await.is_ok() {
            // An error: the work has ended, and has said why.
            let _ = is_written.await;
        }
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

/// What was refused in the present minute.
#[derive(Default)]
struct Minute {
    number: i64,
    /// By what they have in common: those that were not written yet.
    alike: BTreeMap<(RefusalKind, String, String), Option<Refusal>>,
}

impl Minute {
    /// What is to be written now.
    fn take(&mut self, mut refusal: Refusal) -> Vec<Refusal> {
        let mut now = Vec::new();
        let number = minute(refusal.at);
        if number != self.number {
            now.extend(self.end());
            self.number = number;
        }
        let mut key = (refusal.kind, refusal.path.clone(), refusal.peer.clone());
        if !self.alike.contains_key(&key) && self.alike.len() >= MOST_KINDS {
            (refusal.path, refusal.peer, refusal.id) = (ANY.to_owned(), ANY.to_owned(), None);
            key = (refusal.kind, ANY.to_owned(), ANY.to_owned());
        }
        match self.alike.get_mut(&key) {
            None => {
                self.alike.insert(key, None);
                now.push(refusal);
            }
            Some(Some(counted)) => {
                counted.times += 1;
                counted.at = refusal.at;
            }
            Some(counted @ None) => *counted = Some(refusal),
        }
        now
    }

    /// The counted ones of a minute that is over.
    fn end(&mut self) -> impl Iterator<Item = Refusal> {
        std::mem::take(&mut self.alike).into_values().flatten()
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(MINUTE)
}

async fn work(store: Arc<dyn Store>, timer: Arc<dyn Timer>, mut requests: mpsc::Receiver<Request>, stop: Stop) {
    let mut present = Minute::default();
    let mut together = Vec::with_capacity(QUEUE);
    loop {
        // While nothing is counted nothing runs.
        let counting = present.alike.values().any(Option::is_some);
        let taken = tokio::select! {
            taken = requests.recv_many(&mut together, QUEUE) => taken,
            () = timer.wait(FLUSH), if counting => {
                write(store.as_ref(), present.end().collect()).await;
                continue;
            }
            () = stop.clone().said() => {
                requests.close();
                requests.recv_many(&mut together, QUEUE).await
            }
        };
        if taken == 0 {
            write(store.as_ref(), present.end().collect()).await;
            return;
        }
        let mut now = Vec::new();
        let mut answers = Vec::with_capacity(taken);
        for request in together.drain(..) {
            now.extend(present.take(request.refusal));
            answers.push(request.written);
        }
        write(store.as_ref(), now).await;
        for answer in answers {
            // Who called may have gone.
            let _ = answer.send(());
        }
    }
}

async fn write(store: &dyn Store, refusals: Vec<Refusal>) {
    if refusals.is_empty() {
        return;
    }
    if let Err(error) = store.audit(&refusals, KEPT).await {
        let refused: u64 = refusals.iter().map(|r| r.times).sum();
        tracing::warn!(code = error.code(), error = %error, refused, "calls that were refused could not be written down");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(second: i64, kind: RefusalKind, peer: &str) -> Refusal {
        Refusal {
            at: Timestamp::from_second(second).expect("a time"),
            kind,
            path: "/hooks/a".to_owned(),
            peer: peer.to_owned(),
            reason: String::new(),
            id: None,
            times: 1,
        }
    }

    #[test]
    fn the_first_is_written_and_the_others_are_counted() {
        let mut minute = Minute::default();
        assert_eq!(minute.take(refusal(0, RefusalKind::Forged, "a")).len(), 1);
        for second in 1..=50 {
            assert!(minute.take(refusal(second, RefusalKind::Forged, "a")).is_empty());
        }
        assert_eq!(minute.take(refusal(2, RefusalKind::Forged, "b")).len(), 1, "another caller");
        assert_eq!(minute.take(refusal(2, RefusalKind::Stale, "a")).len(), 1, "another kind");
        let next = minute.take(refusal(61, RefusalKind::Forged, "a"));
        assert_eq!(next.iter().map(|r| r.times).collect::<Vec<_>>(), [50, 1]);
        assert_eq!(next[0].at, Timestamp::from_second(50).expect("a time"));
    }

    #[test]
    fn many_callers_fill_no_disk() {
        let mut minute = Minute::default();
        let mut rows = 0;
        for caller in 0..10_000 {
            rows += minute.take(refusal(1, RefusalKind::Forged, &format!("192.0.2.{caller}"))).len();
        }
        assert_eq!(rows, MOST_KINDS + 1);
        let counted: Vec<Refusal> = minute.end().collect();
        assert_eq!(counted.len(), 1);
        assert_eq!((counted[0].peer.as_str(), counted[0].times), (ANY, 10_000 - 64 - 1));
    }

    #[test]
    fn what_a_caller_sent_is_cut_and_cleaned() {
        assert_eq!(short("a\u{1b}[2J\nb"), "a[2Jb");
        assert_eq!(short(&"ä".repeat(500)).chars().count(), LONGEST_TEXT);
    }
}
