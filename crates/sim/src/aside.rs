//! The quarantine beside a simulated table: a table of its own, whose versions follow the commits of steps.
//!
//! As in the lake, rows are known by the step that put them there, and what leaves was decided over a version of it.

use alluvium_model::StepKey;

/// A row that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) step: StepKey,
    pub(crate) row: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Aside {
    versions: Vec<Version>,
}

#[derive(Debug, Clone)]
struct Version {
    step: StepKey,
    comes: Vec<Waiting>,
    leaves: Vec<Waiting>,
}

impl Aside {
    pub(crate) fn head(&self) -> i64 {
        i64::try_from(self.versions.len()).expect("a few versions")
    }

    /// What waits at a version.
    pub(crate) fn at(&self, version: i64) -> Vec<Waiting> {
        let mut waiting = Vec::<Waiting>::new();
        for (change, _) in self.versions.iter().zip(1..).filter(|(_, v)| *v <= version) {
            waiting.retain(|w| !change.leaves.contains(w));
            waiting.extend(change.comes.iter().cloned());
        }
        waiting
    }

    /// What waits now.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.at(self.head()).into_iter().map(|w| w.row).collect()
    }

    pub(crate) fn has_left(&self, since: i64) -> bool {
        self.versions.iter().zip(1..).any(|(change, v)| v > since && !change.leaves.is_empty())
    }

    /// Once for each step.
    pub(crate) fn change(&mut self, step: &StepKey, rows: Vec<String>, leaves: Vec<Waiting>) {
        if self.versions.iter().all(|v| v.step != *step) {
            let comes = rows.into_iter().map(|row| Waiting { step: step.clone(), row }).collect();
            self.versions.push(Version { step: step.clone(), comes, leaves });
        }
    }
}
