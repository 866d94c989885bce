//! From staged files to one version of the table, and what follows it.
//!
//! The main commit is the decision: it carries the step key and the memory of what else the step does. The quarantine
//! follows from that memory, so that a crash between the two is finished by whoever comes next.

use crate::{
    aside,
    engine::LakeEngine,
    error::LakeError,
    fence, gate, held,
    incremental::Groups,
    lateness,
    refine::Stamp,
    scan,
    stage::{self, StagedFile, Stager},
    table::{DataFile, FileChange, Place, StepInfo, Table, TableKind},
    vector,
};
use alluvium_flow::{Job, Outcome};
use alluvium_model::{Balance, EventId, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::{QualityResult, Reached, StepKind, StepRecord, VerdictKind};
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::{
    kernel::{Action, DeletionVectorDescriptor, Remove},
    protocol::SaveMode,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One execution of one step.
pub(crate) struct Attempt<'a> {
    pub(crate) step: &'a StepRecord,
    /// Tells this attempt's staged files from those of an earlier one.
    pub(crate) nonce: u64,
    pub(crate) at: jiff::Timestamp,
}

/// What an attempt wants to commit.
pub(crate) struct Staged {
    pub(crate) schema: SchemaRef,
    /// The table as it was read, when what is staged rests on that; then the commit is made against exactly this version.
    pub(crate) read: Option<Table>,
    pub(crate) evolved: Option<SchemaRef>,
    /// What the table is to remember under a name; `None`: what it does.
    pub(crate) property: Option<(&'static str, String)>,
    pub(crate) kind: TableKind,
    pub(crate) add: Vec<StagedFile>,
    /// So many files at the end of `add` have rows that the table had before, and that only moved.
    pub(crate) moved: usize,
    pub(crate) remove: Vec<Remove>,
    /// Files of the table of which more rows are gone.
    pub(crate) marked: Vec<(DataFile, DeletionVectorDescriptor)>,
    pub(crate) feed: Vec<StagedFile>,
    pub(crate) quarantine: Vec<StagedFile>,
    pub(crate) quarantine_remove: Vec<String>,
    /// Keys that the step deletes, with their sequences.
    pub(crate) tombstones: Vec<StagedFile>,
    pub(crate) tombstones_remove: Vec<String>,
    pub(crate) balance: Balance,
    pub(crate) dead: Vec<(EventId, String)>,
    pub(crate) quality: Vec<QualityResult>,
    /// Of columns, as `accept` measured them.
    pub(crate) figures: BTreeMap<String, f64>,
    pub(crate) notes: Vec<String>,
    pub(crate) reached: Option<Reached>,
    /// Of the quarantined rows, those that only came late.
    pub(crate) late_aside: u64,
    pub(crate) windows: u64,
    pub(crate) rows_in: u64,
    /// Kept groups, and the files written for them.
    pub(crate) groups: Option<(Groups, Vec<StagedFile>)>,
}

impl Staged {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            read: None,
            evolved: None,
            property: None,
            kind: TableKind::Plain,
            add: Vec::new(),
            moved: 0,
            remove: Vec::new(),
            marked: Vec::new(),
            feed: Vec::new(),
            quarantine: Vec::new(),
            quarantine_remove: Vec::new(),
            tombstones: Vec::new(),
            tombstones_remove: Vec::new(),
            balance: Balance::default(),
            dead: Vec::new(),
            quality: Vec::new(),
            figures: BTreeMap::new(),
            notes: Vec::new(),
            reached: None,
            late_aside: 0,
            windows: 0,
            rows_in: 0,
            groups: None,
        }
    }

    /// Files of `add` that the step made, and those whose rows only moved.
    pub(crate) fn made_and_moved(&self) -> (&[StagedFile], &[StagedFile]) {
        self.add.split_at(self.add.len().saturating_sub(self.moved))
    }

    /// Whether the commit would hold no record, loaded or not.
    fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.balance == Balance::default()
    }

    /// Nothing of it is published: its records are counted as dropped, but for those that were counted elsewhere before.
    fn give_up(&mut self, engine: &LakeEngine, dataset: &Dataset) {
        self.discard(engine, dataset);
        let Balance { received, loaded, quarantined, dropped, dead, duplicates, late } = self.balance;
        let dropped = dropped + loaded + quarantined + late;
        *self = Self {
            balance: Balance { received, dropped, dead, duplicates, ..Balance::default() },
            dead: std::mem::take(&mut self.dead),
            quality: std::mem::take(&mut self.quality),
            notes: std::mem::take(&mut self.notes),
            kind: self.kind,
            rows_in: self.rows_in,
            ..Self::new(self.schema.clone())
        };
    }

    /// Brings all that the commit names, or its memory, to where others read it.
    async fn upload(&self, engine: &LakeEngine, dataset: &Dataset) -> Result<(), LakeError> {
        let disk = &engine.tables.disk;
        let dir = engine.tables.dir(&Place::Dataset(dataset.name.clone()));
        let groups = self.groups.iter().flat_map(|(_, files)| files);
        let own: Vec<StagedFile> = self.add.iter().chain(&self.feed).chain(groups).cloned().collect();
        stage::upload(disk, &dir, &own).await?;
        let vectors: BTreeSet<String> = self.marked.iter().filter_map(|(_, v)| vector::file_of(v)).collect();
        if !vectors.is_empty() {
            disk.upload(vectors.iter().map(|v| dir.join(v)).collect()).await?;
        }
        for (place, files) in [
            (Place::Quarantine(dataset.name.clone()), &self.quarantine),
            (Place::Tombstones(dataset.name.clone()), &self.tombstones),
        ] {
            stage::upload(disk, &engine.tables.dir(&place), files).await?;
        }
        Ok(())
    }

    pub(crate) fn discard(&self, engine: &LakeEngine, dataset: &Dataset) {
        let dir = engine.tables.dir(&Place::Dataset(dataset.name.clone()));
        stage::discard(&dir, &self.add);
        for vectors in self.marked.iter().filter_map(|(_, v)| vector::file_of(v)) {
            let _ = std::fs::remove_file(dir.join(vectors));
        }
        self.discard_beside(engine, dataset);
    }

    /// All but the rows themselves, and the vectors, of which several may share a file.
    fn discard_beside(&self, engine: &LakeEngine, dataset: &Dataset) {
        let dir = engine.tables.dir(&Place::Dataset(dataset.name.clone()));
        stage::discard(&dir, &self.feed);
        if let Some((_, files)) = &self.groups {
            stage::discard(&dir, files);
        }
        stage::discard(&engine.tables.dir(&Place::Quarantine(dataset.name.clone())), &self.quarantine);
        stage::discard(&engine.tables.dir(&Place::Tombstones(dataset.name.clone())), &self.tombstones);
    }
}

