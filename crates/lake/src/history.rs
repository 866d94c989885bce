//! The half of a history's step that follows when all its events are there: what shows, what lies beside, what leaves.
//!
//! Called by the silver step. See [`upsert`] for how events are decided.

use crate::{
    commit::{self, Attempt, Staged},
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    meter::Meter,
    scan::Source,
    silver,
    table::{DataFile, Place, Table},
    truncated::Truncated,
    upsert::{self, ArrivalPart, Arrivals, Chunk, Decided, Deciding, Fates, Past, Shape, Stagers, Writer, Written},
    vector,
};
use alluvium_flow::Job;
use alluvium_model::DatasetName;
use alluvium_spec::VERSION_COLUMNS;
use alluvium_store::StepKind;
use arrow::datatypes::{Schema, SchemaRef};
use std::{ops::Range, path::PathBuf, sync::Arc};

/// New events that are decided together; only a key with more makes a larger piece.
const PIECE: usize = 1 << 17;
/// A stored event's place takes about this much while a piece is decided.
const BYTES_PER_ENTRY: u64 = 128;
/// Share of the memory limit that the places of stored events may take, all lanes together.
const ENTRIES_SHARE: u64 = 8;

/// A history's step, when all its events are there.
pub(crate) struct Settling<'a> {
    pub(crate) engine: &'a LakeEngine,
    pub(crate) job: &'a Job<'a>,
    pub(crate) attempt: &'a Attempt<'a>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) truncated: &'a Truncated,
    /// Whether the table keeps a change feed.
    pub(crate) feed: bool,
}

/// What the lanes share.
struct Work {
    dataset: DatasetName,
    shape: Arc<Shape>,
    past: Past,
    arrivals: Arrivals,
    stagers: Stagers,
    meter: Arc<Meter>,
    most: usize,
}

impl Settling<'_> {
    /// `stored`: the files of `table` that the new events come to.
    pub(crate) async fn settle<P: FnMut(u64)>(
        &self,
        table: Option<&Table>,
        stored: &[DataFile],
        parts: Vec<ArrivalPart>,
        staged: &mut Staged,
        tell: impl Fn(&'static str, u64) -> P,
    ) -> Result<(), LakeError> {
        let place = Place::Dataset(self.job.dataset.name.clone());
        let dir = self.engine.tables.dir(&place);
        let sources = stored.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
        let beside = self.beside(table).await?;
        let work = self.work(parts, (dir.clone(), sources.clone()), beside).await?;
        let pieces = work.arrivals.pieces(PIECE);
        let total = work.arrivals.len() as u64;
        let (decided, written) = match pieces.len() {
            // One writer, so that few events make few files.
            0 | 1 => {
                let work = work.clone();
                let alone = move |shared: &Shared| work.alone(&pieces, shared);
                lanes::run(1, alone, tell("decide", total)).await?.pop().unwrap_or_default()
            }
            _ => work.many(pieces, total, tell).await?,
        };
        let mut gone = std::collections::BTreeMap::<usize, vector::Rows>::new();
        for d in decided {
            staged.balance.loaded -= d.duplicates;
            staged.balance.duplicates += d.duplicates;
            d.gone.into_iter().for_each(|(file, rows)| *gone.entry(file).or_default() |= rows);
        }
        let marks = silver::marks(stored, &sources, gone);
        let vectors: Vec<&vector::Rows> = marks.iter().filter_map(|(_, v)| v.as_ref()).collect();
        let entropy = &self.engine.entropy;
        let id = u128::from(entropy.next_u64()) << 64 | u128::from(entropy.next_u64());
        let mut vectors = vector::write(&dir, id, &vectors, &self.engine.tables.syncs)?.into_iter();
        for (file, vector) in &marks {
            match vector.as_ref().and_then(|_| vectors.next()) {
                Some(v) => staged.marked.push((stored[*file].clone(), v)),
                None => staged.remove.push(stored[*file].remove.clone()),
            }
        }
        staged.add.extend(written.table);
        staged.tombstones.extend(written.beside);
        staged.feed.extend(written.feed);
        Ok(())
    }

    async fn work(
        &self,
        parts: Vec<ArrivalPart>,
        (dir, sources): (PathBuf, Vec<Source>),
        beside: Option<(PathBuf, Vec<Source>)>,
    ) -> Result<Arc<Work>, LakeError> {
        let (engine, shape) = (self.engine, self.shape.clone());
        let dataset = self.job.dataset.name.clone();
        let (own, side) = (Place::Dataset(dataset.clone()), Place::Tombstones(dataset.clone()));
        let feed = self.feed.then(|| self.attempt.feed_stager(engine, &own, upsert::feed_schema(&shape.table)));
        let stagers = Stagers {
            table: self.attempt.stager(engine, &own, shape.table.clone()),
            beside: self.attempt.stager(engine, &side, shape.event.clone()),
            feed,
        };
        let meter = engine.tables.meter.clone();
        let most = engine.memory.0 / ENTRIES_SHARE / BYTES_PER_ENTRY / lanes::count() as u64;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let room = Arc::new(engine.room());
        let truncates = self.truncated.all.clone();
        let mut ended = Vec::new();
        if self.truncated.grew {
            ended.extend(sources.iter().chain(beside.iter().flat_map(|(_, s)| s)).cloned());
            engine.tables.disk.have_all(ended.iter().map(|s| &s.path)).await?;
        }
        let scratch = engine.scratch()?;
        let made = tokio::task::spawn_blocking(move || {
            let mut parts = parts;
            if !truncates.is_empty() {
                parts.push(upsert::deletions(&shape, &truncates, &parts, &ended, &scratch, &meter)?);
            }
            let arrivals = Arrivals::gather(parts, &shape)?;
            let beside = beside.as_ref().map_or((dir.as_path(), Vec::new()), |(d, s)| (d.as_path(), s.clone()));
            let past = Past::open(&shape, (&dir, sources), beside, &room, &meter)?;
            Ok(Arc::new(Work { dataset, shape, past, arrivals, stagers, meter, most }))
        });
        made.await.map_err(|_| LakeError::Worker("a thread ended early"))?
    }

    /// Folder and files of what lies beside the table. What the newest commit left to be done there is done first: an
    /// event that is in neither of both would be lost.
    async fn beside(&self, table: Option<&Table>) -> Result<Option<(PathBuf, Vec<Source>)>, LakeError> {
        if self.job.step.kind == StepKind::Rebuild {
            return Ok(None);
        }
        let place = Place::Tombstones(self.job.dataset.name.clone());
        let mut beside = self.engine.tables.open(&place).await?;
        if let Some(table) = table
            && let Some(info) = table.newest().await?
            && info.tombstones.is_some()
        {
            let followed = match &beside {
                Some(b) => b.committed(&info.step).await?,
                None => false,
            };
            if !followed {
                commit::follow(self.engine, self.job.dataset, &info).await?;
                beside = self.engine.tables.open(&place).await?;
            }
        }
        let Some(beside) = beside else { return Ok(None) };
        Ok(Some((beside.dir.clone(), beside.sources()?)))
    }
}

