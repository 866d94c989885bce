//! New bronze rows, or rows that waited in quarantine, through a silver dataset's steps into its table.

use crate::{
    commit::{Attempt, Staged},
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    meter::Meter,
    refine::{self, Binding, Refinery, Stop, Tally},
    scan::{self, Unit},
    stage::{Lane, StagedFile, Stager},
    table::{Change, DataFile, Place, Table},
    upsert::{self, CandidateLane, Candidates, Keys, Plan, Probed},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::{Balance, DatasetName};
use alluvium_spec::{Action, Check, Contract, Silver, Write};
use alluvium_store::{QualityResult, StepKind};
use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU8},
};

/// Where a step's rows come from.
struct Input {
    units: Vec<Unit>,
    schema: SchemaRef,
    /// Rows of the quarantine, which have to be unpacked first, as rows of this schema.
    packed: Option<SchemaRef>,
    rows: u64,
}

/// What the refining lanes share.
struct Refining {
    dataset: DatasetName,
    input: Input,
    refinery: Refinery,
    stager: Stager,
    quarantine: Stager,
    keys: Option<Keys>,
    scratch: PathBuf,
    meter: Arc<Meter>,
}

/// What one refining lane made.
struct Refined {
    files: Vec<StagedFile>,
    quarantined: Vec<StagedFile>,
    candidates: Option<CandidateLane>,
    tally: Tally,
}

pub(crate) async fn execute(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    report: &dyn Report,
) -> Result<Outcome, LakeError> {
    let name = &job.dataset.name;
    let silver = job.dataset.silver().ok_or(LakeError::Worker("a refine step of another layer"))?;
    let contract = job.project.contract_of(job.dataset);
    let contract = contract.ok_or_else(|| LakeError::NoContract { dataset: name.clone() })?;
    let refinery = bind(engine, job, attempt, silver, contract).await?;
    let schema = refinery.output_schema();
    let place = Place::Dataset(name.clone());
    let table = engine.tables.open(&place).await?;
    let evolved = evolution(name, table.as_ref(), &schema)?;
    let input = input(engine, job, silver).await?;
    let keys = keys_of(silver);
    let tell = |stage: &'static str, total: u64| {
        let step = job.step.key.clone();
        move |done: u64| report.signal(Signal::Progress { step: step.clone(), stage, done, total })
    };

    let rows = input.rows;
    let work = Arc::new(Refining {
        dataset: name.clone(),
        input,
        refinery,
        stager: attempt.stager(engine, &place, schema.clone()),
        quarantine: attempt.stager(engine, &Place::Quarantine(name.clone()), refine::quarantine_schema()),
        keys: keys.clone(),
        scratch: engine.scratch()?,
        meter: engine.tables.meter.clone(),
    });
    let count = if order_matters(silver, contract) { 1 } else { lanes::count().min(work.input.units.len()) };
    let parts = {
        let work = work.clone();
        lanes::run(count, move |s| refine_lane(&work, s), tell("refine", rows)).await?
    };
    let mut staged = Staged::new(schema.clone());
    let mut tally = Tally::default();
    let mut candidates = Vec::new();
    for p in parts {
        staged.add.extend(p.files);
        staged.quarantine.extend(p.quarantined);
        candidates.extend(p.candidates);
        tally.merge(&p.tally);
    }
    staged.evolved = evolved;
    staged.keeps_feed = true;
    staged.rows_in = tally.received;
    staged.quality = quality(contract, &tally, work.refinery.stops(&tally));
    staged.balance = Balance {
        received: tally.received,
        loaded: tally.valid,
        quarantined: tally.quarantined,
        dropped: tally.dropped,
        ..Balance::default()
    };
    let rebuild = job.step.kind == StepKind::Rebuild;
    let stored: Vec<DataFile> = match &table {
        Some(t) => t.files()?,
        None => Vec::new(),
    };
    match keys {
        Some(keys) => {
            let candidates = Candidates::gather(candidates)?;
            let table = table.as_ref().filter(|_| !rebuild);
            let up = Upsert { engine, job, attempt, keys, schema: &schema, deletes: deletes(silver) };
            up.write(table, if rebuild { &[] } else { &stored }, candidates, &mut staged, tell).await?;
        }
        None => {}
    }
    if rebuild {
        staged.remove = stored.into_iter().map(|f| f.remove).collect();
        if let Some(t) = engine.tables.open(&Place::Tombstones(name.clone())).await? {
            staged.tombstones_remove = t.files()?.into_iter().map(|f| f.path).collect();
        }
    }
    if rebuild || job.step.kind == StepKind::ReplayQuarantine {
        // What entered the quarantine after a replay was planned is not part of it.
        let version = job.step.lookups.get(name).copied().filter(|_| !rebuild);
        if let Some(q) = engine.tables.open_at(&Place::Quarantine(name.clone()), version).await? {
            staged.quarantine_remove = q.files()?.into_iter().map(|f| f.path).collect();
        }
        let landed = staged.balance.loaded + staged.balance.dropped + staged.balance.duplicates;
        if !rebuild && landed == 0 {
            staged.discard(engine, job.dataset);
            return Ok(Outcome { balance: staged.balance, quality: staged.quality, ..Outcome::default() });
        }
    }
    attempt.commit(engine, job, staged).await
}

