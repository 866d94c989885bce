//! Bronze rows through a silver dataset's steps into staged files, in lanes.
//!
//! Called by the silver step, which reads the rows, and by the ingest step, which has them in memory: see [`crate::ahead`].

use crate::{
    commit::Attempt,
    engine::LakeEngine,
    error::LakeError,
    refine::{self, Refinery, Tally, Turn},
    scan, silver,
    stage::{self, Lane, StagedFile, Stager},
    table::Place,
    upsert::{ArrivalLane, ArrivalPart, CandidateLane, CandidatePart, Keys, Room, Shape, Truncates},
};
use alluvium_model::DatasetName;
use arrow::{
    array::{AsArray, RecordBatch},
    compute::{filter, filter_record_batch, not},
    datatypes::SchemaRef,
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// Where accepted and refused rows are staged.
pub(crate) struct Outlet {
    pub(crate) rows: Arc<Stager>,
    /// Of keys that are deleted, when the dataset deletes.
    pub(crate) graves: Option<Arc<Stager>>,
    pub(crate) quarantine: Stager,
    pub(crate) room: Arc<Room>,
}

/// What the refining lanes share.
pub(crate) struct Refining {
    pub(crate) dataset: DatasetName,
    pub(crate) refinery: Arc<Refinery>,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) keys: Option<Keys>,
    /// Of a dataset that keeps versions or compares snapshots, with the folder for its events.
    pub(crate) events: Option<(Arc<Shape>, PathBuf)>,
}

impl Outlet {
    /// `schema`: of the dataset's table. `buries`: the keys of a dataset that keeps those it deletes.
    pub(crate) fn new(
        engine: &LakeEngine,
        attempt: &Attempt<'_>,
        dataset: &DatasetName,
        schema: &SchemaRef,
        buries: Option<&Keys>,
    ) -> Result<Self, LakeError> {
        let stager = |place: Place, schema| attempt.stager(engine, &place, schema);
        let graves = buries.map(|keys| {
            let schema = silver::tombstone_schema(keys, schema)?;
            Ok::<_, LakeError>(Arc::new(stager(Place::Tombstones(dataset.clone()), schema)))
        });
        Ok(Self {
            rows: Arc::new(stager(Place::Dataset(dataset.clone()), schema.clone())),
            graves: graves.transpose()?,
            quarantine: stager(Place::Quarantine(dataset.clone()), refine::quarantine_schema()),
            room: Arc::new(engine.room()),
        })
    }

    pub(crate) fn discard(&self, part: &Refined) {
        stage::discard(self.quarantine.dir(), &part.quarantined);
        stage::discard(self.rows.dir(), &part.files);
        if let Some(c) = &part.candidates {
            stage::discard(self.rows.dir(), &c.rows);
            if let Some(graves) = &self.graves {
                stage::discard(graves.dir(), &c.graves);
            }
        }
    }
}

/// What one refining lane made.
pub(crate) struct Refined {
    pub(crate) files: Vec<StagedFile>,
    pub(crate) quarantined: Vec<StagedFile>,
    pub(crate) candidates: Option<CandidatePart>,
    pub(crate) arrivals: Option<ArrivalPart>,
    /// Of a dataset with keys.
    pub(crate) truncates: Option<Truncates>,
    /// Landing objects of which records were set aside, where snapshots are compared.
    pub(crate) aside: BTreeSet<String>,
    pub(crate) tally: Tally,
}

/// One lane's part, while it is written.
pub(crate) struct RefineLane<'a> {
    work: &'a Refining,
    /// Of rows of the quarantine, which have to be unpacked first, as rows of this schema.
    packed: Option<&'a SchemaRef>,
    quarantine: Lane<'a>,
    out: Accepted<'a>,
    truncates: Option<Truncates>,
    aside: BTreeSet<String>,
    tally: Tally,
}

