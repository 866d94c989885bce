//! The loop of a service: waits until something is due, and does it as `run` does.
//!
//! Called by cli. One turn at a time; while nothing arrives nothing runs. It keeps nothing that a restart needs: its
//! first turn looks at everything.

use crate::{Intake, ServerError, Stop};
use alluvium_flow::{Agenda, Arrived, Flow, FlowError, Options, Signal, Turn};
use alluvium_model::Fault;
use alluvium_source::files::FolderWatch;
use alluvium_spec::Kind;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

pub struct Service<'a> {
    pub flow: Flow<'a>,
    pub watch: &'a FolderWatch,
    pub intake: Intake,
    pub health: &'a Health,
    /// Between two looks for files of which no notice came.
    pub scan_every: Duration,
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
    /// Serves until `stop` is said. A step that has not committed by then is handed back: its lease ends, and whoever
    /// comes next does it.
    ///
    /// # Errors
    /// When the state fails in a way that does not pass. Failing steps and unreadable folders are reported and tried again.
    pub async fn run(&self, stop: &Stop) -> Result<(), ServerError> {
        let flow = &self.flow;
        let mut unwatched = BTreeSet::new();
        // Watched before the first turn looks, so that nothing comes in between.
        self.arm(&mut Agenda::new(flow.project, flow.clock.now()), &mut unwatched);
        let mut agenda = Agenda::new(flow.project, flow.clock.now());
        let mut scan_at = self.next_scan();
        self.health.set(true);
        while !stop.is_said() {
            let now = flow.clock.now();
            if now >= scan_at {
                self.scan(&mut agenda).await;
                self.hear(&mut agenda, now);
                self.arm(&mut agenda, &mut unwatched);
                scan_at = self.next_scan();
            } else if let Some(turn) = agenda.take(now) {
                self.turn(&mut agenda, turn, stop).await?;
                self.hear(&mut agenda, now);
            } else {
                let next = agenda.next().map_or(scan_at, |t| t.min(scan_at));
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
                    () = flow.timer.wait(wait) => {}
                    () = stop.clone().said() => {}
                }
            }
        }
        self.health.set(false);
        Ok(())
    }

    async fn turn(&self, agenda: &mut Agenda<'_>, turn: Turn, stop: &Stop) -> Result<(), ServerError> {
        let flow = &self.flow;
        let options = Options { command: "serve".to_owned(), turn: Some(turn.clone()), ..Options::default() };
        match flow.run(&options, stop.clone().said()).await {
            Ok(summary) => {
                self.health.set(true);
                agenda.did(&turn, &summary, flow.clock.now(), flow.entropy);
            }
            Err(FlowError::Store(error)) if error.class().may_pass() => {
                tracing::warn!(code = error.code(), error = %error, "the state cannot be reached; it is tried again");
                self.health.set(false);
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

    /// Looks for what no notice told of.
    async fn scan(&self, agenda: &mut Agenda<'_>) {
        let flow = &self.flow;
        // What a notice has just told of is not missed.
        self.hear(agenda, flow.clock.now());
        for dataset in flow
            .project
            .datasets
            .values()
            .filter(|d| matches!(d.kind, Kind::Bronze(_)) && !d.is_pushed() && d.schedule().is_none())
        {
            if agenda.is_waiting(&dataset.name) {
                continue;
            }
            let now = flow.clock.now();
            match flow.look(dataset).await {
                Ok(look) if !look.arrivals.is_empty() => {
                    // A file may have come while we looked.
                    if !self.watch.has_notice(&dataset.name) {
                        self.watch.renew(&dataset.name);
                        let (dataset, files) = (dataset.name.clone(), look.arrivals.len() as u64);
                        flow.report.signal(Signal::Missed { dataset, files });
                    }
                    agenda.at(&dataset.name, now);
                }
                Ok(look) if look.unsettled > 0 => agenda.at(&dataset.name, after(now, look.settled_in)),
                Ok(_) => {}
                // The turn tells what is wrong with it.
                Err(_) => agenda.at(&dataset.name, now),
            }
        }
    }

    fn next_scan(&self) -> Timestamp {
        after(self.flow.clock.now(), self.scan_every)
    }
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}