/// Of rows that share the columns of a `unique` rule the first stays, so the rows have to come in their order; unless
/// the write itself keeps those columns unique.
fn order_matters(silver: &Silver, contract: &Contract) -> bool {
    let written = match &silver.write {
        Write::Append => &[][..],
        Write::Upsert { keys, .. } => keys,
    };
    let kept = |columns: &[String]| columns.iter().all(|c| written.contains(c)) && columns.len() == written.len();
    contract.rules.iter().any(|r| matches!(r.check, Check::Unique) && !kept(&r.columns))
}

fn keys_of(silver: &Silver) -> Option<Keys> {
    match &silver.write {
        Write::Append => None,
        Write::Upsert { keys, sequence_by, .. } => Some(Keys { keys: keys.clone(), sequence: sequence_by.clone() }),
    }
}

fn deletes(silver: &Silver) -> bool {
    matches!(&silver.write, Write::Upsert { delete_when: Some(_), .. })
}

/// Compiles the dataset's steps and loads what they look up, at the versions that were planned.
async fn bind(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    silver: &Silver,
    contract: &Contract,
) -> Result<Refinery, LakeError> {
    let failed = |source| LakeError::Refine { dataset: job.dataset.name.clone(), source };
    let mut mistakes = match Refinery::compile(silver, contract) {
        Ok(compiled) => {
            let mut lookups = BTreeMap::new();
            for (name, columns) in refine::lookup_needs(silver, contract) {
                let version = job.step.lookups.get(&name).copied().unwrap_or(-1);
                let batches = lookup(engine, job, &name, version, columns.into_iter().collect()).await?;
                lookups.insert(name, batches);
            }
            let binding = Binding { lookups, stamp: attempt.stamp() };
            return Refinery::bind(Arc::new(compiled), binding, engine.entropy.as_ref()).map_err(failed);
        }
        Err(mistakes) => mistakes,
    };
    match mistakes.pop() {
        Some(first) => Err(failed(first)),
        None => Err(LakeError::Worker("a definition that does not compile names its mistake")),
    }
}

async fn lookup(
    engine: &LakeEngine,
    job: &Job<'_>,
    name: &DatasetName,
    version: i64,
    columns: Vec<String>,
) -> Result<Vec<RecordBatch>, LakeError> {
    let place = Place::Dataset(name.clone());
    let table = if version < 0 { None } else { engine.tables.open_at(&place, Some(version)).await? };
    let declared = engine.declared_schema(job.project, name)?;
    let Some(table) = table else {
        return Ok(vec![RecordBatch::new_empty(scan::project(&declared, &columns)?)]);
    };
    let files = table.files()?;
    let rows: u64 = files.iter().map(|f| f.rows).sum();
    if rows > engine.lookup_rows() {
        return Err(LakeError::LookupTooLarge { lookup: name.clone(), rows });
    }
    let schema = scan::project(&declared, &columns)?;
    let paths: Vec<PathBuf> = files.iter().map(|f| table.path_of(&f.path)).collect();
    let mut batches = vec![RecordBatch::new_empty(schema.clone())];
    for unit in scan::units(&paths)? {
        for b in unit.read(&schema, &engine.tables.meter)? {
            batches.push(b?);
        }
    }
    Ok(batches)
}

