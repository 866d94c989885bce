//! The loop of a service: waits until something is due, and does it as `run` does.
//!
//! Called by cli. Turns over datasets that have nothing to do with each other go on beside each other, so that a step that is
//! another process's, or that waits for its time, holds up only what is made from it. While nothing arrives nothing runs. What others
//! committed and which replays were asked for is told by the files of the state, or by one small question to it a second.
//! It keeps nothing that a restart needs: its first turn looks at everything.

use crate::{
    Intake, ServerError, Stop,
    idle::Idle,
    news::{News, Seen},
    resting::{LOOK_AT_REST, LOOK_EVERY, Resting},
    stale::{Age, Stale},
    stop::Stopper,
    windows::Windows,
};
use alluvium_flow::{Agenda, Arrived, Flow, FlowError, Judged, Left, Options, Signal, Summary, Tried, Turn};
use alluvium_model::{DatasetName, Fault, RunId};
use alluvium_source::files::FolderWatch;
use alluvium_spec::{Dataset, Kind};
use alluvium_store::{ReplayRecord, StoreError};
use futures::{
    FutureExt as _,
    stream::{FuturesUnordered, StreamExt as _},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

pub struct Service<'a> {
    pub flow: Flow<'a>,
    pub watch: &'a FolderWatch,
    pub intake: Intake,
    pub health: &'a Health,
    /// Lanes of the outbox that are being worked on.
    pub telling: &'a AtomicUsize,
    /// Between two looks for files of which no notice came.
    pub scan_every: Duration,
    /// It ends by itself when nothing was left to do for so long.
    pub exit_when_idle: Option<Duration>,
}

/// Why a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It was asked to.
    Stopped,
    /// Nothing was left to do.
    Idle,
}

/// Turns that go on at once.
const TURNS: usize = 16;
/// Replays that go on at once. They share the datasets with the turns, as those of another process would.
const REPLAYS: usize = 4;
/// Between two looks at what is wrong beside the ends of steps: the clock, and each dataset's history.
const JUDGE_EVERY: Duration = Duration::from_secs(60);

/// What goes on beside the loop.
#[derive(Default)]
struct Going<'s> {
    work: FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + 's>>>,
    turns: Vec<Arc<Left>>,
    replays: BTreeSet<RunId>,
    /// Datasets that turns had still to do at some time since the last look at the state began: what it found of them is of before.
    touched: BTreeSet<DatasetName>,
    /// A turn is done with one of its datasets.
    less: Arc<Notify>,
}

/// How it ended.
enum Ended {
    Turn(u64, Arc<Left>, Turn, Box<Result<Summary, FlowError>>),
    Scan(Vec<Found>),
    Look(Result<News, FlowError>),
    Judged(Result<(), FlowError>),
    Ages(Vec<Age>),
    Aged(Result<bool, FlowError>),
    Replay(ReplayRecord, Box<Result<Option<(Summary, Tried)>, FlowError>>),
}

impl Going<'_> {
    /// Looks do not count: they go on for ever.
    fn is_nothing(&self) -> bool {
        self.turns.is_empty() && self.replays.is_empty()
    }

    /// When an idle service ends. What a look or a scan is about to find is waited for; each ends by itself, and the next begins later.
    fn last(&self, ends: Timestamp) -> Timestamp {
        if self.work.is_empty() { ends } else { Timestamp::MAX }
    }

    /// Datasets that a turn has still to do.
    fn busy(&self) -> BTreeSet<DatasetName> {
        self.turns.iter().flat_map(|t| t.datasets()).collect()
    }

    fn begins_to_look(&mut self) {
        self.touched = self.busy();
    }

    fn begins(&mut self, turn: &Turn) -> Arc<Left> {
        let left = Arc::new(Left::of(turn, self.less.clone()));
        self.turns.push(left.clone());
        self.touched.extend(turn.datasets.iter().cloned());
        left
    }
}

/// What the scan says of a dataset.
struct Found {
    dataset: DatasetName,
    due: Timestamp,
    /// Files of which no notice came.
    missed: u64,
}