impl Work {
    fn deciding(&self) -> Deciding<'_> {
        let Self { shape, past, arrivals, meter, most, .. } = self;
        Deciding { shape, past, arrivals, meter, most: *most }
    }

    /// Decides over a piece, in smaller ones when its keys have too many stored events.
    fn decide(
        &self,
        piece: Range<usize>,
        writer: &mut Writer<'_>,
        decided: &mut Vec<Decided>,
    ) -> Result<(), LakeError> {
        let mut open = vec![piece];
        while let Some(piece) = open.pop() {
            match self.deciding().decide(piece.clone(), writer)? {
                Chunk::Done(d) => decided.push(d),
                Chunk::TooLarge => {
                    let (a, b) = self.arrivals.halves(piece).ok_or_else(|| self.too_large())?;
                    open.extend([b, a]);
                }
            }
        }
        Ok(())
    }

    fn too_large(&self) -> LakeError {
        LakeError::Memory { dataset: self.dataset.clone() }
    }

    fn alone(&self, pieces: &[Range<usize>], shared: &Shared) -> Result<(Vec<Decided>, Written), LakeError> {
        let mut writer = Writer::new(&self.shape, &self.stagers)?;
        let mut decided = Vec::new();
        for piece in pieces {
            self.decide(piece.clone(), &mut writer, &mut decided)?;
        }
        let fates = Fates::gather(&self.arrivals, &mut decided)?;
        for part in 0..self.arrivals.parts() {
            writer.new_events(&self.arrivals, part, &fates)?;
        }
        shared.advance(self.arrivals.len() as u64)?;
        Ok((decided, writer.finish()?))
    }

    async fn many<P: FnMut(u64)>(
        self: Arc<Self>,
        pieces: Vec<Range<usize>>,
        total: u64,
        tell: impl Fn(&'static str, u64) -> P,
    ) -> Result<(Vec<Decided>, Written), LakeError> {
        let work = self.clone();
        let decide = move |shared: &Shared| {
            let mut writer = Writer::new(&work.shape, &work.stagers)?;
            let mut decided = Vec::new();
            while let Some(p) = shared.take(pieces.len()) {
                work.decide(pieces[p].clone(), &mut writer, &mut decided)?;
                shared.advance(pieces[p].len() as u64)?;
            }
            Ok::<_, LakeError>((decided, writer.finish()?))
        };
        let (decided, before): (Vec<_>, Vec<_>) =
            lanes::staging(lanes::count(), decide, tell("decide", total), |(_, made)| self.stagers.discard(made))
                .await?
                .into_iter()
                .unzip();
        let mut decided: Vec<Decided> = decided.into_iter().flatten().collect();
        let fates = Fates::gather(&self.arrivals, &mut decided)?;
        let count = lanes::count().min(self.arrivals.parts());
        let work = self.clone();
        let write = move |shared: &Shared| {
            let mut writer = Writer::new(&work.shape, &work.stagers)?;
            while let Some(part) = shared.take(work.arrivals.parts()) {
                let rows = writer.new_events(&work.arrivals, part, &fates)?;
                shared.advance(rows)?;
            }
            writer.finish()
        };
        let new = lanes::staging(count, write, tell("write", total), |made| self.stagers.discard(made)).await;
        let new = new.inspect_err(|_| before.iter().for_each(|made| self.stagers.discard(made)))?;
        Ok((decided, Written::merge(before.into_iter().chain(new))))
    }
}

/// Whether the table's rows are of the form that the dataset now has. `Some`: the columns it has to have instead, when it
/// has no row, or will have none of these.
///
/// # Errors
/// [`LakeError::StoredAs`] when rows of the other form are there.
pub(crate) fn form(
    dataset: &DatasetName,
    table: &Table,
    declared: &Schema,
    history: bool,
    empties: bool,
) -> Result<Option<SchemaRef>, LakeError> {
    let stored = table.schema()?;
    let versions = |s: &Schema| VERSION_COLUMNS.iter().all(|c| s.field_with_name(c).is_ok());
    let is_history = versions(&stored) && (history || !versions(declared));
    if is_history == history {
        return Ok(None);
    }
    if !empties && table.rows()? > 0 {
        return Err(LakeError::StoredAs { dataset: dataset.clone(), history });
    }
    let kept = stored.fields().iter().filter(|f| history || !VERSION_COLUMNS.contains(&f.name().as_str()));
    Ok(Some(Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))))
}
