//! Dead letters, once more: whoever asks has mended what was wrong with them.
//!
//! Called by `request.rs`. Each letter comes back once, however often and by however many it is asked for: the state
//! decides. What comes back is then done as by any run.

use super::Tried;
use crate::{Arrival, Flow, FlowError, NotKept, Options, Summary, drain::look_error, retire::Retired};
use alluvium_model::{DatasetName, DefinitionVersion, RunId, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::{DeadLetter, NewEvent, VerdictKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The code of a letter whose original definition cannot be had.
const NOT_KEPT: &str = "F0117";
const NOT_KEPT_REMEDY: &str = "replay it under the present definition, with `--version current`";

/// Which dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Letters {
    /// `None`: of all datasets.
    pub dataset: Option<DatasetName>,
    /// Ids of events and steps, or their beginnings; empty: all.
    pub ids: Vec<String>,
    pub version: Version,
}

/// Under which definition a letter is tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// The one that the project holds now. What was planned under another one is planned anew.
    #[default]
    Current,
    /// The one that it was tried under before.
    Original,
}

/// What became of one letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The same step is open again.
    Step,
    /// The definition has changed: what the step took is planned anew.
    PlannedAnew,
    /// The step had committed before its last attempt failed; only its end was missing.
    Finished,
    /// The landing object is read once more.
    Event,
    /// The letter is closed: its content came again by itself, or its path holds other content now, which is an event of
    /// its own.
    Closed,
    /// It stays: nothing that could be read lies at this path, and no copy was kept.
    Missing { path: String },
    /// It stays: it was held under another definition than the project holds.
    OtherVersion { was: DefinitionVersion, now: DefinitionVersion },
    /// It stays: its original definition was asked for, and cannot be had.
    NotKept { was: DefinitionVersion, why: NotKept },
    /// It stays: the project has no such dataset any more.
    NoDataset,
    /// It was held back, and its gate lets it pass now; or its input is dropped.
    Settled(VerdictKind),
    /// It stays: it took no input that could be dropped.
    NoInput,
    /// Somebody else was quicker.
    Gone,
}

impl Replayed {
    /// Whether there is something to do for it now.
    pub(super) fn is_work(&self) -> bool {
        match self {
            Self::Step | Self::PlannedAnew | Self::Finished | Self::Event | Self::Closed | Self::Settled(_) => true,
            Self::Missing { .. }
            | Self::OtherVersion { .. }
            | Self::NotKept { .. }
            | Self::NoDataset
            | Self::NoInput
            | Self::Gone => false,
        }
    }

    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Step | Self::Event => "tried",
            Self::PlannedAnew => "planned_anew",
            Self::Finished => "finished",
            Self::Closed | Self::Gone => "closed",
            Self::Missing { .. } => "missing",
            Self::OtherVersion { .. } => "other_version",
            Self::NotKept { .. } => "not_kept",
            Self::NoDataset => "no_dataset",
            Self::Settled(VerdictKind::Release) => "released",
            Self::Settled(VerdictKind::Drop) => "dropped",
            Self::NoInput => "no_input",
        }
    }

    /// For a person, if it stays.
    pub fn why_it_stays(&self) -> Option<String> {
        match self {
            Self::Missing { path } => Some(format!("there is no complete file at {path}, and no copy of it was kept")),
            Self::OtherVersion { was, now } => {
                let (was, now) = (was.brief(), now.brief());
                Some(format!("it was tried under definition {was}, and the project holds {now}"))
            }
            Self::NotKept { was, why } => {
                let was = was.brief();
                let why = match why {
                    NotKept::Never => "which was used last by a release that kept no definitions",
                    NotKept::ReadOtherwise => "which this release reads otherwise",
                };
                Some(format!("{NOT_KEPT}: it was tried under definition {was}, {why}; {NOT_KEPT_REMEDY}"))
            }
            Self::NoDataset => Some("the project has no such dataset".to_owned()),
            Self::NoInput => {
                Some("it is no input: ask for the replay or the rebuild again when it is mended".to_owned())
            }
            Self::Step
            | Self::PlannedAnew
            | Self::Finished
            | Self::Event
            | Self::Closed
            | Self::Settled(_)
            | Self::Gone => None,
        }
    }

    /// Whether the letter is still one.
    pub fn stays(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::OtherVersion { .. }
            | Self::NotKept { .. }
            | Self::NoDataset
            | Self::NoInput => true,
            Self::Step
            | Self::PlannedAnew
            | Self::Finished
            | Self::Event
            | Self::Closed
            | Self::Settled(_)
            | Self::Gone => false,
        }
    }
}

