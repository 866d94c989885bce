//! A folder to a checked [`Project`], or to all its mistakes. Called by cli for every command.

use crate::{
    codes,
    dataset::{self, Draft, EffortDraft},
    definition::{EventSchema, Kind, Project},
    diagnostic::{Diagnostics, Level, Sink, quoted},
    discover::{self, Found},
    library::{self, Library},
    odcs::{self, ContractDraft},
    paths::Fence,
    project_file::{self, ProjectFile},
    rate::Said,
    resolve::{self, Resolved},
    shelf::Shelf,
    sinks,
    source_file::{Place, SourceFile},
};
use alluvium_model::{DatasetName, Layer, StatePlace};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// For landing objects of events that are pushed: a folder of the lake, beside those of the layers.
const PUSHED: &str = "pushed";

/// Which environment, and what the command line sets over the project file. Paths are relative to the current folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub name: String,
    /// Root of the lake, without the environment's own folder.
    pub lake: Option<String>,
    /// The state: a file, or the URL of a database.
    pub state: Option<String>,
}

impl Environment {
    pub(crate) const DEFAULT: &'static str = "dev";
}

impl Default for Environment {
    fn default() -> Self {
        Self { name: Self::DEFAULT.to_owned(), lake: None, state: None }
    }
}

/// A folder's definitions as far as they can be used, and all that is to be said about them.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The datasets and contracts without a mistake, for checks that go further. Fit for work only when nothing wrong
    /// was found.
    pub project: Project,
    /// The datasets with a mistake in their own file or in their contract, each with the contract of `project` that
    /// still tells its columns.
    pub flawed: BTreeMap<DatasetName, Option<String>>,
    /// Every mistake and every warning.
    pub found: Diagnostics,
}

/// Reads and checks the project in `root`. The error holds every mistake of every file, and the warnings beside them.
pub fn load(root: &Path, environment: &Environment) -> Result<Project, Diagnostics> {
    let reading = read(root, environment);
    if reading.found.has_errors() { Err(reading.found) } else { Ok(reading.project) }
}

/// Reads and checks the project in `root`, and gives what could be resolved beside all that was found.
pub fn read(root: &Path, environment: &Environment) -> Reading {
    let mut sink = Sink::default();
    let (root, settings, sources) = match project_file::folder(root, &mut sink) {
        Some(root) => {
            let settings = project_file::read(&root, environment, &mut sink);
            let settings = settings.unwrap_or_else(|| ProjectFile::unusable(&root));
            let shelf = Shelf::Folder { root: &root, fence: &settings.fence };
            let mut sources = Sources {
                defaults: settings.defaults,
                rates: settings.sinks.rates.clone(),
                ..read_all(&shelf, &settings.fence, &mut sink)
            };
            note_uses(&mut sources);
            check_places(&sources.drafts, &settings, &mut sink);
            check_edges(&sources.drafts, &settings, &mut sink);
            check_event_schemas(&sources, &mut sink);
            (root, settings, sources)
        }
        None => (root.to_owned(), ProjectFile::unusable(root), Sources::default()),
    };
    let (Resolved { mut datasets, contracts, mut order }, found) = usable(&sources, sink);
    order.retain(|name| datasets.contains_key(name));
    for dataset in datasets.values_mut() {
        if let Kind::Bronze(bronze) = &mut dataset.kind
            && bronze.is_pushed()
        {
            bronze.files.folder = settings.lake.join(PUSHED).join(dataset.name.to_string());
        }
    }
    let contract_of = |name| sources.drafts.get(name).and_then(|d| Some(d.contract.as_ref()?.value.clone()));
    let flawed = sources.names.iter().filter(|name| !datasets.contains_key(name));
    let flawed = flawed.map(|n| (n.clone(), contract_of(n).filter(|c| contracts.contains_key(c)))).collect();
    let notes = Diagnostics(found.0.iter().filter(|d| d.severity == Level::Warning).cloned().collect());
    let project = Project {
        root,
        name: settings.name,
        environment: environment.name.clone(),
        lake: settings.lake,
        remote: settings.remote,
        state: settings.state,
        limits: settings.limits,
        sinks: settings.sinks.usable,
        publish: settings.publish,
        alerts: settings.alerts,
        datasets,
        contracts,
        library: sources.library,
        files: sources.files,
        order,
        notes,
    };
    Reading { project, flawed, found }
}

