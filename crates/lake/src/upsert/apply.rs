//! Writes what the probe decided: files without their superseded rows, the winners, and the change feed.

use super::{
    candidates::{Candidates, DELETED, Spot, rows_of},
    probe::{OUTDATED, Probed, REPLACES},
    winners::Winners,
};
use crate::{
    error::LakeError,
    lanes::Shared,
    meter::Meter,
    scan::{Unit, conform},
    stage::{Lane, StagedFile, Stager},
};
use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray},
    compute::{filter_record_batch, not},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// Column of the change feed that tells the kind of change.
const CHANGE: &str = "_change_type";

/// What one lane wrote.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) add: Vec<StagedFile>,
    pub(crate) feed: Vec<StagedFile>,
    pub(crate) tombstones: Vec<StagedFile>,
}

/// Everything that the lanes of one call share.
pub(crate) struct Plan {
    pub(crate) table: SchemaRef,
    pub(crate) candidates: Candidates,
    pub(crate) probed: Probed,
    /// Row groups of the files that hold a superseded row.
    rewrite: Vec<Unit>,
    /// Winners that stand, by place: those of one batch of candidates together, and whether a stored row made way.
    emit: Vec<Vec<(Spot, bool)>>,
    pub(crate) stager: Stager,
    /// `None`: nothing was superseded, and the added files alone tell what changed.
    pub(crate) feed: Option<Stager>,
    pub(crate) tombstones: Option<Stager>,
    meter: Arc<Meter>,
}

pub(crate) fn feed_schema(table: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> = table.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(CHANGE, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

impl Plan {
    #[expect(clippy::too_many_arguments, reason = "the parts of the plan")]
    pub(crate) fn new(
        table: SchemaRef,
        candidates: Candidates,
        winners: &Winners,
        fate: &[AtomicU8],
        probed: Probed,
        units: &[Unit],
        stager: Stager,
        feed: Option<Stager>,
        tombstones: Option<Stager>,
        meter: Arc<Meter>,
    ) -> Self {
        let rewrite = units.iter().filter(|u| probed.superseded.contains_key(&u.file)).cloned().collect();
        let mut spots: Vec<(Spot, bool)> = winners
            .all
            .iter()
            .zip(fate)
            .map(|(c, f)| (c.spot, f.load(Ordering::Relaxed)))
            .filter(|(_, f)| *f != OUTDATED)
            .map(|(s, f)| (s, f == REPLACES))
            .collect();
        spots.sort_unstable();
        let mut emit: Vec<Vec<(Spot, bool)>> = Vec::new();
        for s in spots {
            match emit.last_mut().filter(|b| same_batch(b[0].0, s.0)) {
                Some(batch) => batch.push(s),
                None => emit.push(vec![s]),
            }
        }
        Self { table, candidates, probed, rewrite, emit, stager, feed, tombstones, meter }
    }

    /// What the change feed calls the removal of a stored row.
    fn kind_of(&self, file: usize, row: u64) -> &'static str {
        if self.probed.deleted.contains(&(file, row)) { "delete" } else { "update_preimage" }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rewrite.iter().map(|u| u.rows).sum::<u64>() + self.emit.iter().map(|b| b.len() as u64).sum::<u64>()
    }
}

fn same_batch(a: Spot, b: Spot) -> bool {
    a.lane() == b.lane() && a.batch() == b.batch()
}

/// The lanes' files of one kind each.
struct Out<'a> {
    add: Lane<'a>,
    feed: Option<Lane<'a>>,
    tombstones: Option<Lane<'a>>,
}