impl Attempt<'_> {
    pub(crate) fn stager(&self, engine: &LakeEngine, place: &Place, schema: SchemaRef) -> Stager {
        let prefix = format!("{}-{:016x}", &self.step.key.as_str()[..16], self.nonce);
        engine.tables.stager(place, prefix, schema)
    }

    /// Readers find files of the change feed below `_change_data/`.
    pub(crate) fn feed_stager(&self, engine: &LakeEngine, place: &Place, schema: SchemaRef) -> Stager {
        self.feed_part(engine, place, "", schema)
    }

    /// As [`Attempt::feed_stager`], for files beside those.
    pub(crate) fn feed_part(&self, engine: &LakeEngine, place: &Place, part: &str, schema: SchemaRef) -> Stager {
        let prefix = format!("_change_data/{part}{}-{:016x}", &self.step.key.as_str()[..16], self.nonce);
        engine.tables.stager(place, prefix, schema)
    }

    /// Beside the data, where readers do not look.
    pub(crate) fn groups_stager(&self, engine: &LakeEngine, place: &Place, schema: SchemaRef) -> Stager {
        let prefix = format!("_groups/{}-{:016x}", &self.step.key.as_str()[..16], self.nonce);
        engine.tables.stager(place, prefix, schema)
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            step_key: self.step.key.clone(),
            definition_version: self.step.version.clone(),
            quarantined_at: self.at,
        }
    }

    /// Passes the gate, commits, and carries out what follows.
    pub(crate) async fn commit(
        &self,
        engine: &LakeEngine,
        job: &Job<'_>,
        mut staged: Staged,
    ) -> Result<Outcome, LakeError> {
        let place = Place::Dataset(job.dataset.name.clone());
        if job.verdict.is_some_and(|v| v.kind == VerdictKind::Drop) {
            staged.give_up(engine, job.dataset);
            staged.balance.check()?;
        } else if self.step.kind == StepKind::Discard {
            // It adds nothing that a gate could refuse.
            staged.balance.check()?;
        } else if let Err(e) = gate::pass(engine, job, &mut staged).await {
            return self.refused(engine, job, &staged, e).await;
        }
        crash_point("gate.after_pass");
        let ready = match staged.read.take() {
            Some(read) => engine.tables.upgraded(&place, read, staged.kind).await,
            None => engine.tables.ensure(&place, &staged.schema, staged.kind).await,
        };
        let table = ready.inspect_err(|_| staged.discard(engine, job.dataset))?;
        // Another worker may have committed this very step since it was looked for, or its input may be another step's by now.
        if fence::stops(engine, job.dataset, &table, self.step).await? {
            staged.discard(engine, job.dataset);
            return Err(LakeError::Conflict { path: table.dir });
        }
        staged.upload(engine, job.dataset).await.inspect_err(|_| staged.discard(engine, job.dataset))?;
        let info = self.memory(&staged);
        crash_point("commit.before_main");
        let version = table
            .commit(&self.step.key, self.actions(&table, &staged)?, Some(&info), SaveMode::Append)
            .await
            // After any other error the commit may stand all the same, and then its files are the table's.
            .inspect_err(|e| {
                if matches!(e, LakeError::Conflict { .. }) {
                    staged.discard(engine, job.dataset);
                }
            })?;
        crash_point("commit.after_main");
        forget(engine, job.dataset, self.step).await?;
        follow(engine, job.dataset, &info).await?;
        let mut outcome = outcome_of(&info, version);
        outcome.usage.rows_in = staged.rows_in;
        outcome.usage.rows_out = staged.add.iter().map(StagedFile::live).sum();
        Ok(outcome)
    }

    /// What did not pass its gate is held back, for a person to look at.
    async fn refused(
        &self,
        engine: &LakeEngine,
        job: &Job<'_>,
        staged: &Staged,
        error: LakeError,
    ) -> Result<Outcome, LakeError> {
        let name = &job.dataset.name;
        let LakeError::Gate { breaches, .. } = &error else {
            staged.discard(engine, job.dataset);
            return Err(error);
        };
        // Nothing came in, so nothing was refused: the gate judges the first rows when they come.
        if staged.is_empty() && engine.tables.open(&Place::Dataset(name.clone())).await?.is_none() {
            staged.discard(engine, job.dataset);
            return Ok(Outcome::default());
        }
        // Another attempt may have committed it or made room meanwhile, and then nobody would forget the note.
        let stopped = match engine.tables.open(&Place::Dataset(name.clone())).await? {
            Some(table) => fence::stops(engine, job.dataset, &table, self.step).await?,
            None => false,
        };
        // A swap is made anew by whoever asks for it again.
        if stopped || job.step.kind == StepKind::Swap {
            staged.discard(engine, job.dataset);
            return Err(error);
        }
        held::keep(engine, name, (&self.step.key, self.nonce), breaches, &staged.add)
            .await
            .inspect_err(|_| staged.discard(engine, job.dataset))?;
        staged.discard_beside(engine, job.dataset);
        Err(error)
    }

    fn actions(&self, table: &Table, staged: &Staged) -> Result<Vec<Action>, LakeError> {
        let at = self.at.as_millisecond();
        let mut actions = Vec::new();
        actions.extend(table.described(staged.evolved.as_deref(), staged.property.as_ref())?);
        actions
            .extend(staged.remove.iter().map(|r| Action::Remove(Remove { deletion_timestamp: Some(at), ..r.clone() })));
        actions.extend(staged.add.iter().map(|f| f.add(at)));
        actions.extend(staged.feed.iter().map(StagedFile::change));
        for (file, vector) in &staged.marked {
            actions.push(Action::Remove(Remove { deletion_timestamp: Some(at), ..file.remove.clone() }));
            actions.push(file.with_vector(vector.clone(), at));
        }
        Ok(actions)
    }

    pub(crate) fn memory(&self, staged: &Staged) -> StepInfo {
        let aside = FileChange { add: staged.quarantine.clone(), remove: staged.quarantine_remove.clone() };
        let graves = FileChange { add: staged.tombstones.clone(), remove: staged.tombstones_remove.clone() };
        let changed = |c: FileChange| (c != FileChange::default()).then_some(c);
        StepInfo {
            step: self.step.key.clone(),
            run: self.step.run.clone(),
            version: self.step.version.clone(),
            balance: staged.balance,
            quality: staged.quality.clone(),
            figures: staged.figures.clone(),
            dead: staged.dead.iter().map(|(e, r)| (e.to_string(), r.clone())).collect(),
            windows: staged.windows,
            notes: staged.notes.clone(),
            reached: staged.reached.as_ref().map(|r| (r.event_time.clone(), r.upto.as_microsecond())),
            quarantine: changed(aside),
            tombstones: changed(graves),
            groups: staged.groups.as_ref().map(|g| g.0.clone()),
        }
    }
}