async fn input(engine: &LakeEngine, job: &Job<'_>, silver: &Silver) -> Result<Input, LakeError> {
    let from = engine.tables.open(&Place::Dataset(silver.from.clone())).await?;
    let from = from.ok_or(LakeError::Worker("the input of a planned step has a table"))?;
    // Every column: a row that breaks a rule is kept whole.
    let all = crate::ingest::plain_schema(from.schema()?.as_ref());
    if job.step.kind == StepKind::ReplayQuarantine {
        let place = Place::Quarantine(job.dataset.name.clone());
        let version = job.step.lookups.get(&job.dataset.name).copied();
        let waiting = engine.tables.open_at(&place, version).await?;
        let waiting = waiting.ok_or(LakeError::Worker("a replayed quarantine has a table"))?;
        let paths: Vec<PathBuf> = waiting.files()?.iter().map(|f| waiting.path_of(&f.path)).collect();
        let (units, rows) = (scan::units(&paths)?, waiting.rows()?);
        return Ok(Input { units, schema: refine::quarantine_schema(), packed: Some(all), rows });
    }
    let range = job.step.inputs.get(&silver.from).copied();
    let range = range.ok_or(LakeError::Worker("a refine step says what it reads"))?;
    let paths = added(engine, &from, &silver.from, range.after, range.upto).await?;
    let units = scan::units(&paths)?;
    let rows = units.iter().map(|u| u.rows).sum();
    Ok(Input { units, schema: all, packed: None, rows })
}

/// Files whose rows came with the versions in `(after, upto]`.
async fn added(
    engine: &LakeEngine,
    table: &Table,
    name: &DatasetName,
    after: i64,
    upto: i64,
) -> Result<Vec<PathBuf>, LakeError> {
    if after < 0 {
        let then = engine.tables.open_at(&Place::Dataset(name.clone()), Some(upto)).await?;
        let then = then.ok_or(LakeError::Worker("a version that was planned is there"))?;
        return Ok(then.files()?.iter().map(|f| table.path_of(&f.path)).collect());
    }
    let changes: Vec<Change> = table.changes(after, upto).await?;
    Ok(changes.iter().flat_map(|c| &c.added).map(|(path, _)| table.path_of(path)).collect())
}

fn refine_lane(work: &Refining, shared: &Shared) -> Result<Refined, LakeError> {
    let mut rows = work.stager.lane();
    let mut aside = work.quarantine.lane();
    let mut candidates = match &work.keys {
        Some(k) => Some(CandidateLane::new(k, work.stager.schema(), &work.scratch)?),
        None => None,
    };
    let mut tally = Tally::default();
    while let Some(u) = shared.take(work.input.units.len()) {
        let unit = &work.input.units[u];
        for batch in unit.read(&work.input.schema, &work.meter)? {
            let mut batch = batch?;
            if let Some(schema) = &work.input.packed {
                batch = refine::unquarantine(&batch, schema).map_err(|e| work.failed(e))?;
            }
            refine_batch(work, &batch, &mut tally, candidates.as_mut(), &mut rows, &mut aside)?;
        }
        shared.advance(unit.rows)?;
    }
    Ok(Refined { files: rows.finish()?, quarantined: aside.finish()?, candidates, tally })
}

