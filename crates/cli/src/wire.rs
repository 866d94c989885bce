//! Puts a project's parts together: state, engine, landing folders, time.

use crate::{error::CliError, process};
use alluvium_flow::{Breakers, Flow, Report, Timer};
use alluvium_lake::LakeEngine;
use alluvium_model::{Clock, Entropy, SystemClock, SystemEntropy};
use alluvium_source::files::FileLanding;
use alluvium_spec::Project;
use alluvium_store::{StateStore, Watch};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

pub struct Wired {
    pub project: Project,
    pub store: StateStore,
    pub engine: LakeEngine,
    pub clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    landing: FileLanding,
    timer: TokioTimer,
    breakers: Breakers,
}

impl Wired {
    /// Opens the state, and makes it if it is not there.
    pub async fn open(project: Project) -> Result<Self, CliError> {
        let store = StateStore::open(&project.state).await?;
        Self::with(project, store)
    }

    /// For commands that only read: makes and changes nothing. A state that is not there is empty.
    pub async fn reading(project: Project) -> Result<Self, CliError> {
        let store = StateStore::read(&project.state).await?;
        Self::with(project, store)
    }

    fn with(project: Project, store: StateStore) -> Result<Self, CliError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let engine = LakeEngine::new(&project, clock.clone(), entropy.clone())?;
        let landing = FileLanding::new(clock.clone());
        Ok(Self { project, store, engine, clock, entropy, landing, timer: TokioTimer, breakers: Breakers::default() })
    }

    /// Closes the state, so that nothing of this process stays beside its file, or on its server.
    pub async fn close(self) -> Result<(), CliError> {
        Ok(self.store.close().await?)
    }

    /// The present time, and which processes live.
    pub fn watch(&self) -> Watch<'_> {
        Watch { now: self.clock.now(), alive: &process::is_alive }
    }

    pub fn flow<'a>(&'a self, report: &'a dyn Report) -> Flow<'a> {
        Flow {
            project: &self.project,
            store: &*self.store,
            engine: &self.engine,
            landing: &self.landing,
            clock: self.clock.as_ref(),
            entropy: self.entropy.as_ref(),
            timer: &self.timer,
            report,
            breakers: &self.breakers,
            owner: process::owner(),
            alive: &process::is_alive,
        }
    }
}

struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    #[expect(clippy::disallowed_methods, reason = "the one place that really waits")]
    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