impl Flow<'_> {
    /// Brings dead letters back, and does what follows from that: their datasets, and what is made from those.
    pub(super) async fn replay_letters(
        &self,
        run: &RunId,
        which: &Letters,
        tried: &mut Tried,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let mut bronze = BTreeSet::new();
        for letter in self.chosen(which).await? {
            if letter.event.is_some() {
                bronze.insert(letter.dataset.clone());
            }
            let done = self.replay_one(run, &letter, which.version, summary).await?;
            let id = id_of(&letter).to_owned();
            self.replayed(letter.dataset, id, done, tried, summary);
        }
        self.what_follows(run, tried, summary).await?;
        for dataset in bronze {
            self.forget_payloads(&dataset).await?;
        }
        Ok(())
    }

    /// Does what came back: its datasets, and what is made from those.
    pub(super) async fn what_follows(
        &self,
        run: &RunId,
        tried: &mut Tried,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        for name in &self.project.order {
            let (dataset, reached) = (&self.project.datasets[name], &mut tried.datasets);
            if reached.contains(name) || dataset.consumes().iter().any(|input| reached.contains(input)) {
                reached.insert(name.clone());
                self.dataset(run, dataset, &Options::default(), summary).await?;
            }
        }
        Ok(())
    }

    /// The same letters, by their whole ids.
    pub(super) async fn whole(&self, which: &Letters) -> Result<Letters, FlowError> {
        let chosen = self.chosen(which).await?;
        let whole = |id: &String| chosen.iter().map(id_of).find(|i| i.starts_with(&**id)).unwrap_or(id).to_owned();
        Ok(Letters { ids: which.ids.iter().map(whole).collect(), ..which.clone() })
    }

    pub(super) async fn chosen(&self, which: &Letters) -> Result<Vec<DeadLetter>, FlowError> {
        let mut letters = self.store.dead_letters().await?;
        letters.retain(|l| which.dataset.as_ref().is_none_or(|d| *d == l.dataset));
        let mut wanted = BTreeSet::new();
        for id in &which.ids {
            let meant: Vec<usize> = (0..letters.len()).filter(|i| id_of(&letters[*i]).starts_with(&**id)).collect();
            match meant.as_slice() {
                [one] => wanted.insert(*one),
                // One that came back before is no mistake, and no work.
                [] if self.was_one(id).await? => false,
                [] => return Err(FlowError::UnknownLetter(id.clone())),
                [..] => return Err(FlowError::AmbiguousLetter(id.clone())),
            };
        }
        let all = which.ids.is_empty();
        let kept = letters.into_iter().enumerate().filter(|(i, _)| all || wanted.contains(i));
        Ok(kept.map(|(_, letter)| letter).collect())
    }

    /// Whether it is the whole id of something known.
    async fn was_one(&self, id: &str) -> Result<bool, FlowError> {
        let event = alluvium_model::EventId::from_stored(id);
        let step = alluvium_model::StepKey::from_stored(id);
        Ok(!self.store.events(&[event]).await?.is_empty() || self.store.step(&step).await?.is_some())
    }

    async fn replay_one(
        &self,
        run: &RunId,
        letter: &DeadLetter,
        version: Version,
        summary: &mut Summary,
    ) -> Result<Replayed, FlowError> {
        let Some(dataset) = self.project.datasets.get(&letter.dataset) else { return Ok(Replayed::NoDataset) };
        let changed = letter.version != dataset.version;
        let original = if changed && version == Version::Original {
            match self.original(&dataset.name, &letter.version).await? {
                Ok(project) => Some(project),
                Err(why) => return Ok(Replayed::NotKept { was: letter.version.clone(), why }),
            }
        } else {
            None
        };
        let then = original.as_ref().map(|project| &project.datasets[&dataset.name]);
        crash_point("replay.before_revive");
        let done = match (&letter.event, &letter.object) {
            (Some(event), Some(path)) => self.replay_event(run, (dataset, then), event, path).await?,
            _ if changed && then.is_none() => self.plan_anew(run, dataset, letter, summary).await?,
            _ if self.store.revive_step(&letter.step, then.is_some()).await? => Replayed::Step,
            _ => Replayed::Gone,
        };
        crash_point("replay.after_revive");
        Ok(done)
    }

    async fn plan_anew(
        &self,
        run: &RunId,
        dataset: &Dataset,
        letter: &DeadLetter,
        summary: &mut Summary,
    ) -> Result<Replayed, FlowError> {
        let Some(step) = self.store.step(&letter.step).await? else { return Ok(Replayed::Gone) };
        Ok(match self.retire(run, dataset, &step, summary).await? {
            Retired::Superseded => Replayed::PlannedAnew,
            Retired::Finished => Replayed::Finished,
            Retired::Forgotten => Replayed::Gone,
            Retired::Failed(error) => return Err(look_error(&dataset.name, error)),
        })
    }

    /// The object's content decides: what lies at its path, or, where nothing does, what was kept of it. Its next delivery is
    /// another event, whose id follows from the dead one's: told twice, or delivered meanwhile, it is still the same. `then`: the
    /// definition under which it is loaded, if that is not the present one.
    async fn replay_event(
        &self,
        run: &RunId,
        (dataset, then): (&Dataset, Option<&Dataset>),
        event: &alluvium_model::EventId,
        path: &str,
    ) -> Result<Replayed, FlowError> {
        let name = &dataset.name;
        let again = event.again();
        let known = self.store.events(&[event.clone(), again.clone()]).await?;
        let Some(dead) = known.iter().find(|e| e.event == *event) else { return Ok(Replayed::Gone) };
        let new = if known.iter().any(|e| e.event == again) {
            None
        } else {
            let found = self.landing.find(dataset, path).await.map_err(|e| look_error(name, e))?;
            let found = match found {
                None if self.engine.keeps(name, &dead.content).await.map_err(|e| look_error(name, e))? => Arrival {
                    path: dead.path.clone(),
                    bytes: dead.bytes,
                    modified_nanos: dead.modified_nanos,
                    content: dead.content.clone(),
                },
                None => return Ok(Replayed::Missing { path: path.to_owned() }),
                Some(found) => found,
            };
            (found.content == dead.content).then(|| NewEvent {
                event: again,
                dataset: name.clone(),
                path: found.path,
                content: found.content,
                bytes: found.bytes,
                modified_nanos: found.modified_nanos,
                received_at: self.clock.now(),
            })
        };
        let original = match (then, &new) {
            (Some(then), Some(new)) => Some(self.round(run, then).await?.again(new)),
            _ => None,
        };
        let replayed = self.store.replay_event(run, event, new.as_ref(), original.as_ref()).await?;
        Ok(match (replayed, new) {
            (false, _) => Replayed::Gone,
            (true, Some(_)) => Replayed::Event,
            (true, None) => Replayed::Closed,
        })
    }
}

fn id_of(letter: &DeadLetter) -> &str {
    letter.event.as_ref().map_or(letter.step.as_str(), |e| e.as_str())
}
