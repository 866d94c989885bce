//! New bronze rows, or rows that waited in quarantine, through a silver dataset's steps into its table.

use crate::{
    ahead,
    commit::{Attempt, Staged},
    comparing,
    engine::LakeEngine,
    error::LakeError,
    history::{self, Settling},
    in_order::InOrder,
    lanes::{self, Shared},
    lateness,
    meter::Meter,
    refine::{self, Binding, Refinery, Stop, Tally},
    refining::{Outlet, RefineLane, Refined, Refining},
    scan::{self, Pick, Source, Unit},
    stage::{self, StagedFile, Stager},
    table::{DataFile, Place, SNAPSHOT, TRUNCATES, Table, TableKind},
    truncated::Truncated,
    upsert::{self, CandidatePart, Candidates, Keys, Room, Settled, Shape, Stored},
    vector::Rows,
    waiting::{self, Waiting},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::{Balance, DatasetName};
use alluvium_spec::{Action, Check, Contract, Project, Silver, VERSION_COLUMNS, Write};
use alluvium_store::{QualityResult, StepKind};
use arrow::{
    array::RecordBatch,
    compute::{filter_record_batch, is_null},
    datatypes::{Schema, SchemaRef},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Where a step's rows come from.
struct Input {
    units: Vec<Unit>,
    schema: SchemaRef,
    /// Rows of the quarantine, which have to be unpacked first, as rows of this schema.
    packed: Option<SchemaRef>,
    rows: u64,
    /// Gives out the batches where their order matters; elsewhere each lane reads units of its own.
    in_order: Option<InOrder>,
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
    // Rows that were replayed or discarded since it was planned would land once more.
    if job.step.kind == StepKind::ReplayQuarantine && waiting::is_overtaken(engine, job).await? {
        return Ok(Outcome::default());
    }
    let refinery = Arc::new(bind(engine, job, attempt, silver, contract).await?);
    let shape = Shape::of(&silver.write, contract, &refinery.output_schema())?.map(Arc::new);
    let history = silver.write.history().is_some();
    let schema = shape.as_ref().map_or_else(|| refinery.output_schema(), |s| s.table.clone());
    let rebuild = job.step.kind == StepKind::Rebuild;
    let place = Place::Dataset(name.clone());
    let table = engine.tables.open(&place).await?;
    let evolved = evolution(name, table.as_ref(), &schema, history, rebuild)?;
    let keys = keys_of(silver);
    let tell = |stage: &'static str, total: u64| {
        let step = job.step.key.clone();
        move |done: u64| report.signal(Signal::Progress { step: step.clone(), stage, done, total })
    };
    let ahead = ahead::take(engine, job, silver).await?;
    let (outlet, parts) = match ahead {
        Some(ahead) => ahead,
        None => {
            let outlet = Outlet::new(engine, attempt, name, &schema, buries(silver).filter(|_| !history).as_ref())?;
            let events = shape.clone().map(|s| Ok::<_, LakeError>((s, engine.scratch()?))).transpose()?;
            let outlet = Arc::new(outlet);
            let (dataset, keys) = (name.clone(), keys.clone());
            let work = Refining { dataset, refinery: refinery.clone(), outlet: outlet.clone(), keys, events };
            let input = input(engine, job, silver, contract).await?;
            let (rows, count) = (input.rows, lanes::count().min(input.units.len()));
            let meter = engine.tables.meter.clone();
            let lane = move |s: &Shared| refine_lane(&work, &input, &meter, s);
            let undo = |part: &Refined| outlet.discard(part);
            let parts = lanes::staging(count, lane, tell("refine", rows), undo).await?;
            (outlet, parts)
        }
    };
    let mut staged = Staged::new(schema.clone());
    let mut tally = Tally::default();
    let (mut candidates, mut arrivals, mut truncates) = (Vec::new(), Vec::new(), Vec::new());
    let mut aside = BTreeSet::new();
    for p in parts {
        staged.add.extend(p.files);
        staged.quarantine.extend(p.quarantined);
        candidates.extend(p.candidates);
        arrivals.extend(p.arrivals);
        truncates.extend(p.truncates);
        aside.extend(p.aside);
        tally.merge(&p.tally);
    }
    staged.evolved = evolved;
    let feed = wants_feed(silver) || table.as_ref().map_or(Ok(false), Table::keeps_feed)?;
    staged.kind = if keys.is_some() { TableKind::Upserted { feed } } else { TableKind::Plain };
    staged.rows_in = tally.received;
    staged.quality = quality(contract, &tally, refinery.stops(&tally));
    lateness::tell(silver, job.step, &tally, &mut staged);
    staged.balance = Balance {
        received: tally.received,
        loaded: tally.valid,
        quarantined: tally.quarantined,
        dropped: tally.dropped,
        late: tally.late,
        ..Balance::default()
    };
    let stored: Vec<DataFile> = match &table {
        Some(t) => t.files()?,
        None => Vec::new(),
    };
    let rests_on_table = rebuild || keys.is_some();
    if let (Some(keys), Some(shape), true) = (&keys, &shape, silver.write.compares()) {
        let step = comparing::Step {
            engine,
            dataset: name,
            from: &silver.from,
            keys,
            shape: shape.clone(),
            outlet: outlet.clone(),
        };
        let (table, stored) = if rebuild { (None, &[][..]) } else { (table.as_ref(), &stored[..]) };
        let against = step.compare(table, stored, arrivals, aside).await?;
        (arrivals, candidates) = (against.arrivals, against.candidates);
        staged.balance.loaded -= against.duplicates;
        staged.balance.duplicates += against.duplicates;
        staged.property = against.property.map(|p| (SNAPSHOT, p));
        staged.notes.extend(against.notes);
    }
    // Snapshots tell themselves what is gone.
    let remembers = table.as_ref().filter(|_| !silver.write.compares());
    let truncated = |keys| Truncated::of(name, (keys, &schema, history), remembers, rebuild, &truncates);
    let truncated = keys.as_ref().map(truncated).transpose()?;
    if let Some(truncated) = &truncated {
        staged.property = truncated.property()?.map(|p| (TRUNCATES, p)).or(staged.property);
        staged.notes.extend(truncated.note()?);
    }
    if let (Some(shape), Some(truncated), true) = (shape, &truncated, history) {
        let stored = if rebuild { &[][..] } else { &stored };
        let settling = Settling { engine, job, attempt, shape, truncated, feed };
        settling.settle(table.as_ref(), stored, arrivals, &mut staged, tell).await?;
    } else if let (Some(keys), Some(truncated)) = (keys, &truncated) {
        let stored = if rebuild { &[][..] } else { &stored };
        let feed = feed.then(|| attempt.feed_stager(engine, &place, upsert::feed_schema(&schema)));
        let up = Upsert { engine, job, keys, truncated, schema: &schema, room: outlet.room.clone() };
        let staging = (outlet.rows.clone(), outlet.graves.clone());
        up.settle(stored, candidates, staging, feed, &mut staged, tell).await?;
    }
    if rebuild {
        if feed && truncated.is_some() {
            let sources = table.as_ref().map_or(Ok(Vec::new()), Table::sources)?;
            let stager = attempt.feed_part(engine, &place, "gone-", upsert::feed_schema(&schema));
            let deleted = sources.into_iter().map(|s| (s, "delete")).collect();
            staged.feed.extend(write_feed(engine, stager, &schema, deleted, tell("feed", 0)).await?);
        }
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
    staged.read = table.filter(|_| rests_on_table);
    attempt.commit(engine, job, staged).await
}

/// Of rows that share the columns of a `unique` rule the first stays, so the rows have to come in their order; unless
/// the write itself keeps those columns unique.
pub(crate) fn order_matters(silver: &Silver, contract: &Contract) -> bool {
    let written = match &silver.write {
        Write::Append => &[][..],
        Write::Upsert { keys, .. } => keys,
    };
    let kept = |columns: &[String]| columns.iter().all(|c| written.contains(c)) && columns.len() == written.len();
    contract.rules.iter().any(|r| matches!(r.check, Check::Unique) && !kept(&r.columns))
}

pub(crate) fn keys_of(silver: &Silver) -> Option<Keys> {
    match &silver.write {
        Write::Append => None,
        Write::Upsert { keys, sequence_by, snapshots, .. } => {
            Some(Keys { keys: keys.clone(), sequence: sequence_by.clone(), snapshots: *snapshots })
        }
    }
}

fn wants_feed(silver: &Silver) -> bool {
    matches!(&silver.write, Write::Upsert { change_feed: true, .. })
}

/// The keys of a dataset that deletes.
pub(crate) fn buries(silver: &Silver) -> Option<Keys> {
    let deletes = matches!(&silver.write, Write::Upsert { delete_when: Some(_), .. });
    keys_of(silver).filter(|_| deletes || silver.write.compares())
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
                let batches = lookup(engine, job.project, &name, version, columns.into_iter().collect()).await?;
                lookups.insert(name, batches);
            }
            let binding = Binding { lookups, stamp: attempt.stamp(), watermark: job.step.watermark };
            return Refinery::bind(Arc::new(compiled), binding, engine.entropy.as_ref()).map_err(failed);
        }
        Err(mistakes) => mistakes,
    };
    match mistakes.pop() {
        Some(first) => Err(failed(first)),
        None => Err(LakeError::Worker("a definition that does not compile names its mistake")),
    }
}