/// All definition files, read each for itself.
#[derive(Default)]
pub(crate) struct Sources {
    /// Names of all dataset files, also of those with mistakes, so that one mistake is not reported as many.
    pub(crate) names: BTreeSet<DatasetName>,
    pub(crate) contract_stems: BTreeSet<String>,
    pub(crate) drafts: BTreeMap<DatasetName, Draft>,
    pub(crate) contracts: BTreeMap<String, ContractDraft>,
    pub(crate) defaults: EffortDraft,
    pub(crate) library: Library,
    /// Of the sinks, by the keys that they share.
    pub(crate) rates: BTreeMap<String, Said>,
    /// The texts of all of them, by path below the root.
    pub(crate) files: BTreeMap<String, String>,
}

impl Sources {
    fn read(&mut self, shelf: &Shelf<'_>, path: &Path, sink: &mut Sink) -> Option<Arc<SourceFile>> {
        let file = shelf.read(path, sink)?;
        if let Some(path) = path.to_str() {
            self.files.insert(path.to_owned(), file.text.clone());
        }
        Some(file)
    }
}

/// The datasets and contracts without a mistake, and all that was found.
pub(crate) fn usable(sources: &Sources, mut sink: Sink) -> (Resolved, Diagnostics) {
    let mut resolved = resolve::resolve(sources, &mut sink);
    let found = sink.finish();
    let wrong: BTreeSet<&Path> = found.0.iter().filter(|d| d.severity == Level::Error).map(|d| &*d.file).collect();
    let Resolved { datasets, contracts, .. } = &mut resolved;
    contracts.retain(|_, c| !wrong.contains(&*c.file));
    datasets.retain(|_, d| {
        let contract = d.contract.as_ref().is_none_or(|c| contracts.contains_key(c));
        contract && !wrong.contains(&*d.file)
    });
    (resolved, found)
}

pub(crate) fn read_all(shelf: &Shelf<'_>, fence: &Fence, sink: &mut Sink) -> Sources {
    let all = discover::definitions(shelf, sink);
    let mut sources = Sources::default();
    sources.library = read_library(shelf, &all, &mut sources, sink);
    for found in all {
        match found {
            Found::Library { .. } | Found::Cases { .. } => {}
            Found::Contract { stem, path } => {
                if !sources.contract_stems.insert(stem.clone()) {
                    let file = SourceFile::new(path, "");
                    let message = format!("a second contract is named {}", quoted(&stem));
                    sink.report(
                        codes::DUPLICATE_DATASET,
                        &file,
                        Place::WHOLE,
                        message,
                        "rename one of the files".to_owned(),
                    );
                    continue;
                }
                let Some(file) = sources.read(shelf, &path, sink) else { continue };
                sources.contracts.extend(odcs::read(file, Some(&sources.library), sink).map(|c| (stem, c)));
            }
            Found::Dataset { name, path } => {
                if !sources.names.insert(name.clone()) {
                    let file = SourceFile::new(path, "");
                    let message = format!("a second file defines {name}");
                    sink.report(
                        codes::DUPLICATE_DATASET,
                        &file,
                        Place::WHOLE,
                        message,
                        "rename one of the files".to_owned(),
                    );
                    continue;
                }
                let Some(file) = sources.read(shelf, &path, sink) else { continue };
                let draft = read_dataset(name.clone(), file, fence, &sources.library, sink);
                sources.drafts.extend(draft.map(|d| (name, d)));
            }
        }
    }
    sources
}

/// Before all that may call its functions.
fn read_library(shelf: &Shelf<'_>, all: &[Found], sources: &mut Sources, sink: &mut Sink) -> Library {
    let (mut functions, mut cases) = (Vec::new(), Vec::new());
    for found in all {
        match found {
            Found::Library { path } => functions.extend(sources.read(shelf, path, sink)),
            // They decide no row.
            Found::Cases { path } => cases.extend(shelf.read(path, sink)),
            Found::Contract { .. } | Found::Dataset { .. } => {}
        }
    }
    let mut library = library::build(&functions, sink);
    for file in cases {
        library::read_cases(&file, &mut library, sink);
    }
    library
}

