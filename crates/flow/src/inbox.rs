//! From the inbox to landing objects: what was pushed becomes something that arrived, once.
//!
//! Called by `drain.rs` for datasets whose events are pushed. The object is durable before the inbox forgets the records; a
//! crash in between leaves an object that nothing refers to.

use crate::{Flow, FlowError, Signal, Summary, drain::look_error};
use alluvium_model::{EventId, RunId, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::NewEvent;

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
            let part = self.store.inbox(name, OBJECT_BYTES).await?;
            if part.records.is_empty() {
                return Ok(());
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
                summary.objects_new += 1;
                let (dataset, events) = (name.clone(), part.records.len() as u64);
                self.report.signal(Signal::LaidDown { dataset, events });
            }
        }
    }
}