/// The rows of a dataset at a version; none where it is negative.
pub(crate) async fn lookup(
    engine: &LakeEngine,
    project: &Project,
    name: &DatasetName,
    version: i64,
    columns: Vec<String>,
) -> Result<Vec<RecordBatch>, LakeError> {
    let place = Place::Dataset(name.clone());
    let table = if version < 0 { None } else { engine.tables.open_at(&place, Some(version)).await? };
    let declared = engine.declared_schema(project, name)?;
    let Some(table) = table else {
        return Ok(vec![RecordBatch::new_empty(scan::project(&declared, &columns)?)]);
    };
    let most = engine.lookup_rows();
    // Of a history what holds now is looked up.
    let history = project.is_history(name);
    let stored = table.rows()?;
    if stored > most && !history {
        return Err(LakeError::LookupTooLarge { lookup: name.clone(), rows: stored });
    }
    let schema = scan::project(&declared, &columns)?;
    let open = columns.into_iter().chain(history.then(|| VERSION_COLUMNS[1].to_owned())).collect::<Vec<_>>();
    let read = scan::project(&declared, &open)?;
    let sources = table.sources()?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let (name, meter) = (name.clone(), engine.tables.meter.clone());
    let work = move |shared: &Shared| {
        let mut batches = vec![RecordBatch::new_empty(schema.clone())];
        let mut rows = 0;
        for unit in scan::units(&sources)? {
            for b in unit.read(&read, &meter)? {
                let mut b = b?;
                if history {
                    let ends = b.column(b.num_columns() - 1);
                    b = scan::conform(&filter_record_batch(&b, &is_null(ends)?)?, &schema)?;
                }
                rows += b.num_rows() as u64;
                if rows > most {
                    return Err(LakeError::LookupTooLarge { lookup: name.clone(), rows: stored });
                }
                batches.push(b);
            }
            shared.advance(unit.rows)?;
        }
        Ok(batches)
    };
    Ok(lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default())
}

