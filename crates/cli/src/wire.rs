//! Puts a project's parts together: state, engine, landing folders, time.

use crate::{error::CliError, memory, process};
use alluvium_flow::{Breakers, Flow, Hands, Report, Timer};
use alluvium_lake::LakeEngine;
use alluvium_model::{Clock, Entropy, SystemClock, SystemEntropy};
use alluvium_server::{Outbox, Variables};
use alluvium_source::files::FileLanding;
use alluvium_spec::Project;
use alluvium_store::{StateStore, Watch};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// A step uses all of the machine's cores, and the memory that the project allows.
const STEPS_AT_ONCE: usize = 1;

/// For a receiver of publications to answer.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Wired {
    pub project: Project,
    pub store: StateStore,
    pub engine: LakeEngine,
    pub clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    landing: FileLanding,
    pub timer: Arc<dyn Timer>,
    /// The environment's, for secrets that definitions name.
    pub variables: Arc<Variables>,
    breakers: Breakers,
    hands: Hands,
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
        memory::stay_below(project.limits.memory.0);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let engine = LakeEngine::new(&project, clock.clone(), entropy.clone())?;
        let landing = FileLanding::new(clock.clone(), engine.copies(), engine.buckets());
        let variables: Arc<Variables> = Arc::new(|name: &str| std::env::var(name).ok());
        let hands = Hands::new(STEPS_AT_ONCE);
        Ok(Self {
            project,
            store,
            engine,
            clock,
            entropy,
            landing,
            timer: Arc::new(TokioTimer),
            variables,
            breakers: Breakers::default(),
            hands,
        })
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
            timer: self.timer.as_ref(),
            report,
            breakers: &self.breakers,
            owner: process::owner(),
            alive: &process::is_alive,
            hands: &self.hands,
        }
    }

    /// What tells the project's sinks of commits.
    pub fn outbox(&self, report: Arc<dyn Report>) -> Arc<Outbox> {
        Arc::new(Outbox {
            store: self.store.shared(),
            sinks: self.project.sinks.clone(),
            variables: self.variables.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            timer: self.timer.clone(),
            report,
            owner: process::owner(),
            alive: process::is_alive,
            patience: PATIENCE,
            busy: Arc::default(),
        })
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
