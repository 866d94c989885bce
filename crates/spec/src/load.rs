//! A folder to a checked [`Project`], or to all its mistakes. Called by cli for every command.

use crate::{
    codes,
    dataset::{self, Draft},
    definition::Project,
    diagnostic::{Diagnostics, Sink, quoted},
    discover::{self, Found},
    odcs::{self, ContractDraft},
    paths::Fence,
    project_file::{self, ProjectFile},
    resolve,
    source_file::{Place, SourceFile},
};
use alluvium_model::{DatasetName, Layer};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// Which environment, and what the command line sets over the project file. Paths are relative to the current folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub name: String,
    /// Root of the lake, without the environment's own folder.
    pub lake: Option<String>,
    /// The state file.
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

/// Reads and checks the project in `root`. The error holds every mistake of every file, and the warnings beside them.
pub fn load(root: &Path, environment: &Environment) -> Result<Project, Diagnostics> {
    let mut sink = Sink::default();
    let Ok(root) = root.canonicalize() else {
        let nothing = SourceFile::new(project_file::PROJECT_FILE, "");
        sink.report(
            codes::UNREADABLE,
            &nothing,
            Place::WHOLE,
            format!("there is no folder {}", quoted(&root.display().to_string())),
            None,
        );
        return Err(sink.finish());
    };
    let settings = project_file::read(&root, environment, &mut sink);
    let own_fence = Fence::new(&root);
    let fence = settings.as_ref().map_or(&own_fence, |s| &s.fence);
    let sources = read_all(&root, fence, &mut sink);
    if let Some(s) = &settings {
        check_places(&sources.drafts, s, &mut sink);
    }
    let resolved = resolve::resolve(&sources, &mut sink);
    match (settings, sink.has_errors()) {
        (Some(s), false) => Ok(Project {
            root,
            name: s.name,
            environment: environment.name.clone(),
            lake: s.lake,
            state: s.state,
            limits: s.limits,
            datasets: resolved.datasets,
            contracts: resolved.contracts,
            order: resolved.order,
            notes: sink.finish(),
        }),
        _ => Err(sink.finish()),
    }
}

/// All definition files, read each for itself.
#[derive(Default)]
pub(crate) struct Sources {
    /// Names of all dataset files, also of those with mistakes, so that one mistake is not reported as many.
    pub(crate) names: BTreeSet<DatasetName>,
    pub(crate) contract_stems: BTreeSet<String>,
    pub(crate) drafts: BTreeMap<DatasetName, Draft>,
    pub(crate) contracts: BTreeMap<String, ContractDraft>,
}

fn read_all(root: &Path, fence: &Fence, sink: &mut Sink) -> Sources {
    let mut sources = Sources::default();
    for found in discover::definitions(root, fence, sink) {
        match found {
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
                let Some(file) = SourceFile::read(root, &path, sink) else { continue };
                sources.contracts.extend(odcs::read(file, sink).map(|c| (stem, c)));
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
                let Some(file) = SourceFile::read(root, &path, sink) else { continue };
                sources.drafts.extend(read_dataset(name.clone(), file, fence, sink).map(|d| (name, d)));
            }
        }
    }
    sources
}

fn read_dataset(name: DatasetName, file: Arc<SourceFile>, fence: &Fence, sink: &mut Sink) -> Option<Draft> {
    match name.layer() {
        Layer::Bronze => dataset::read_bronze(name, file, fence, sink),
        Layer::Silver => dataset::read_silver(name, file, sink),
        Layer::Gold => dataset::read_gold(name, file, sink),
    }
}

/// The product's own files must not arrive as data.
fn check_places(drafts: &BTreeMap<DatasetName, Draft>, settings: &ProjectFile, sink: &mut Sink) {
    for d in drafts.values() {
        let dataset::Body::Bronze(b) = &d.body else { continue };
        let folder = &b.source.folder;
        for (what, path) in [("lake", &settings.lake), ("state", &settings.state)] {
            if path.starts_with(folder) || folder.starts_with(path) {
                let message =
                    format!("the landing folder {} and the {what} lie inside each other", quoted(&b.folder.value));
                let help = "give arriving files a folder of their own, as `landing/flights/`".to_owned();
                sink.report(codes::CONTRADICTION, &d.file, b.folder.place, message, help);
            }
        }
    }
}