/// One lane: row groups to rewrite first, then batches of winners.
pub(crate) fn apply(plan: &Plan, shared: &Shared) -> Result<Applied, LakeError> {
    let mut out = Out {
        add: plan.stager.lane(),
        feed: plan.feed.as_ref().map(Stager::lane),
        tombstones: plan.tombstones.as_ref().map(Stager::lane),
    };
    let total = plan.rewrite.len() + plan.emit.len();
    let mut readers = BTreeMap::new();
    while let Some(i) = shared.take(total) {
        match i.checked_sub(plan.rewrite.len()) {
            None => {
                rewrite(plan, &plan.rewrite[i], &mut out)?;
                shared.advance(plan.rewrite[i].rows)?;
            }
            Some(b) => {
                let batch = &plan.emit[b];
                let lane = batch[0].0.lane();
                let reader = match readers.entry(lane) {
                    std::collections::btree_map::Entry::Occupied(r) => r.into_mut(),
                    std::collections::btree_map::Entry::Vacant(v) => v.insert(plan.candidates.reader(lane)?),
                };
                let spots: Vec<Spot> = batch.iter().map(|(s, _)| *s).collect();
                let rows = rows_of(reader, &spots)?;
                emit(plan, batch, &rows, &mut out)?;
                shared.advance(batch.len() as u64)?;
            }
        }
    }
    Ok(Applied {
        add: out.add.finish()?,
        feed: out.feed.map(Lane::finish).transpose()?.unwrap_or_default(),
        tombstones: out.tombstones.map(Lane::finish).transpose()?.unwrap_or_default(),
    })
}

/// Keeps what stands of one row group; what does not goes to the change feed.
fn rewrite(plan: &Plan, unit: &Unit, out: &mut Out<'_>) -> Result<(), LakeError> {
    let gone = &plan.probed.superseded[&unit.file];
    let mut row = unit.base;
    for batch in unit.read(&plan.table, &plan.meter)? {
        let batch = batch?;
        let end = row + batch.num_rows() as u64;
        let (from, to) = (gone.partition_point(|r| *r < row), gone.partition_point(|r| *r < end));
        if from == to {
            out.add.write(&batch)?;
        } else {
            let mut keep = vec![true; batch.num_rows()];
            for r in &gone[from..to] {
                keep[(*r - row) as usize] = false;
            }
            let keep = BooleanArray::from(keep);
            out.add.write(&filter_record_batch(&batch, &keep)?)?;
            let old = filter_record_batch(&batch, &not(&keep)?)?;
            let kinds: Vec<&str> = gone[from..to].iter().map(|r| plan.kind_of(unit.file, *r)).collect();
            write_feed(out, &old, &kinds)?;
        }
        row = end;
    }
    Ok(())
}

fn emit(plan: &Plan, batch: &[(Spot, bool)], rows: &RecordBatch, out: &mut Out<'_>) -> Result<(), LakeError> {
    let deleted = rows.column_by_name(DELETED).ok_or(LakeError::Worker("candidates say whether they delete"))?;
    let deleted = deleted.as_boolean();
    let live = conform(&filter_record_batch(rows, &not(deleted)?)?, &plan.table)?;
    out.add.write(&live)?;
    if out.feed.is_some() {
        let kinds: Vec<&str> = batch
            .iter()
            .enumerate()
            .filter(|(i, _)| !deleted.value(*i))
            .map(|(_, (_, replaces))| if *replaces { "update_postimage" } else { "insert" })
            .collect();
        write_feed(out, &live, &kinds)?;
    }
    if deleted.true_count() > 0
        && let (Some(lane), Some(stager)) = (&mut out.tombstones, &plan.tombstones)
    {
        lane.write(&conform(&filter_record_batch(rows, deleted)?, stager.schema())?)?;
    }
    Ok(())
}

fn write_feed(out: &mut Out<'_>, rows: &RecordBatch, kinds: &[&str]) -> Result<(), LakeError> {
    let Some(feed) = &mut out.feed else { return Ok(()) };
    if rows.num_rows() == 0 {
        return Ok(());
    }
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns.push(Arc::new(StringArray::from(kinds.to_vec())));
    feed.write(&RecordBatch::try_new(feed_schema(&rows.schema()), columns)?)
}