async fn input(engine: &LakeEngine, job: &Job<'_>, silver: &Silver, contract: &Contract) -> Result<Input, LakeError> {
    let in_order = order_matters(silver, contract).then(InOrder::default);
    let from = engine.tables.open(&Place::Dataset(silver.from.clone())).await?;
    let from = from.ok_or(LakeError::Worker("the input of a planned step has a table"))?;
    // Every column: a row that breaks a rule is kept whole.
    let all = crate::ingest::plain_schema(from.schema()?.as_ref());
    if job.step.kind == StepKind::ReplayQuarantine {
        let Waiting { units, rows, .. } = waiting::open(engine, job).await?;
        return Ok(Input { units, schema: refine::quarantine_schema(), packed: Some(all), rows, in_order });
    }
    let range = job.step.inputs.get(&silver.from).copied();
    let range = range.ok_or(LakeError::Worker("a refine step says what it reads"))?;
    let sources = added(engine, &from, &silver.from, range.after, range.upto).await?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let units = scan::units(&sources)?;
    let rows = units.iter().map(|u| u.rows).sum();
    Ok(Input { units, schema: all, packed: None, rows, in_order })
}

/// Files whose rows came with the versions in `(after, upto]`.
async fn added(
    engine: &LakeEngine,
    table: &Table,
    name: &DatasetName,
    after: i64,
    upto: i64,
) -> Result<Vec<Source>, LakeError> {
    if after < 0 {
        let then = engine.tables.open_at(&Place::Dataset(name.clone()), Some(upto)).await?;
        let then = then.ok_or(LakeError::Worker("a version that was planned is there"))?;
        return then.sources();
    }
    let changes = table.changes(after, upto).await?;
    changes.iter().flat_map(|c| &c.added).map(|p| table.part(p)).collect()
}

