//! What is to be replayed: one value, whether it comes from a command or over HTTP.
//!
//! Called by cli, and by `asked.rs` for a service. It is written into the state as JSON.

use super::{Discard, Letters, Settle, Tried, Version};
use crate::{Flow, FlowError, Judged, Summary};
use alluvium_model::{DatasetName, RunId};
use alluvium_spec::{Kind, Project};
use alluvium_store::{ReplayRecord, VerdictKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Replay {
    /// What waits in the quarantine of a bronze or silver dataset.
    Quarantine {
        dataset: DatasetName,
        /// The dataset's changed definition applies to these rows and to new ones.
        #[serde(default)]
        adopt: bool,
    },
    /// Values that bronze put aside, and that the silver dataset's definition names by now.
    Rescued {
        dataset: DatasetName,
    },
    DeadLetters(Letters),
    /// What its gate held back.
    Held(Settle),
    /// What waits in its quarantine, and never comes into its table.
    Discard(Discard),
}

impl Replay {
    /// As the state holds it.
    ///
    /// # Errors
    /// When another version of alluvium wrote it, in a way that this one does not know.
    pub fn of(asked: &ReplayRecord) -> Result<Self, FlowError> {
        serde_json::from_str(&asked.request)
            .map_err(|source| FlowError::ReplayNotUnderstood { id: asked.id.clone(), source })
    }

    /// The arguments that say the same on the command line.
    pub fn command(&self) -> String {
        match self {
            Self::Quarantine { dataset, adopt } => {
                let adopt = if *adopt { " --adopt" } else { "" };
                format!("replay quarantine {dataset}{adopt}")
            }
            Self::Rescued { dataset } => format!("replay rescued {dataset}"),
            Self::DeadLetters(Letters { dataset, ids, version }) => {
                let mut command = "replay dead-letters".to_owned();
                dataset.iter().for_each(|d| command.push_str(&format!(" --dataset {d}")));
                ids.iter().for_each(|id| command.push_str(&format!(" --id {id}")));
                if *version == Version::Original {
                    command.push_str(" --version original");
                }
                command
            }
            Self::Held(what) => what.command(),
            Self::Discard(what) => what.command(),
        }
    }

    /// The dataset that it names.
    pub fn dataset(&self) -> Option<&DatasetName> {
        match self {
            Self::Quarantine { dataset, .. } | Self::Rescued { dataset } => Some(dataset),
            Self::DeadLetters(letters) => letters.dataset.as_ref(),
            Self::Held(what) => Some(&what.dataset),
            Self::Discard(what) => Some(&what.dataset),
        }
    }

    /// The same, said by that person, who showed it.
    #[must_use]
    pub fn said_by(mut self, who: &str) -> Self {
        match &mut self {
            Self::Held(Settle { by, .. }) | Self::Discard(Discard { by, .. }) => who.clone_into(by),
            Self::Quarantine { .. } | Self::Rescued { .. } | Self::DeadLetters(_) => {}
        }
        self
    }

    pub(super) fn check(&self, project: &Project) -> Result<(), FlowError> {
        let Some(name) = self.dataset() else { return Ok(()) };
        let dataset = project.datasets.get(name).ok_or_else(|| FlowError::UnknownDataset(name.clone()))?;
        match self {
            Self::Quarantine { .. } | Self::Discard(_) if matches!(dataset.kind, Kind::Gold(_)) => {
                Err(FlowError::NoQuarantine(name.clone()))
            }
            Self::Rescued { .. } if dataset.silver().is_none() => Err(FlowError::NotSilver(name.clone())),
            Self::Held(what) if what.verdict == VerdictKind::Drop && matches!(dataset.kind, Kind::Gold(_)) => {
                Err(FlowError::NothingToDrop(name.clone()))
            }
            Self::Held(what) if !dataset.accept.may_decide(&what.by) => Err(FlowError::NotTheirs {
                dataset: name.clone(),
                by: what.by.clone(),
                may: dataset.accept.decided_by.join(", "),
            }),
            Self::Quarantine { .. }
            | Self::Rescued { .. }
            | Self::DeadLetters(_)
            | Self::Held(_)
            | Self::Discard(_) => Ok(()),
        }
    }
}

impl Flow<'_> {
    /// Does the replay as one run, and what follows from it: its datasets, and what is made from those.
    ///
    /// # Errors
    /// As [`Flow::run`], and before there is a run when something is named that is not there.
    pub async fn replay(&self, what: &Replay, stop: impl Future<Output = ()>) -> Result<Summary, FlowError> {
        let (command, asked_at) = (what.command(), self.clock.now());
        let what = self.meant(what).await?;
        let work = async |run: &RunId, summary: &mut Summary| {
            self.replay_as(run, (&what, asked_at), &mut Tried::default(), summary).await
        };
        self.live(&command, Judged::All, stop, work).await
    }

    /// The same, as it means the same at all times: with whole ids in place of their beginnings.
    pub(super) async fn meant(&self, what: &Replay) -> Result<Replay, FlowError> {
        what.check(self.project)?;
        Ok(match what {
            Replay::Quarantine { .. } | Replay::Rescued { .. } | Replay::Held(_) | Replay::Discard(_) => what.clone(),
            Replay::DeadLetters(letters) => Replay::DeadLetters(self.whole(letters).await?),
        })
    }

    pub(super) async fn replay_as(
        &self,
        run: &RunId,
        (what, asked_at): (&Replay, Timestamp),
        tried: &mut Tried,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        match what {
            Replay::Quarantine { dataset, adopt } => self.replay_quarantine(run, dataset, *adopt, tried, summary).await,
            Replay::Rescued { dataset } => self.replay_rescued(run, dataset, tried, summary).await,
            Replay::DeadLetters(letters) => self.replay_letters(run, letters, tried, summary).await,
            Replay::Held(what) => self.settle_held(run, what, tried, summary).await,
            Replay::Discard(what) => self.discard(run, (what, asked_at), tried, summary).await,
        }
    }
}