fn refine_batch(
    work: &Refining,
    batch: &RecordBatch,
    tally: &mut Tally,
    candidates: Option<&mut CandidateLane>,
    rows: &mut Lane<'_>,
    aside: &mut Lane<'_>,
) -> Result<(), LakeError> {
    let refined = work.refinery.refine(batch, tally).map_err(|e| work.failed(e))?;
    if let Some(q) = &refined.quarantined {
        aside.write(q)?;
    }
    match candidates {
        Some(c) => c.add(&scan::conform(&refined.valid, work.stager.schema())?, refined.deletes.as_ref()),
        None => rows.write(&refined.valid),
    }
}

impl Refining {
    fn failed(&self, source: refine::RefineError) -> LakeError {
        LakeError::Refine { dataset: self.dataset.clone(), source }
    }
}

/// Rule results as the state keeps them.
fn quality(contract: &Contract, tally: &Tally, stops: Vec<Stop>) -> Vec<QualityResult> {
    let mut results = Vec::new();
    for rule in &contract.rules {
        let Some(count) = tally.rules.get(&rule.id) else { continue };
        let passed = match (rule.threshold, rule.action) {
            (_, Action::Fail) => !stops.iter().any(|s| s.rule == rule.id),
            (Some(t), _) => t.holds(count.violations as f64, count.checked as f64),
            (None, _) => count.violations == 0,
        };
        results.push(QualityResult {
            rule: rule.id.clone(),
            action: rule.action.word().into(),
            severity: rule.severity.word().into(),
            dimension: rule.dimension.clone(),
            checked: count.checked,
            violations: count.violations,
            passed,
            note: None,
        });
    }
    results
}

/// The columns that the table has to gain, if any.
fn evolution(
    dataset: &DatasetName,
    table: Option<&Table>,
    declared: &SchemaRef,
) -> Result<Option<SchemaRef>, LakeError> {
    let Some(table) = table else { return Ok(None) };
    let stored = crate::ingest::plain_schema(table.schema()?.as_ref());
    let mut fields: Vec<_> = stored.fields().iter().cloned().collect();
    let mut grows = false;
    for f in declared.fields() {
        match stored.field_with_name(f.name()) {
            Ok(s) if s.data_type() == f.data_type() => {}
            Ok(s) => {
                return Err(LakeError::TypeChanged {
                    dataset: dataset.clone(),
                    column: f.name().clone(),
                    stored: s.data_type().to_string(),
                    declared: f.data_type().to_string(),
                });
            }
            Err(_) => {
                grows = true;
                fields.push(f.clone());
            }
        }
    }
    Ok(grows.then(|| Arc::new(Schema::new(fields))))
}

/// The writing half of an upsert.
struct Upsert<'a> {
    engine: &'a LakeEngine,
    job: &'a Job<'a>,
    attempt: &'a Attempt<'a>,
    keys: Keys,
    schema: &'a SchemaRef,
    deletes: bool,
}