fn refine_lane(work: &Refining, input: &Input, meter: &Meter, shared: &Shared) -> Result<Refined, LakeError> {
    let Input { units, schema, packed, in_order, .. } = input;
    let mut lane = RefineLane::new(work, packed.as_ref())?;
    if let Some(in_order) = in_order {
        while let Some((batch, turn)) = in_order.next(units, schema, meter)? {
            let rows = batch.num_rows() as u64;
            lane.add(batch, Some(turn))?;
            shared.advance(rows)?;
        }
        return lane.finish();
    }
    while let Some(u) = shared.take(units.len()) {
        for batch in units[u].read(schema, meter)? {
            lane.add(batch?, None)?;
        }
        shared.advance(units[u].rows)?;
    }
    lane.finish()
}

/// Rule results as the state keeps them.
pub(crate) fn quality(contract: &Contract, tally: &Tally, stops: Vec<Stop>) -> Vec<QualityResult> {
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
            note: (!passed && rule.threshold.is_some())
                .then(|| format!("rule {} is broken by {} of {} rows", rule.id, count.violations, count.checked)),
            figure: None,
        });
    }
    results
}

/// The columns that the table has to gain, if any.
fn evolution(
    dataset: &DatasetName,
    table: Option<&Table>,
    declared: &SchemaRef,
    history: bool,
    rebuild: bool,
) -> Result<Option<SchemaRef>, LakeError> {
    let Some(table) = table else { return Ok(None) };
    let reformed = history::form(dataset, table, declared, history, rebuild)?;
    let stored = match &reformed {
        Some(schema) => crate::ingest::plain_schema(schema),
        None => crate::ingest::plain_schema(table.schema()?.as_ref()),
    };
    let mut fields: Vec<_> = stored.fields().iter().cloned().collect();
    let mut grows = reformed.is_some();
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

/// The half of an upsert that follows when all rows are staged: which of them stand, and what they supersede.
struct Upsert<'a> {
    engine: &'a LakeEngine,
    job: &'a Job<'a>,
    keys: Keys,
    truncated: &'a Truncated,
    schema: &'a SchemaRef,
    room: Arc<Room>,
}

impl Upsert<'_> {
    async fn settle<P: FnMut(u64)>(
        &self,
        stored: &[DataFile],
        mut lanes_parts: Vec<CandidatePart>,
        (rows, graves): (Arc<Stager>, Option<Arc<Stager>>),
        feed: Option<Stager>,
        staged: &mut Staged,
        tell: impl Fn(&'static str, u64) -> P,
    ) -> Result<(), LakeError> {
        let candidates = Candidates::gather(&mut lanes_parts, &self.room, rows.clone(), graves.clone());
        let (mut files, mut dead): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
        for p in lanes_parts {
            files.extend(p.rows);
            dead.extend(p.graves);
        }
        let dir = rows.dir().to_owned();
        let sources = stored.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
        let table = Stored { dir: dir.clone(), sources: sources.clone(), schema: self.schema.clone(), graves: false };
        let deleted = self.graves(graves.as_deref()).await?;
        let (keys, meter) = (self.keys.clone(), self.engine.tables.meter.clone());
        let mut settling =
            upsert::Settling::new(keys, self.room.clone(), candidates, (&files, &dead), (table, deleted), meter)?;
        let came: Vec<Source> = files.iter().map(|f| Source::whole(dir.join(&f.path))).collect();
        for (i, rows) in self.truncated.rows(self.engine, came, tell("truncate", files.len() as u64)).await? {
            settling.without(files[i].number, &rows)?;
        }
        let parts = settling.parts() as u64;
        let mut settled = settle(Arc::new(settling), lanes::count(), tell("settle", parts)).await?;
        if self.truncated.grew {
            let progress = tell("truncate", sources.len() as u64);
            settled.truncate(self.truncated.rows(self.engine, sources.clone(), progress).await?);
        }
        staged.balance.loaded -= settled.duplicates;
        staged.balance.duplicates += settled.duplicates;

        if let Some(feed) = feed {
            let numbers: Vec<u32> = files.iter().map(|f| f.number).collect();
            let paths: Vec<Source> = files.iter().map(|f| Source::whole(dir.join(&f.path))).collect();
            let changes = upsert::changes(&sources, &paths, &numbers, &settled);
            let progress = tell("feed", rows_of(&files));
            staged.feed = write_feed(self.engine, feed, self.schema, changes, progress).await?;
        }
        let marks = marks(stored, &sources, settled.superseded.rows);
        let vectors: Vec<&Rows> = marks.iter().filter_map(|(_, v)| v.as_ref()).collect();
        let id = || u128::from(self.engine.entropy.next_u64()) << 64 | u128::from(self.engine.entropy.next_u64());
        let (files, written) = upsert::mark(&rows, files, &settled.gone.rows, &vectors, id())?;
        let mut written = written.into_iter();
        for (file, vector) in &marks {
            match vector.as_ref().and_then(|_| written.next()) {
                Some(v) => staged.marked.push((stored[*file].clone(), v)),
                None => staged.remove.push(stored[*file].remove.clone()),
            }
        }
        if let Some(graves) = &graves {
            dead = upsert::mark(graves, dead, &settled.gone.graves, &[], id())?.0;
        }
        staged.add.extend(files);
        staged.tombstones.extend(dead);
        Ok(())
    }

    /// The keys deleted so far.
    async fn graves(&self, stager: Option<&Stager>) -> Result<Option<Stored>, LakeError> {
        if stager.is_none() || self.job.step.kind == StepKind::Rebuild {
            return Ok(None);
        }
        let place = Place::Tombstones(self.job.dataset.name.clone());
        let Some(table) = self.engine.tables.open(&place).await? else { return Ok(None) };
        let schema = tombstone_schema(&self.keys, self.schema)?;
        Ok(Some(Stored { dir: table.dir.clone(), sources: table.sources()?, schema, graves: true }))
    }
}

