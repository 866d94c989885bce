//! A dataset under a definition that the project does not hold any more, made from texts that were kept.
//!
//! Called by flow, for what a person wants done as it was planned.

use crate::{
    definition::{Bronze, Dataset, FileSource, Kind, Project},
    diagnostic::Sink,
    load,
    paths::Fence,
    resolve::Resolved,
    shelf::Shelf,
};
use alluvium_model::{DatasetName, DefinitionVersion};
use std::{collections::BTreeMap, path::Path};

impl Project {
    /// The same project, in which the dataset and its contract are as in `files`. What the version does not cover, as places, criteria and how
    /// often it is tried, stays as it is now. `None`: the project has no such dataset, or this release does not read that
    /// version out of these files.
    #[must_use]
    pub fn with_kept(
        &self,
        name: &DatasetName,
        version: &DefinitionVersion,
        files: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let now = self.datasets.get(name)?;
        let mut sink = Sink::default();
        // Where its files lie is said by the present definition.
        let mut fence = Fence::new(&self.root);
        fence.allow(Path::new("/"));
        let sources = load::read_all(&Shelf::Kept(files), &fence, &mut sink);
        let (Resolved { mut datasets, mut contracts, .. }, _) = load::usable(&sources, sink);
        let then = datasets.remove(name).filter(|d| d.version == *version)?;
        let mut project = self.clone();
        if let Some(stem) = &then.contract {
            project.contracts.insert(stem.clone(), contracts.remove(stem)?);
        }
        let kind = kind(then.kind, &now.kind);
        let kept = Dataset { kind, version: then.version, contract: then.contract, ..now.clone() };
        project.datasets.insert(name.clone(), kept);
        Some(project)
    }
}

/// Of a bronze dataset what decides its rows is of then, and all else of now.
fn kind(then: Kind, now: &Kind) -> Kind {
    match (then, now) {
        (Kind::Bronze(then), Kind::Bronze(now)) => {
            let files = FileSource { format: then.files.format, csv: then.files.csv, ..now.files.clone() };
            let Bronze { expected, inside, drift, required, .. } = then;
            Kind::Bronze(Bronze { files, expected, inside, drift, required, ..now.clone() })
        }
        (then, _) => then,
    }
}