/// Whether the service does its work.
#[derive(Debug, Default)]
pub struct Health(AtomicBool);

impl Health {
    pub(crate) fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

impl Service<'_> {
    /// Serves until `stop` is said, or nothing is left to do. A step that has not committed by then is handed back: its lease ends, and whoever
    /// comes next does it.
    ///
    /// # Errors
    /// When the state fails in a way that does not pass. Failing steps and unreadable folders are reported and tried again.
    pub async fn run(&self, stop: &Stop) -> Result<Over, ServerError> {
        let (ends, ended) = Stopper::new();
        let live = async {
            let over = self.live(stop).await;
            ends.stop();
            over
        };
        let windows = async {
            let windows = Windows { flow: &self.flow, grace: Duration::ZERO };
            if let Err(error) = windows.run(&ended).await {
                tracing::warn!(code = error.code(), error = %error, "this service makes no more windows of backfills");
            }
        };
        let (over, ()) = tokio::join!(live, windows);
        over
    }

    async fn live(&self, stop: &Stop) -> Result<Over, ServerError> {
        let flow = &self.flow;
        let mut unwatched = BTreeSet::new();
        // Watched before the first turn looks, so that nothing comes in between.
        self.arm(&mut Agenda::new(flow.project, flow.clock.now()), &mut unwatched);
        let mut seen = Seen::at_start(flow).await;
        let mut agenda = Agenda::new(flow.project, flow.clock.now());
        let (mut scan_at, mut look_at) = (self.next_scan(), flow.clock.now());
        let mut judge_at = if flow.project.alerts.is_empty() { Timestamp::MAX } else { flow.clock.now() };
        let mut stale = Stale::new(flow.project, flow.clock.now());
        let mut going = Going::default();
        self.health.set(true);
        let (mut idle, mut over, mut failed) = (Idle::new(self.exit_when_idle), Over::Stopped, Ok(()));
        while !stop.is_said() && failed.is_ok() {
            let (now, busy) = (flow.clock.now(), going.busy());
            let (requests, answered) = self.intake.requests();
            let is_quiet = answered && going.is_nothing() && agenda.is_empty() && self.has_told();
            let ends = going.last(idle.ends(is_quiet, requests, now));
            if now >= ends {
                over = Over::Idle;
                break;
            }
            let may_begin = going.turns.len() < TURNS;
            if now >= scan_at {
                let quiet = self.quiet(&mut agenda, &busy);
                going.work.push(Box::pin(self.scan(quiet, stop)));
                self.arm(&mut agenda, &mut unwatched);
                scan_at = Timestamp::MAX;
            } else if now >= judge_at {
                going.work.push(Box::pin(async { Ended::Judged(flow.tell_alerts(Judged::All).await) }));
                judge_at = Timestamp::MAX;
            } else if now >= look_at && self.health.is_ready() && seen.rests.lasts(flow) {
                look_at = after(now, LOOK_AT_REST);
            } else if now >= look_at {
                going.begins_to_look();
                let look = seen.look(flow);
                // Until that look has ended: what has been written ends a rest again and again.
                seen.rests = Resting::default();
                going.work.push(Box::pin(async { Ended::Look(look.await) }));
                look_at = Timestamp::MAX;
            } else if now >= stale.next() {
                let ages = stale.look(flow);
                going.work.push(Box::pin(async {
                    tokio::select! {
                        ages = ages => Ended::Ages(ages),
                        () = stop.clone().said() => Ended::Ages(Vec::new()),
                    }
                }));
            } else if may_begin && let Some(turn) = agenda.take(now, &busy) {
                let left = going.begins(&turn);
                going.work.push(Box::pin(self.turn(self.intake.turns.begin(), left, turn, stop)));
            } else {
                let next = agenda.next(&busy).filter(|_| may_begin).map_or(scan_at, |t| t.min(scan_at)).min(look_at);
                let next = next.min(judge_at).min(stale.next()).min(ends);
                let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
                tokio::select! {
                    changed = self.watch.changed() => {
                        let now = flow.clock.now();
                        changed.iter().for_each(|(name, what)| agenda.arrived(name, *what, now, now));
                        self.arm(&mut agenda, &mut unwatched);
                    }
                    pushed = self.intake.arrived() => {
                        let now = flow.clock.now();
                        pushed.iter().for_each(|(name, what)| agenda.arrived(name, *what, now, now));
                    }
                    Some(ended) = going.work.next() => match ended {
                        Ended::Look(news) => {
                            look_at = after(flow.clock.now(), LOOK_EVERY);
                            failed = self.looked(&mut seen, &mut agenda, &mut going, news, stop);
                        }
                        Ended::Ages(ages) => {
                            let ages = stale.tell(ages, flow);
                            if !ages.is_empty() {
                                going.work.push(Box::pin(async move { Ended::Aged(flow.tell_ages(&ages).await) }));
                            }
                        }
                        ended => {
                            match ended {
                                Ended::Scan(_) => scan_at = self.next_scan(),
                                Ended::Judged(_) => judge_at = after(flow.clock.now(), JUDGE_EVERY),
                                Ended::Turn(..) => stale.changed(flow.clock.now()),
                                Ended::Aged(ref done) => stale.judged(matches!(done, Ok(true)), flow.clock.now()),
                                Ended::Look(_) | Ended::Ages(_) | Ended::Replay(..) => {}
                            }
                            failed = self.ended(&mut agenda, &mut going, ended);
                        }
                    },
                    () = seen.rests.ends(flow) => look_at = flow.clock.now(),
                    () = self.intake.has_to_look() => look_at = look_at.min(flow.clock.now()),
                    () = going.less.notified() => {}
                    () = flow.timer.wait(wait) => {}
                    () = stop.clone().said() => {}
                }
            }
        }
        // They heard the word, too, or end by themselves.
        while let Some(ended) = going.work.next().await {
            failed = failed.and(self.ended(&mut agenda, &mut going, ended));
        }
        self.intake.turns.over();
        self.health.set(false);
        failed.map(|()| over)
    }

