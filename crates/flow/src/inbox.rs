//! From the inbox to landing objects: what was pushed becomes something that arrived, once.
//!
//! Called by `drain.rs` for datasets whose events are pushed. The object is durable before the inbox forgets the records; a
//! crash in between leaves an object that nothing refers to.

use crate::{Flow, FlowError, Signal, Summary, drain::look_error};
use alluvium_model::{EventId, RunId, crash_point};
use alluvium_spec::{Dataset, OrderBy};
use alluvium_store::NewEvent;
use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;

/// One landing object holds about so many bytes at most.
const OBJECT_BYTES: u64 = 32 << 20;

impl Flow<'_> {
    pub(crate) async fn lay_down(
        &self,
        run: &RunId,
        dataset: &Dataset,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let name = &dataset.name;
        loop {
            let mut part = self.store.inbox(name, OBJECT_BYTES).await?;
            if part.records.is_empty() {
                return Ok(());
            }
            if dataset.bronze().is_some_and(|b| b.order_by == OrderBy::Time) {
                by_time(&mut part.records);
            }
            let object = self.landing.lay_down(dataset, &part.records).await.map_err(|e| look_error(name, e))?;
            let event = NewEvent {
                event: EventId::of(name, &object.content),
                dataset: name.clone(),
                path: object.path,
                content: object.content,
                bytes: object.bytes,
                modified_nanos: object.modified_nanos,
                received_at: self.clock.now(),
            };
            crash_point("events.before_record");
            let landed = self.store.land(run, &event, &part).await?;
            crash_point("events.after_record");
            // Otherwise another process took some of it: what is left is looked for anew.
            if landed {
                tracing::info!(
                    %run, dataset = %name, event = %event.event, path = event.path, records = part.records.len(),
                    "laid down"
                );
                summary.objects_new += 1;
                let (dataset, events) = (name.clone(), part.records.len() as u64);
                self.report.signal(Signal::LaidDown { dataset, events });
            }
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    ce_time: Option<Cow<'a, str>>,
}

/// The events of a landing object by their own time; of one time, and those that name none, as they came. These are last.
fn by_time(records: &mut [String]) {
    records.sort_by_cached_key(|record| {
        let time = serde_json::from_str(record).ok().and_then(|e: Envelope<'_>| e.ce_time?.parse::<Timestamp>().ok());
        (time.is_none(), time)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_an_object_go_by_their_own_time() {
        let of = |id: u32, time: &str| format!("{{\"ce_id\":\"{id}\",\"ce_time\":\"{time}\",\"a\":[{{}}]}}");
        let none = |id: u32| format!("{{\"ce_id\":\"{id}\",\"ce_time\":7}}");
        let came = [
            of(1, "2024-01-01T10:00:00Z"),
            none(2),
            // Escaped as JSON allows, and of another zone: half past nine.
            of(3, "2024-01-01T11\\u003a30:00+02:00"),
            "no JSON".to_owned(),
            of(5, "2024-01-01T10:00:00.000Z"),
            of(6, "2024-01-01T09:59:59.999999Z"),
        ];
        let mut records = came.to_vec();
        by_time(&mut records);
        assert_eq!(records, [2, 5, 0, 4, 1, 3].map(|i| came[i].clone()));
    }
}
