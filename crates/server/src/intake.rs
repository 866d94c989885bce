//! The way from many requests to the inbox: those that come together share one transaction and its sync to disk.
//!
//! Called by the API, and by the service that waits for what arrives. An event is answered for when it is durable.

use crate::{Stop, turns::Turns};
use alluvium_flow::Arrived;
use alluvium_model::{Clock, DatasetName};
use alluvium_store::{InboxBound, Pushed, PushedList, Store, StoreError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, mpsc, oneshot};

/// Requests that wait for the next transaction. The API has fewer at once.
const QUEUE: usize = 128;
/// Events that wait for one dataset in all. Past it producers are told to wait.
const BOUND: InboxBound = InboxBound { events: 100_000, bytes: 256 << 20 };

/// Takes events to the inbox. Clones share one queue.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Request>,
    arrived: Arc<Pending>,
    pub(crate) turns: Arc<Turns>,
    requests: Arc<Requests>,
}

/// Requests that may bring work.
#[derive(Debug, Default)]
struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// As long as it lives, a request is on its way.
pub(crate) struct OnItsWay(Arc<Requests>);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

struct Request {
    list: PushedList,
    answer: oneshot::Sender<Answer>,
}

/// With the number of the newest turn that may not have seen what was taken.
type Answer = Result<(Pushed, u64), Arc<StoreError>>;

#[derive(Default)]
struct Pending {
    datasets: Mutex<BTreeMap<DatasetName, Arrived>>,
    /// Those of whose objects a store has told since the service began.
    notified: Mutex<BTreeSet<DatasetName>>,
    told: Notify,
    /// Something was written into the state that nobody is told of otherwise.
    look: Notify,
}

impl Intake {
    /// With the future that does its work until `stop` is said and every request is answered.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, stop: Stop) -> (Self, impl Future<Output = ()>) {
        let (queue, requests) = mpsc::channel(QUEUE);
        let intake = Self { queue, arrived: Arc::default(), turns: Arc::default(), requests: Arc::default() };
        let works = work(store, clock, requests, intake.arrived.clone(), intake.turns.clone(), stop);
        (intake, works)
    }

    /// `None`: the queue is full, or the service ends; nothing was taken. A future that is dropped may have had its way.
    pub(crate) async fn push(&self, list: PushedList) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Request { list, answer }).ok()?;
        answered.await.ok()
    }

    /// A request that may bring work has begun.
    pub(crate) fn asked(&self) -> OnItsWay {
        self.requests.begun.fetch_add(1, Ordering::AcqRel);
        OnItsWay(self.requests.clone())
    }

    /// How many such requests there were, and whether all of them have ended.
    pub(crate) fn requests(&self) -> (u64, bool) {
        // In this order: one that begins in between has not ended.
        let ended = self.requests.ended.load(Ordering::Acquire);
        let begun = self.requests.begun.load(Ordering::Acquire);
        (begun, begun == ended)
    }

    /// Something of these datasets lies elsewhere, and is to be looked for. The number of the newest turn that may not have seen it.
    pub(crate) fn tell(&self, datasets: impl IntoIterator<Item = DatasetName>) -> u64 {
        let newest = self.turns.begun();
        let told = datasets.into_iter().map(|name| (name, Arrived::default()));
        self.arrived.datasets.lock().expect("no holder of this lock panics").extend(told);
        self.arrived.told.notify_one();
        newest
    }

    /// As [`Intake::tell`], because a store told of new objects.
    pub(crate) fn tell_of_objects(&self, datasets: &BTreeSet<DatasetName>) -> u64 {
        self.arrived.notified.lock().expect("no holder of this lock panics").extend(datasets.iter().cloned());
        self.tell(datasets.iter().cloned())
    }

    /// Whether a store tells of the dataset's objects, so that one of which it did not tell is missed.
    pub(crate) fn is_told_of(&self, dataset: &DatasetName) -> bool {
        self.arrived.notified.lock().expect("no holder of this lock panics").contains(dataset)
    }

    /// Whether it was told to look there, and has not been heard yet.
    pub(crate) fn has_notice(&self, dataset: &DatasetName) -> bool {
        self.arrived.datasets.lock().expect("no holder of this lock panics").contains_key(dataset)
    }

    /// Something for the service is in the state: it looks at once.
    pub(crate) fn look(&self) {
        self.arrived.look.notify_one();
    }

    /// Until there is something to look for.
    pub(crate) async fn has_to_look(&self) {
        self.arrived.look.notified().await;
    }

    /// Waits for events, and tells for which datasets, and how many. Dropping the future loses nothing.
    pub(crate) async fn arrived(&self) -> BTreeMap<DatasetName, Arrived> {
        loop {
            let told = self.arrived.told.notified();
            let datasets = self.noticed();
            if !datasets.is_empty() {
                return datasets;
            }
            told.await;
        }
    }

    /// As [`Intake::arrived`], without waiting.
    pub(crate) fn noticed(&self) -> BTreeMap<DatasetName, Arrived> {
        std::mem::take(&mut self.arrived.datasets.lock().expect("no holder of this lock panics"))
    }
}

