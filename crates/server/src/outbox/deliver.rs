//! The lanes, each worked on by one process at a time: the oldest first, the next one when that was delivered.
//!
//! Called by cli. A lane that fails waits longer each time and does not hold up the others; nothing is given up.

use super::{
    error::SinkError,
    files,
    receiver::{Receiver, Variables},
    webhook,
};
use crate::{Stop, rates::counted};
use alluvium_flow::{Report, Signal, Timer};
use alluvium_model::{Clock, Entropy, Fault, Span, crash_point};
use alluvium_spec::Sink;
use alluvium_store::{Lane, LaneEnd, Owner, Publication, Rate, Store, StoreError, Topic, Watch};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// Longer than any delivery takes; renewed by each.
const LEASE: Span = Span::from_secs(60);
/// Read from the state at once.
const PART: u32 = 100;
const MOST_LANES_AT_ONCE: usize = 32;
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(3_600);
/// For what other processes left behind, and for a state or a lane that somebody else holds.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
const HELD: Duration = Duration::from_secs(5);
/// A place in a rate that is free so soon is waited for under the lane's lease.
const SOON: Duration = Duration::from_secs(1);

/// Delivers publications. Keeps nothing that a restart needs.
pub struct Outbox {
    pub store: Arc<dyn Store>,
    pub sinks: BTreeMap<String, Sink>,
    pub variables: Arc<Variables>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub timer: Arc<dyn Timer>,
    pub report: Arc<dyn Report>,
    pub owner: Owner,
    /// Whether a lease's holder still lives; a dead one's lease is free at once.
    pub alive: fn(&Owner) -> bool,
    /// For one call: the name, the connection, the answer's head. Well below a lane's lease.
    pub patience: Duration,
    /// How many lanes [`Outbox::work`] is at.
    pub busy: Arc<AtomicUsize>,
}

type Key = (Topic, String);

/// What became of a lane's turn.
enum Turn {
    /// Everything was delivered, or it failed and knows when to try again.
    Over,
    /// Nothing could be done now.
    Held,
}

/// Passes signals on, and wakes the outbox when a step or a whole run has ended, here or elsewhere.
pub struct Waking<'a> {
    pub report: &'a dyn Report,
    pub wake: Arc<Notify>,
}

impl Report for Waking<'_> {
    fn signal(&self, signal: Signal) {
        let ended = matches!(
            signal,
            Signal::StepDone { .. }
                | Signal::StepDoneElsewhere { .. }
                | Signal::WindowsLeft { .. }
                | Signal::RunTold { .. }
                | Signal::AlertTold { .. }
                | Signal::CommitsSeen
        );
        self.report.signal(signal);
        if ended {
            self.wake.notify_one();
        }
    }
}