async fn write_feed(
    engine: &LakeEngine,
    stager: Stager,
    schema: &SchemaRef,
    changes: Vec<(Source, &'static str)>,
    progress: impl FnMut(u64),
) -> Result<Vec<StagedFile>, LakeError> {
    engine.tables.disk.have_all(changes.iter().map(|(s, _)| &s.path)).await?;
    let (schema, meter) = (schema.clone(), engine.tables.meter.clone());
    let dir = stager.dir().to_owned();
    let work = move |shared: &Shared| upsert::write_feed(&stager, &schema, &changes, &meter, shared);
    let undo = |files: &Vec<StagedFile>| stage::discard(&dir, files);
    Ok(lanes::staging(lanes::count(), work, progress, undo).await?.into_iter().flatten().collect())
}

/// Takes the candidates through all that decides on them.
pub(crate) async fn settle(
    settling: Arc<upsert::Settling>,
    most_lanes: usize,
    progress: impl FnMut(u64),
) -> Result<Settled, LakeError> {
    let lanes = |pieces: usize| most_lanes.min(pieces);
    let s = settling.clone();
    lanes::run(lanes(s.stored_files()), move |shared| s.open(shared), |_| ()).await?;
    let s = settling.clone();
    lanes::run(lanes(s.parts()), move |shared| s.settle(shared), progress).await?;
    let s = settling.clone();
    lanes::run(1, move |_| s.settle_ties(), |_| ()).await?;
    let s = settling.clone();
    lanes::run(lanes(s.stored_files()), move |shared| s.compare(shared), |_| ()).await?;
    let s = settling.clone();
    lanes::run(lanes(s.staged_files()), move |shared| s.finish_keys(shared), |_| ()).await?;
    Ok(settling.result())
}

fn rows_of(files: &[StagedFile]) -> u64 {
    files.iter().map(|f| f.rows).sum()
}

/// By stored file: all its rows that are gone from now on, or nothing when none is left.
pub(crate) fn marks(
    stored: &[DataFile],
    sources: &[Source],
    superseded: BTreeMap<usize, Rows>,
) -> Vec<(usize, Option<Rows>)> {
    let mark = |(file, mut rows): (usize, Rows)| {
        let left = stored[file].rows.saturating_sub(rows.len());
        if let Pick::Without(before) = &sources[file].pick {
            rows |= before.as_ref();
        }
        (file, (left > 0).then_some(rows))
    };
    superseded.into_iter().map(mark).collect()
}

/// A deleted key and the sequence at which it was deleted.
pub(crate) fn tombstone_schema(keys: &Keys, table: &SchemaRef) -> Result<SchemaRef, LakeError> {
    let names = table.fields().iter().map(|f| f.name().clone());
    let names: Vec<String> = names.filter(|n| keys.keys.contains(n) || keys.sequence.contains(n)).collect();
    scan::project(table, &names)
}
