//! What lies in a landing zone becomes events: recorded once, however often it is looked at.
//!
//! Called by `drain.rs` for datasets that have a landing folder.

use crate::{Arrival, Flow, FlowError, Look, Options, Signal, Summary, drain::look_error};
use alluvium_model::{EventId, RunId, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::{EventState, NewEvent, Recorded};
use std::{collections::BTreeSet, time::Duration};

/// How often a landing zone is looked at while its files settle.
const SETTLE_LOOKS: u32 = 3;
/// Files that need longer are left for the next run.
const SETTLE_MOST: Duration = Duration::from_secs(30);
/// Refusals of one look that are told, however many parts it has.
const MOST_REFUSED: usize = 200;

impl Flow<'_> {
    /// Looks at the landing zone and records what arrived.
    pub(crate) async fn receive(
        &self,
        run: &RunId,
        dataset: &Dataset,
        options: &Options,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let name = &dataset.name;
        let mut looks = if options.turn.is_some() { SETTLE_LOOKS } else { 0 };
        loop {
            let look = self.take_in(run, dataset, summary).await?;
            let unsettled = look.unsettled;
            looks += 1;
            if unsettled == 0 || looks >= SETTLE_LOOKS || look.settled_in > SETTLE_MOST {
                summary.unsettled.insert(name.clone(), unsettled);
                if unsettled > 0 {
                    summary.settled_in.insert(name.clone(), look.settled_in);
                }
                for r in look.refused {
                    let dataset = name.clone();
                    if summary.refused.insert((dataset.clone(), r.path.clone())) {
                        self.report.signal(Signal::Refused { dataset, path: r.path, code: r.code, reason: r.reason });
                    }
                }
                return Ok(());
            }
            let time = look.settled_in;
            self.report.signal(Signal::Settling { dataset: name.clone(), files: unsettled, time });
            self.timer.wait(time).await;
        }
    }

    /// Looks once, and records what arrived, part by part where that is much: what is recorded stays, whatever becomes of the rest. The look of
    /// the whole has no arrivals.
    async fn take_in(&self, run: &RunId, dataset: &Dataset, summary: &mut Summary) -> Result<Look, FlowError> {
        let name = &dataset.name;
        let known = self.store.known_files(name).await?;
        let (mut all, mut new, mut duplicates) = (Look::default(), 0, 0);
        loop {
            let look = self.landing.look(dataset, &known, all.upto.as_deref()).await;
            let look = look.map_err(|e| look_error(name, e))?;
            let (n, d) = self.record_arrivals(run, dataset, look.arrivals).await?;
            (new, duplicates) = (new + n, duplicates + d);
            summary.objects_new += n;
            summary.objects_duplicate += d;
            all.unsettled += look.unsettled;
            all.settled_in = all.settled_in.max(look.settled_in);
            let left = MOST_REFUSED.saturating_sub(all.refused.len());
            all.refused.extend(look.refused.into_iter().take(left));
            all.upto = look.upto;
            if all.upto.is_none() {
                let unsettled = all.unsettled;
                self.report.signal(Signal::Looked { dataset: name.clone(), new, duplicates, unsettled });
                return Ok(all);
            }
        }
    }

    /// How many were new, and how many had come before.
    async fn record_arrivals(
        &self,
        run: &RunId,
        dataset: &Dataset,
        arrivals: Vec<Arrival>,
    ) -> Result<(u64, u64), FlowError> {
        let (name, now) = (&dataset.name, self.clock.now());
        let event = |a: Arrival| NewEvent {
            event: EventId::of(name, &a.content),
            dataset: name.clone(),
            path: a.path,
            content: a.content,
            bytes: a.bytes,
            modified_nanos: a.modified_nanos,
            received_at: now,
        };
        let (events, letters) = self.redelivered(arrivals.into_iter().map(event).collect()).await?;
        let recorded = self.record(run, &events).await?;
        for letter in &letters {
            self.store.replay_event(run, letter, None, None).await?;
        }
        if !letters.is_empty() {
            self.forget_payloads(name).await?;
        }
        Ok(recorded)
    }

    /// Content that arrives again after it became a dead letter is another event: whoever delivers it wants it tried. The
    /// letters are closed when that event is recorded.
    async fn redelivered(&self, mut events: Vec<NewEvent>) -> Result<(Vec<NewEvent>, BTreeSet<EventId>), FlowError> {
        let mut letters = BTreeSet::new();
        loop {
            let ids: Vec<EventId> = events.iter().map(|e| e.event.clone()).collect();
            let known = self.store.events(&ids).await?;
            let of = |state| known.iter().filter(move |e| e.state == state).map(|e| e.event.clone());
            let dead: BTreeSet<EventId> = of(EventState::Dead).collect();
            let replayed: BTreeSet<EventId> = of(EventState::Replayed).collect();
            if dead.is_empty() && replayed.is_empty() {
                return Ok((events, letters));
            }
            for e in events.iter_mut().filter(|e| dead.contains(&e.event) || replayed.contains(&e.event)) {
                e.event = e.event.again();
            }
            letters.extend(dead);
        }
    }

    async fn record(&self, run: &RunId, events: &[NewEvent]) -> Result<(u64, u64), FlowError> {
        if events.is_empty() {
            return Ok((0, 0));
        }
        crash_point("events.before_record");
        let recorded = self.store.record_events(run, events).await?;
        crash_point("events.after_record");
        let (mut new, mut duplicates) = (0, 0);
        for (event, r) in events.iter().zip(recorded) {
            match r {
                Recorded::New => {
                    tracing::info!(%run, dataset = %event.dataset, event = %event.event, path = event.path, "arrived");
                    new += 1;
                }
                Recorded::Duplicate { first_path } => {
                    duplicates += 1;
                    let (dataset, path) = (event.dataset.clone(), event.path.clone());
                    self.report.signal(Signal::Duplicate { dataset, path, first_path });
                }
            }
        }
        Ok((new, duplicates))
    }
}