impl Upsert<'_> {
    async fn write<P: FnMut(u64)>(
        &self,
        table: Option<&Table>,
        stored: &[DataFile],
        candidates: Candidates,
        staged: &mut Staged,
        tell: impl Fn(&'static str, u64) -> P,
    ) -> Result<(), LakeError> {
        let keys = self.keys.clone();
        let sorted = tokio::task::spawn_blocking(move || {
            let mut candidates = candidates;
            upsert::resolve(&keys, &mut candidates).map(|w| (candidates, w))
        });
        let (candidates, winners) = sorted.await.map_err(|_| LakeError::Worker("a thread ended early"))??;
        let paths: Vec<PathBuf> = stored.iter().filter_map(|f| Some(table?.path_of(&f.path))).collect();
        let units = scan::units(&paths)?;
        let graves = self.tombstones().await?;
        let probing = Arc::new(Probing {
            fate: (0..winners.len()).map(|_| AtomicU8::new(upsert::NEW)).collect(),
            keys: self.keys.clone(),
            schema: self.schema.clone(),
            candidates,
            winners,
            meter: self.engine.tables.meter.clone(),
        });
        let mut probed = probing.clone().run(units.clone(), None, tell("probe", rows_of(&units))).await?;
        if let Some((schema, graves)) = graves {
            let total = rows_of(&graves);
            let buried = probing.clone().run(graves, Some(schema), tell("probe", total)).await?;
            probed.duplicates += buried.duplicates;
        }
        let p = Arc::into_inner(probing).ok_or(LakeError::Worker("probing ended"))?;
        let duplicates = p.winners.duplicates + probed.duplicates;
        staged.balance.loaded -= duplicates;
        staged.balance.duplicates += duplicates;
        let superseded: Vec<usize> = probed.files().collect();
        staged.remove = superseded.iter().map(|i| stored[*i].remove.clone()).collect();
        let place = Place::Dataset(self.job.dataset.name.clone());
        let feed = (!superseded.is_empty())
            .then(|| self.attempt.feed_stager(self.engine, &place, upsert::feed_schema(self.schema)));
        let tombs = if self.deletes { Some(self.tombstone_stager()?) } else { None };
        let plan = Arc::new(Plan::new(
            self.schema.clone(),
            p.candidates,
            &p.winners,
            &p.fate,
            probed,
            &units,
            self.attempt.stager(self.engine, &place, self.schema.clone()),
            feed,
            tombs,
            self.engine.tables.meter.clone(),
        ));
        let lanes = if plan.rows() < SMALL_ROWS { 1 } else { lanes::count() };
        let total = plan.rows();
        let parts = lanes::run(lanes, move |s| upsert::apply(&plan, s), tell("write", total)).await?;
        for a in parts {
            staged.add.extend(a.add);
            staged.feed.extend(a.feed);
            staged.tombstones.extend(a.tombstones);
        }
        Ok(())
    }

    /// Columns and files of the keys deleted so far.
    async fn tombstones(&self) -> Result<Option<(SchemaRef, Vec<Unit>)>, LakeError> {
        if !self.deletes || self.job.step.kind == StepKind::Rebuild {
            return Ok(None);
        }
        let place = Place::Tombstones(self.job.dataset.name.clone());
        let Some(table) = self.engine.tables.open(&place).await? else { return Ok(None) };
        let paths: Vec<PathBuf> = table.files()?.iter().map(|f| table.path_of(&f.path)).collect();
        Ok(Some((tombstone_schema(&self.keys, self.schema)?, scan::units(&paths)?)))
    }

    fn tombstone_stager(&self) -> Result<Stager, LakeError> {
        let place = Place::Tombstones(self.job.dataset.name.clone());
        Ok(self.attempt.stager(self.engine, &place, tombstone_schema(&self.keys, self.schema)?))
    }
}

/// Fewer rows than this go into one file.
const SMALL_ROWS: u64 = 256 * 1024;

/// A deleted key and the sequence at which it was deleted.
pub(crate) fn tombstone_schema(keys: &Keys, table: &SchemaRef) -> Result<SchemaRef, LakeError> {
    let names = table.fields().iter().map(|f| f.name().clone());
    let names: Vec<String> = names.filter(|n| keys.keys.contains(n) || keys.sequence.contains(n)).collect();
    scan::project(table, &names)
}

/// What the probing lanes share.
struct Probing {
    keys: Keys,
    schema: SchemaRef,
    candidates: Candidates,
    winners: upsert::Winners,
    fate: Vec<AtomicU8>,
    meter: Arc<Meter>,
}

impl Probing {
    /// `tombstones`: the schema of the files when they hold deleted keys.
    async fn run(
        self: Arc<Self>,
        units: Vec<Unit>,
        tombstones: Option<SchemaRef>,
        progress: impl FnMut(u64),
    ) -> Result<Probed, LakeError> {
        let count = lanes::count().min(units.len());
        let work = move |shared: &Shared| {
            let schema = tombstones.as_ref().unwrap_or(&self.schema);
            let dead = tombstones.is_some();
            let (w, c) = (&self.winners, &self.candidates);
            upsert::probe(&self.keys, schema, &units, w, c, &self.fate, dead, &self.meter, shared)
        };
        Ok(Probed::merge(lanes::run(count, work, progress).await?))
    }
}

fn rows_of(units: &[Unit]) -> u64 {
    units.iter().map(|u| u.rows).sum()
}
