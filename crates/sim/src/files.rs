//! What comes into the simulated landing folders, and when.

use crate::{
    executor::Sim,
    gate::{self, KINDS},
    world::SECOND,
};
use alluvium_model::DatasetName;

/// A file of so many records, and when it comes.
pub(crate) struct File {
    pub(crate) at: i64,
    pub(crate) dataset: DatasetName,
    pub(crate) path: String,
    pub(crate) content: String,
    pub(crate) records: u64,
}

/// Where nobody has to decide anything: undisturbed work gives the same.
pub(crate) fn plain(sim: &Sim) -> Vec<File> {
    let file = |n: u64| {
        let dataset = if sim.once_in(2) { "bronze.a" } else { "bronze.b" };
        let records = 1 + sim.below(12);
        // Some come twice under two names, and some cannot be read.
        let content = if n % 5 == 4 { format!("c{}-3", n - 1) } else { format!("c{n}-{records}") };
        let content = if n % 7 == 6 { format!("bad{n}") } else { content };
        let records = content.rsplit_once('-').and_then(|(_, r)| r.parse().ok()).unwrap_or(1);
        File {
            at: when(sim, 110),
            dataset: dataset.parse().expect("a name"),
            path: format!("{n}.ndjson"),
            content,
            records,
        }
    };
    (0..14).map(file).collect()
}

/// Where people decide.
pub(crate) fn judged(sim: &Sim) -> Vec<File> {
    let file = |n: u64| {
        let kind = KINDS[usize::try_from(sim.below(KINDS.len() as u64)).expect("small")];
        let records = 4 + sim.below(16);
        let content = format!("{kind}{n}-{records}");
        File { at: when(sim, 70), dataset: gate::received(), path: format!("{n}.ndjson"), content, records }
    };
    (0..12).map(file).collect()
}

/// What comes when all else is done.
pub(crate) fn last() -> [File; 2] {
    ["bronze.a", "bronze.b"].map(|dataset| {
        let (path, content) = ("last.ndjson".to_owned(), format!("last in {dataset}"));
        File { at: 0, dataset: dataset.parse().expect("a name"), path, content, records: 5 }
    })
}

fn when(sim: &Sim, most_seconds: u64) -> i64 {
    i64::try_from(sim.below(most_seconds)).expect("small") * SECOND
}