async fn work(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    mut requests: mpsc::Receiver<Request>,
    arrived: Arc<Pending>,
    turns: Arc<Turns>,
    stop: Stop,
) {
    let mut together = Vec::with_capacity(QUEUE);
    loop {
        let taken = tokio::select! {
            taken = requests.recv_many(&mut together, QUEUE) => taken,
            () = stop.clone().said() => {
                requests.close();
                requests.recv_many(&mut together, QUEUE).await
            }
        };
        if taken == 0 {
            return;
        }
        let (lists, answers): (Vec<_>, Vec<_>) = together.drain(..).map(|r| (r.list, r.answer)).unzip();
        match store.push(&lists, BOUND, clock.now()).await {
            Ok(pushed) => {
                let newest = turns.begun();
                arrived.tell(&lists, &pushed);
                for (answer, pushed) in answers.into_iter().zip(pushed) {
                    // Who asked may have gone.
                    let _ = answer.send(Ok((pushed, newest)));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

impl Pending {
    fn tell(&self, lists: &[PushedList], pushed: &[Pushed]) {
        let new = lists.iter().zip(pushed).filter(|(_, p)| matches!(p, Pushed::Accepted { new: 1.., .. }));
        let mut datasets = self.datasets.lock().expect("no holder of this lock panics");
        for event in new.flat_map(|(list, _)| &list.events) {
            let one = Arrived { objects: 1, bytes: event.record.len() as u64 };
            event.datasets.iter().for_each(|d| datasets.entry(d.clone()).or_default().add(one));
        }
        drop(datasets);
        self.told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stopper;
    use alluvium_store::{PushedEvent, SqliteStore};
    use futures::future::join_all;
    use jiff::{SignedDuration, Timestamp};
    use std::sync::atomic::{AtomicI64, Ordering};

    /// Another second each time that it is asked, as each transaction asks it once.
    #[derive(Default)]
    struct Counting(AtomicI64);

    impl Clock for Counting {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.0.fetch_add(1, Ordering::SeqCst))
        }
    }

    #[tokio::test]
    async fn requests_that_wait_together_share_one_transaction() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(SqliteStore::open(&folder.path().join("state.db")).await.expect("a state"));
        let (says, stop) = Stopper::new();
        let clock = Arc::new(Counting::default());
        let (intake, work) = Intake::new(store.clone(), clock.clone(), stop);
        let event = |id: usize| PushedEvent {
            source: "/a".to_owned(),
            id: id.to_string(),
            datasets: vec!["bronze.a".parse().expect("a name")],
            record: "{}".to_owned(),
        };
        let push = async |ids: std::ops::Range<usize>| {
            let answers = join_all(ids.map(|id| intake.push(vec![event(id)].into()))).await;
            let taken = |a: &Option<Answer>| matches!(a, Some(Ok((Pushed::Accepted { new: 1, duplicates: 0 }, _))));
            assert!(answers.iter().all(taken), "{answers:?}");
        };
        let pushes = async {
            push(0..50).await;
            push(50..51).await;
            says.stop();
        };
        tokio::join!(biased; pushes, work);
        assert_eq!(clock.0.load(Ordering::SeqCst), 2, "one transaction for the fifty, and one for the last");
        let mut times = BTreeSet::new();
        for id in 0..51 {
            times.insert(store.pushed_at("/a", &id.to_string()).await.expect("told").expect("it is durable"));
        }
        assert_eq!(times.len(), 2);
    }
}