impl Outbox {
    /// Delivers until `stop` is said: when `wake` says that something is there, when a lane's wait is over, and now and then.
    pub async fn work(self: Arc<Self>, wake: Arc<Notify>, stop: Stop) {
        if self.sinks.is_empty() {
            return;
        }
        let mut lanes = JoinSet::new();
        let mut busy: BTreeSet<Key> = BTreeSet::new();
        // What a sink did not take before waits, and keeps no idle service.
        let mut fresh: BTreeSet<Key> = BTreeSet::new();
        let mut held: BTreeMap<Key, Timestamp> = BTreeMap::new();
        while !stop.is_said() {
            let now = self.clock.now();
            held.retain(|_, until| *until > now);
            let mut next = after(now, LOOK_AGAIN);
            match self.store.lanes().await {
                Ok(all) => {
                    for lane in all.into_iter().filter(|l| l.waiting > 0 && self.sinks.contains_key(&l.sink)) {
                        let key = (lane.topic.clone(), lane.sink.clone());
                        let due = held.get(&key).map_or(lane.next_at, |until| lane.next_at.max(*until));
                        if busy.contains(&key) {
                            continue;
                        }
                        if due > now {
                            next = next.min(due);
                        } else if busy.len() < MOST_LANES_AT_ONCE {
                            busy.insert(key.clone());
                            if lane.failures == 0 && lane.off.is_none() {
                                fresh.insert(key.clone());
                            }
                            let (outbox, stop) = (self.clone(), stop.clone());
                            lanes.spawn(async move { (key, outbox.lane(&lane, || stop.is_said()).await) });
                        }
                    }
                }
                Err(error) => tracing::warn!(code = error.code(), error = %error, "the outbox cannot be read"),
            }
            self.busy.store(fresh.len(), Ordering::Relaxed);
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            tokio::select! {
                Some(done) = lanes.join_next(), if !lanes.is_empty() => match done {
                    Ok((key, turn)) => {
                        busy.remove(&key);
                        fresh.remove(&key);
                        if let Turn::Held = self.told(turn) {
                            held.insert(key, after(self.clock.now(), HELD));
                        }
                    }
                    // A defect in one delivery; its lane is free when its lease ends.
                    Err(error) => {
                        tracing::error!(error = %error, "a delivery broke off");
                        busy.clear();
                        fresh.clear();
                    }
                },
                () = wake.notified() => {}
                () = self.timer.wait(wait) => {}
                () = stop.clone().said() => {}
            }
        }
        // Each ends after the delivery that it is at, which has a bound.
        while lanes.join_next().await.is_some() {}
    }

    /// Delivers once what is due, for at most `longest`.
    ///
    /// # Errors
    /// When the state cannot be read. A sink that fails is reported and tried again by whoever comes next.
    pub async fn once(self: Arc<Self>, longest: Duration) -> Result<(), StoreError> {
        if self.sinks.is_empty() {
            return Ok(());
        }
        let end = after(self.clock.now(), longest);
        let mut due: Vec<Lane> = self.store.lanes().await?;
        due.retain(|l| l.waiting > 0 && l.next_at <= self.clock.now() && self.sinks.contains_key(&l.sink));
        let mut lanes = JoinSet::new();
        for lane in due {
            if lanes.len() >= MOST_LANES_AT_ONCE {
                lanes.join_next().await;
            }
            let outbox = self.clone();
            lanes.spawn(async move {
                let turn = outbox.lane(&lane, || outbox.clock.now() >= end).await;
                outbox.told(turn);
            });
        }
        while lanes.join_next().await.is_some() {}
        Ok(())
    }

    fn told(&self, turn: Result<Turn, StoreError>) -> Turn {
        turn.unwrap_or_else(|error| {
            tracing::warn!(code = error.code(), error = %error, "the state cannot be reached; the outbox waits");
            Turn::Held
        })
    }

    async fn lane(&self, lane: &Lane, stopped: impl Fn() -> bool) -> Result<Turn, StoreError> {
        let key = (&lane.topic, lane.sink.as_str());
        let receiver = Receiver::of(&self.sinks[&lane.sink], &*self.variables);
        let rate = rate(&lane.sink, &self.sinks[&lane.sink]);
        let target = receiver.as_ref().map_or_else(|_| String::new(), Receiver::fingerprint);
        let mut sent = 0;
        let end = loop {
            let watch = Watch { now: self.clock.now(), alive: &self.alive };
            let part = self.store.take_lane(key, &target, &self.owner, LEASE, &watch, PART).await?;
            if part.is_empty() {
                self.published(lane, sent);
                return Ok(if sent == 0 { Turn::Held } else { Turn::Over });
            }
            let receiver = match &receiver {
                Ok(receiver) => receiver,
                Err(error) => break self.failed(lane, error, lane.failures, &target),
            };
            match self.part(receiver, rate.as_ref(), &part, &stopped, &mut sent).await? {
                Part::Delivered => {}
                Part::Stopped => break LaneEnd::Done,
                Part::Later(next_at) => break LaneEnd::Later { next_at },
                Part::Lost => return Ok(Turn::Held),
                // What was delivered before ended the row of failures.
                Part::Failed(error) => {
                    break self.failed(lane, &error, if sent > 0 { 0 } else { lane.failures }, &target);
                }
            }
        };
        self.published(lane, sent);
        self.store.end_lane(key, &self.owner, &end).await?;
        Ok(Turn::Over)
    }