/// Which datasets call which functions, themselves or by their contract.
fn note_uses(sources: &mut Sources) {
    let Sources { drafts, contracts, library, .. } = sources;
    for (name, draft) in drafts {
        let contract = draft.contract.as_ref().and_then(|c| contracts.get(&c.value));
        let calls = draft.calls().chain(contract.into_iter().flat_map(ContractDraft::calls)).cloned().collect();
        for function in library.used(calls) {
            library.note_use(&function, name);
        }
    }
}

fn read_dataset(
    name: DatasetName,
    file: Arc<SourceFile>,
    fence: &Fence,
    library: &Library,
    sink: &mut Sink,
) -> Option<Draft> {
    match name.layer() {
        Layer::Bronze => dataset::read_bronze(name, file, fence, sink),
        Layer::Silver => dataset::read_silver(name, file, library, sink),
        Layer::Gold => dataset::read_gold(name, file, library, sink),
    }
}

/// What a dataset is told by and what it tells: the sinks are there, and each path has one taker.
fn check_edges(drafts: &BTreeMap<DatasetName, Draft>, settings: &ProjectFile, sink: &mut Sink) {
    let mut paths: BTreeMap<&str, &DatasetName> = BTreeMap::new();
    for d in drafts.values() {
        for name in &d.publish {
            settings.sinks.check(name, &d.file, sink);
        }
        let dataset::Body::Bronze(bronze) = &d.body else { continue };
        let Some(hook) = &bronze.webhook else { continue };
        if let Some(other) = paths.insert(&hook.value.path, &d.name) {
            let message = format!("{other} takes the calls to {} already", quoted(&hook.value.path));
            sink.report(
                codes::CONTRADICTION,
                &d.file,
                hook.place,
                message,
                "give each webhook a path of its own".to_owned(),
            );
        }
    }
}

/// A type of events has one schema, under a name that no contract has.
fn check_event_schemas(sources: &Sources, sink: &mut Sink) {
    let mut known: BTreeMap<&String, (&DatasetName, &Arc<EventSchema>)> = BTreeMap::new();
    for d in sources.drafts.values() {
        let dataset::Body::Bronze(bronze) = &d.body else { continue };
        let hook = bronze.webhook.as_ref().and_then(|w| w.value.types.as_ref());
        for (name, schema) in bronze.push.iter().chain(hook).flat_map(|types| &types.schemas) {
            let (other, said) = known.entry(name).or_insert((&d.name, schema));
            if (&said.file, said.mode) != (&schema.file, schema.mode) {
                let message = format!("{other} says that {} has another schema or mode", quoted(name));
                let help = "name the same file and mode wherever the type is taken".to_owned();
                sink.report(codes::CONTRADICTION, &d.file, schema.place, message, help);
            }
            if sources.contract_stems.contains(name) {
                let message = format!("a contract is named {} already", quoted(name));
                let help = "the registry has one subject of a name; rename the contract's file".to_owned();
                sink.report(codes::CONTRADICTION, &d.file, schema.place, message, help);
            }
        }
    }
}

/// The product's own files must not arrive as data.
fn check_places(drafts: &BTreeMap<DatasetName, Draft>, settings: &ProjectFile, sink: &mut Sink) {
    for d in drafts.values() {
        let dataset::Body::Bronze(b) = &d.body else { continue };
        let (folder, Some(written)) = (&b.source.folder, &b.folder) else { continue };
        let state = match &settings.state {
            StatePlace::File(path) => Some(("state", path)),
            StatePlace::Postgres(_) => None,
        };
        let events = settings.sinks.usable.values().filter_map(|s| match s {
            sinks::Sink::Files { folder } => Some(("folder of a sink", folder)),
            sinks::Sink::Webhook(_) => None,
        });
        for (what, path) in [("lake", &settings.lake)].into_iter().chain(state).chain(events) {
            // The lake's URL, whose folder has copies. A place that could not be used is empty, and a mistake of its own.
            let remote = settings.remote.as_ref().filter(|_| what == "lake").map(|url| url.to_string().into());
            let path = remote.as_ref().unwrap_or(path);
            let usable = !path.as_os_str().is_empty();
            if usable && (path.starts_with(folder) || folder.starts_with(path)) {
                let message =
                    format!("the landing folder {} and the {what} lie inside each other", quoted(&written.value));
                let help = "give arriving files a folder of their own, as `landing/flights/`".to_owned();
                sink.report(codes::CONTRADICTION, &d.file, written.place, message, help);
            }
        }
    }
}