    /// Whether nothing keeps the service up beside its loop: what waits in a state that cannot be reached is not known, and
    /// what is due for the sinks is told first.
    fn has_told(&self) -> bool {
        self.health.is_ready() && self.telling.load(Ordering::Relaxed) == 0
    }

    /// What was acknowledged, or came, while an idle service closed.
    ///
    /// # Errors
    /// As [`Flow::run`].
    pub async fn finish(&self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let (flow, stop) = (&self.flow, stop.shared());
        let (pushed, noticed) = (self.intake.noticed(), self.watch.noticed());
        let mut is_due = !pushed.is_empty() || !noticed.is_empty();
        for asked in Seen::default().asked(flow).await? {
            match flow.replay_asked(&asked, stop.clone()).await {
                Ok(Some((summary, _))) if summary.stopped => return Ok(()),
                Ok(_) => {}
                Err(error @ FlowError::Store(_)) => return Err(error.into()),
                Err(error) => {
                    broke_off(&asked, &error);
                    is_due = true;
                }
            }
        }
        if is_due {
            flow.run(&Options { command: "serve".to_owned(), ..Options::default() }, stop).await?;
        }
        Ok(())
    }

    /// Begins what a look found.
    fn looked<'s>(
        &'s self,
        seen: &mut Seen,
        agenda: &mut Agenda<'_>,
        going: &mut Going<'s>,
        news: Result<News, FlowError>,
        stop: &'s Stop,
    ) -> Result<(), ServerError> {
        let flow = &self.flow;
        let news = match news {
            Ok(news) => news,
            Err(FlowError::Store(error)) if error.class().may_pass() => {
                self.unreachable(&error);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.health.set(true);
        for asked in seen.take(news, flow, agenda, &going.touched, flow.clock.now()) {
            if going.replays.len() < REPLAYS && going.replays.insert(asked.id.clone()) {
                going.work.push(Box::pin(async move {
                    let done = flow.replay_asked(&asked, stop.clone().said()).await;
                    Ended::Replay(asked, Box::new(done))
                }));
            }
        }
        Ok(())
    }

    /// Told when it begins.
    fn unreachable(&self, error: &StoreError) {
        if self.health.is_ready() {
            tracing::warn!(code = error.code(), error = %error, "the state cannot be reached; it is tried again");
        }
        self.health.set(false);
    }

    /// A replay is told of in the state, where whoever asked for it looks.
    fn replayed(
        &self,
        agenda: &mut Agenda<'_>,
        asked: &ReplayRecord,
        done: Result<Option<(Summary, Tried)>, FlowError>,
    ) -> Result<(), ServerError> {
        let flow = &self.flow;
        match done {
            Ok(Some((summary, Tried { datasets, .. }))) => {
                let turn = Turn { datasets, failing: BTreeSet::new() };
                agenda.did(&turn, &summary, flow.clock.now(), flow.entropy);
            }
            Ok(None) => {}
            // It waits, and is taken again.
            Err(FlowError::Store(error)) if error.class().may_pass() => self.unreachable(&error),
            Err(error @ FlowError::Store(_)) => return Err(error.into()),
            Err(error) => {
                broke_off(asked, &error);
                flow.project.datasets.keys().for_each(|name| agenda.at(name, flow.clock.now()));
            }
        }
        Ok(())
    }

    async fn turn(&self, number: u64, left: Arc<Left>, turn: Turn, stop: &Stop) -> Ended {
        let options = Options {
            command: "serve".to_owned(),
            turn: Some(turn.clone()),
            left: Some(left.clone()),
            ..Options::default()
        };
        let done = self.flow.run(&options, stop.clone().said()).await;
        Ended::Turn(number, left, turn, Box::new(done))
    }

    fn ended(&self, agenda: &mut Agenda<'_>, going: &mut Going<'_>, ended: Ended) -> Result<(), ServerError> {
        let flow = &self.flow;
        let (number, left, turn, done) = match ended {
            Ended::Turn(number, left, turn, done) => (number, left, turn, *done),
            Ended::Scan(found) => {
                self.found(agenda, &going.busy(), found);
                return Ok(());
            }
            Ended::Replay(asked, done) => {
                going.replays.remove(&asked.id);
                return self.replayed(agenda, &asked, *done);
            }
            Ended::Aged(done) => return self.ended(agenda, going, Ended::Judged(done.map(|_| ()))),
            Ended::Judged(done) => {
                return match done {
                    Err(FlowError::Store(error)) if error.class().may_pass() => {
                        self.unreachable(&error);
                        Ok(())
                    }
                    done => Ok(done?),
                };
            }
            // Nobody goes on from it any more.
            Ended::Look(_) | Ended::Ages(_) => return Ok(()),
        };
        going.turns.retain(|t| !Arc::ptr_eq(t, &left));
        match done {
            Ok(summary) => {
                self.health.set(true);
                agenda.did(&turn, &summary, flow.clock.now(), flow.entropy);
                if !summary.stopped {
                    self.intake.turns.ended(number, &turn, &summary);
                }
            }
            Err(FlowError::Store(error)) if error.class().may_pass() => {
                self.unreachable(&error);
                agenda.undone(&turn, flow.clock.now(), flow.entropy);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What came since then, while nobody listened.
    fn hear(&self, agenda: &mut Agenda<'_>, since: Timestamp) {
        let now = self.flow.clock.now();
        for (name, what) in self.watch.noticed().into_iter().chain(self.intake.noticed()) {
            agenda.arrived(&name, what, since, now);
        }
    }

    /// Watches what can be watched now. What lies in a folder that was not watched before is looked for.
    fn arm(&self, agenda: &mut Agenda<'_>, told: &mut BTreeSet<PathBuf>) {
        let (fresh, unwatched) = self.watch.arm();
        let now = self.flow.clock.now();
        fresh.iter().for_each(|name| agenda.arrived(name, Arrived::default(), now, now));
        for one in unwatched {
            if told.insert(one.folder.clone()) {
                let (folder, error) = (one.folder.display(), one.error);
                tracing::warn!(%folder, %error, "the folder cannot be watched; only the scan sees what arrives there");
            }
        }
    }

    /// Datasets that the scan looks at: no turn does, nor will one soon.
    fn quiet(&self, agenda: &mut Agenda<'_>, busy: &BTreeSet<DatasetName>) -> Vec<&Dataset> {
        let flow = &self.flow;
        // What a notice has just told of is not missed.
        self.hear(agenda, flow.clock.now());
        let watched = |d: &&Dataset| matches!(d.kind, Kind::Bronze(_)) && !d.is_pushed() && d.schedule().is_none();
        let all = flow.project.datasets.values().filter(watched);
        all.filter(|d| !agenda.is_waiting(&d.name) && !busy.contains(&d.name)).collect()
    }

    /// Looks for what no notice told of.
    async fn scan(&self, datasets: Vec<&Dataset>, stop: &Stop) -> Ended {
        let mut all = Vec::new();
        let look = async {
            for d in datasets {
                let now = self.flow.clock.now();
                let found = |due, missed| Found { dataset: d.name.clone(), due, missed };
                all.extend(match self.flow.look(d).await {
                    Ok(look) if !look.arrivals.is_empty() => Some(found(now, look.arrivals.len() as u64)),
                    Ok(look) if look.unsettled > 0 => Some(found(after(now, look.settled_in), 0)),
                    Ok(_) => None,
                    // The turn tells what is wrong with it.
                    Err(_) => Some(found(now, 0)),
                });
            }
        };
        tokio::select! {
            () = look => {}
            () = stop.clone().said() => {}
        }
        Ended::Scan(all)
    }

    fn found(&self, agenda: &mut Agenda<'_>, busy: &BTreeSet<DatasetName>, found: Vec<Found>) {
        for Found { dataset, due, missed: files } in found {
            // A file may have come while the scan looked, and a turn may have taken it.
            let noticed = self.watch.has_notice(&dataset) || self.intake.has_notice(&dataset);
            let told = agenda.is_waiting(&dataset) || busy.contains(&dataset) || noticed;
            // Of what is in a bucket that sends no notices the scan is the way to hear.
            let watched = self.flow.project.datasets.get(&dataset).is_some_and(|d| d.folder().is_some());
            agenda.at(&dataset, due);
            if files > 0 && (watched || self.intake.is_told_of(&dataset)) && !told {
                if watched {
                    self.watch.renew(&dataset);
                }
                self.flow.report.signal(Signal::Missed { dataset, files });
            }
        }
    }

    fn next_scan(&self) -> Timestamp {
        after(self.flow.clock.now(), self.scan_every)
    }
}

/// Its end is in the state; what it had brought back by then is open.
fn broke_off(asked: &ReplayRecord, error: &FlowError) {
    tracing::warn!(code = error.code(), error = %error, replay = %asked.id, "a replay broke off");
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else a turn that ends while the look goes on would be followed by one that has nothing to do.
    #[test]
    fn what_a_turn_did_while_a_look_went_on_is_not_known_by_that_look() {
        let name = |text: &str| text.parse::<DatasetName>().expect("a name");
        let turn = |names: &[&str]| Turn { datasets: names.iter().map(|n| name(n)).collect(), ..Turn::default() };
        let mut going = Going::default();
        let first = going.begins(&turn(&["bronze.a", "gold.a"]));
        going.begins_to_look();
        let second = going.begins(&turn(&["bronze.b"]));
        going.turns.retain(|t| !Arc::ptr_eq(t, &first) && !Arc::ptr_eq(t, &second));
        assert!(going.busy().is_empty());
        assert_eq!(going.touched, turn(&["bronze.a", "bronze.b", "gold.a"]).datasets);
        going.begins_to_look();
        assert!(going.touched.is_empty());
    }

    #[test]
    fn what_a_look_is_about_to_find_is_waited_for() {
        let mut going = Going::default();
        assert_eq!(going.last(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
        going.work.push(Box::pin(async { Ended::Scan(Vec::new()) }));
        assert!(going.is_nothing());
        assert_eq!(going.last(Timestamp::UNIX_EPOCH), Timestamp::MAX);
        assert!(going.work.next().now_or_never().flatten().is_some());
        assert_eq!(going.last(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
    }
}