/// Carries out what a main commit decided for the tables beside it. Idempotent: each commit bears the step's key.
pub(crate) async fn follow(engine: &LakeEngine, dataset: &Dataset, info: &StepInfo) -> Result<(), LakeError> {
    if let Some(change) = &info.tombstones {
        let place = Place::Tombstones(dataset.name.clone());
        let schema = match change.add.first() {
            Some(f) => scan::schema_of(&engine.tables.disk.file(engine.tables.dir(&place).join(&f.path)))?,
            None => Arc::new(Schema::empty()),
        };
        follow_in(engine, &place, info, change, &schema).await?;
    }
    if let Some(change) = &info.quarantine {
        let place = Place::Quarantine(dataset.name.clone());
        follow_in(engine, &place, info, change, &crate::refine::quarantine_schema()).await?;
    }
    Ok(())
}

async fn follow_in(
    engine: &LakeEngine,
    place: &Place,
    info: &StepInfo,
    change: &FileChange,
    schema: &SchemaRef,
) -> Result<(), LakeError> {
    let kind =
        if matches!(place, Place::Tombstones(_)) { TableKind::Upserted { feed: false } } else { TableKind::Plain };
    let table = engine.tables.ensure(place, schema, kind).await?;
    if table.committed(&info.step).await? {
        return Ok(());
    }
    let at = engine.clock.now().as_millisecond();
    // What takes deleted keys away takes all of them, and those that come may be of another form.
    let anew = matches!(place, Place::Tombstones(_)) && !change.remove.is_empty() && !change.add.is_empty();
    let mut actions: Vec<Action> = table.with_columns(schema, anew)?;
    actions.extend(change.add.iter().map(|f| f.add(at)));
    let taken = aside::taken(engine, place, &table, change).await?;
    actions.extend(taken.remove.into_iter().map(|r| Action::Remove(Remove { deletion_timestamp: Some(at), ..r })));
    actions.extend(taken.kept.iter().map(|f| f.add(at)));
    stage::upload(&engine.tables.disk, &table.dir, &taken.kept).await?;
    crash_point("commit.before_follow");
    table.commit(&info.step, actions, None, SaveMode::Append).await.inspect_err(|e| {
        if matches!(e, LakeError::Conflict { .. }) {
            stage::discard(&table.dir, &taken.kept);
        }
    })?;
    crash_point("commit.after_follow");
    Ok(())
}