impl<'a> RefineLane<'a> {
    pub(crate) fn new(work: &'a Refining, packed: Option<&'a SchemaRef>) -> Result<Self, LakeError> {
        let outlet = &*work.outlet;
        let out = match (&work.events, &work.keys) {
            (Some((shape, scratch)), _) => Accepted::Versioned(Box::new(ArrivalLane::new(shape, scratch)?)),
            (None, Some(k)) => {
                Accepted::Keyed(Box::new(CandidateLane::new(k, &outlet.room, &outlet.rows, outlet.graves.as_deref())?))
            }
            (None, None) => Accepted::Appended(Box::new(outlet.rows.lane())),
        };
        let columns = work.refinery.output_schema();
        let history = work.events.as_ref().is_some_and(|(shape, _)| shape.history);
        let none = |keys| Truncates::none(keys, &columns, history);
        let truncates = work.keys.as_ref().map(none).transpose()?;
        Ok(Self {
            work,
            packed,
            quarantine: outlet.quarantine.lane(),
            out,
            truncates,
            aside: BTreeSet::new(),
            tally: Tally::default(),
        })
    }

    pub(crate) fn add(&mut self, mut batch: RecordBatch, turn: Option<Turn<'_>>) -> Result<(), LakeError> {
        let work = self.work;
        let mut before = None;
        if let Some(schema) = self.packed {
            let unpacked = refine::unquarantine(&batch, schema).map_err(|e| work.failed(e))?;
            before = Some(std::mem::replace(&mut batch, unpacked));
        }
        let mut refined = work.refinery.refine(&batch, turn, &mut self.tally).map_err(|e| work.failed(e))?;
        if let (Some(q), Some(before)) = (&mut refined.quarantined, &before) {
            *q = refine::replayed(q, before).map_err(|e| work.failed(e))?;
        }
        if let Some(q) = &refined.quarantined {
            self.quarantine.write(q)?;
            if work.keys.as_ref().is_some_and(|k| k.snapshots) {
                let events = q.column_by_name("_event_id").ok_or(LakeError::Worker("a row has its origin"))?;
                self.aside.extend(events.as_string::<i32>().iter().flatten().map(str::to_owned));
            }
        }
        self.truncate(&mut refined)?;
        let valid = || scan::conform(&refined.valid, work.outlet.rows.schema());
        match &mut self.out {
            Accepted::Keyed(c) => c.add(&valid()?, refined.deletes.as_ref()),
            Accepted::Versioned(a) => a.add(&refined.valid, refined.deletes.as_ref()),
            Accepted::Appended(rows) => rows.write(&valid()?).map(drop),
        }
    }

    /// Takes the truncates out of what was refined.
    fn truncate(&mut self, refined: &mut refine::Refined) -> Result<(), LakeError> {
        let found = refined.truncates.take().filter(|t| t.true_count() > 0);
        let (Some(found), Some(truncates)) = (found, &mut self.truncates) else { return Ok(()) };
        truncates.add(&filter_record_batch(&refined.valid, &found)?, &self.work.dataset)?;
        let others = not(&found)?;
        refined.valid = filter_record_batch(&refined.valid, &others)?;
        let deletes = refined.deletes.take().map(|d| filter(&d, &others)).transpose()?;
        refined.deletes = deletes.map(|d| d.as_boolean().clone());
        Ok(())
    }

    /// Files that a commit may refer to.
    pub(crate) fn finish(self) -> Result<Refined, LakeError> {
        let (quarantined, tally) = (self.quarantine.finish()?, self.tally);
        let (truncates, aside) = (self.truncates, self.aside);
        let mut refined =
            Refined { files: Vec::new(), quarantined, candidates: None, arrivals: None, truncates, aside, tally };
        match self.out {
            Accepted::Keyed(c) => refined.candidates = Some(c.finish()?),
            Accepted::Versioned(a) => refined.arrivals = Some(a.finish()?),
            Accepted::Appended(rows) => refined.files = rows.finish()?,
        }
        Ok(refined)
    }
}

/// Where a lane's accepted rows go.
enum Accepted<'a> {
    Keyed(Box<CandidateLane<'a>>),
    Versioned(Box<ArrivalLane>),
    Appended(Box<Lane<'a>>),
}

impl Refining {
    fn failed(&self, source: refine::RefineError) -> LakeError {
        LakeError::Refine { dataset: self.dataset.clone(), source }
    }
}