    fn published(&self, lane: &Lane, events: u64) {
        if events > 0 {
            let (topic, sink) = (lane.topic.clone(), lane.sink.clone());
            self.report.signal(Signal::Published { topic, sink, events });
        }
    }

    async fn part(
        &self,
        receiver: &Receiver,
        rate: Option<&Rate>,
        part: &[Publication],
        stopped: impl Fn() -> bool,
        sent: &mut u64,
    ) -> Result<Part, StoreError> {
        for publication in part {
            if stopped() {
                return Ok(Part::Stopped);
            }
            // Once: others may take each place that becomes free, and the lane's lease is renewed by a delivery alone.
            if let Some(until) = self.not_before(rate).await? {
                let wait = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
                if wait > SOON {
                    return Ok(Part::Later(until));
                }
                self.timer.wait(wait).await;
                if stopped() {
                    return Ok(Part::Stopped);
                }
                if let Some(until) = self.not_before(rate).await? {
                    return Ok(Part::Later(until));
                }
            }
            crash_point("publish.before_delivery");
            let delivered = match receiver {
                Receiver::Files(folder) => files::write(folder.clone(), publication).await,
                Receiver::Webhook(target) => webhook::post(target, publication, self.clock.now(), self.patience).await,
            };
            if let Err(error) = delivered {
                return Ok(Part::Failed(error));
            }
            crash_point("publish.after_delivery");
            *sent += 1;
            if !self.store.delivered(publication, &self.owner, self.clock.now(), LEASE).await? {
                return Ok(Part::Lost);
            }
        }
        Ok(Part::Delivered)
    }

    /// `None`: the sink may be called now, and a place in its rate is taken.
    async fn not_before(&self, rate: Option<&Rate>) -> Result<Option<Timestamp>, StoreError> {
        match rate {
            Some(rate) => self.store.pace(rate, self.clock.now()).await,
            None => Ok(None),
        }
    }

    /// When the lane is tried again, and a word to whoever watches.
    fn failed(&self, lane: &Lane, error: &SinkError, failures: u32, target: &str) -> LaneEnd {
        let text = told(error);
        let gone = matches!(error, SinkError::Gone { .. });
        let wait = backoff(failures, self.entropy.as_ref());
        let asked = Duration::from_secs(error.after_seconds().unwrap_or(0)).min(LAST_RETRY);
        let wait = wait.max(asked);
        self.report.signal(Signal::NotPublished {
            topic: lane.topic.clone(),
            sink: lane.sink.clone(),
            code: error.code(),
            message: text.clone(),
            remedy: error.remedy(),
            again_in: (!gone).then_some(wait),
        });
        let error = format!("{}: {text}", error.code());
        if gone {
            return LaneEnd::Off { error, target: target.to_owned() };
        }
        LaneEnd::Failed { error, next_at: after(self.clock.now(), wait) }
    }
}

enum Part {
    Delivered,
    Stopped,
    /// The sink's rate has no place before.
    Later(Timestamp),
    /// The lease is another's.
    Lost,
    Failed(SinkError),
}

/// All lanes of the sink share it, in all processes; and whoever else names its key.
fn rate(name: &str, sink: &Sink) -> Option<Rate> {
    let Sink::Webhook(webhook) = sink else { return None };
    Some(counted(webhook.rate.as_ref()?, || format!("sink {name}")))
}

/// An error and its causes in one line.
fn told(error: &SinkError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Doubles with each failure, and varies by half, so that many do not come back at once.
fn backoff(failures: u32, entropy: &dyn Entropy) -> Duration {
    let most = (FIRST_RETRY * 2_u32.pow(failures.min(16))).min(LAST_RETRY);
    let share = (entropy.next_u64() % 1_000) as u32;
    most / 2 + most / 2 * share / 1_000
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}