/// A step found in its table's log: what follows its commit is completed, and what it did is told from memory.
pub(crate) async fn recover(
    engine: &LakeEngine,
    dataset: &Dataset,
    record: &StepRecord,
) -> Result<Option<Outcome>, LakeError> {
    let step = record;
    let place = match step.kind {
        StepKind::Backfill => Place::Beside(dataset.name.clone(), step.run.clone()),
        _ => Place::Dataset(dataset.name.clone()),
    };
    let step = &step.key;
    let Some(table) = engine.tables.open(&place).await? else { return Ok(None) };
    if !table.committed(step).await? {
        return Ok(None);
    }
    let Some((version, info)) = table.find(step).await? else { return Ok(None) };
    forget(engine, dataset, record).await?;
    follow(engine, dataset, &info).await?;
    Ok(Some(outcome_of(&info, version)))
}

/// What an earlier attempt had to hold back is held no more. The first attempt has none.
pub(crate) async fn forget(engine: &LakeEngine, dataset: &Dataset, step: &StepRecord) -> Result<(), LakeError> {
    if step.attempts < 2 {
        return Ok(());
    }
    held::forget(engine, &dataset.name, &step.key).await
}

pub(crate) fn outcome_of(info: &StepInfo, version: i64) -> Outcome {
    Outcome {
        committed: Some(version),
        balance: info.balance,
        dead: info.dead.iter().map(|(e, r)| (EventId::from_stored(e.as_str()), r.clone())).collect(),
        quality: info.quality.clone(),
        reached: info.reached.as_ref().and_then(|(event_time, micros)| lateness::reached(event_time, *micros)),
        usage: Default::default(),
        windows: info.windows,
        notes: info.notes.clone(),
    }
}
