//! The views as a service shows them: the same lines, over HTTP.

use super::{alerts, catalog, datasets, dead_letters, event, gaps, publications, replays, run, runs, waiting};
use crate::{error::CliError, wire::Wired};
use alluvium_flow::{FlowError, Replay, Report, Signal};
use alluvium_model::{DatasetName, RunId, Span};
use alluvium_server::{ApiError, Views};
use alluvium_store::{AskedReplay, Lane, Measures};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// Whoever asks has an answer.
struct Unheard;

impl Report for Unheard {
    fn signal(&self, _: Signal) {}
}

pub struct Served(pub Arc<Wired>);

#[async_trait]
impl Views for Served {
    async fn datasets(&self) -> Result<Value, ApiError> {
        json(datasets::lines(&self.0).await)
    }

    async fn catalog(&self, words: &[String]) -> Result<Value, ApiError> {
        json(catalog::lines(&self.0, words).await)
    }

    async fn gaps(&self, dataset: Option<&DatasetName>, window: Option<Span>) -> Result<Value, ApiError> {
        json(gaps::lines(&self.0, dataset, window).await)
    }

    async fn runs(&self, limit: u32) -> Result<Value, ApiError> {
        json(runs::lines(&self.0, limit).await)
    }

    async fn run(&self, id: &str) -> Result<Option<Value>, ApiError> {
        match run::whole(&self.0, id).await {
            Err(CliError::UnknownRun(_) | CliError::AmbiguousRun(_)) => Ok(None),
            whole => json(whole).map(Some),
        }
    }

    async fn dead_letters(&self) -> Result<Value, ApiError> {
        json(dead_letters::lines(&self.0).await)
    }

    async fn publications(&self) -> Result<Value, ApiError> {
        json(publications::lines(&self.0).await)
    }

    async fn alerts(&self, days: u32) -> Result<Value, ApiError> {
        json(alerts::lines(&self.0, days).await)
    }

    async fn events(&self, dataset: Option<&DatasetName>, limit: u32) -> Result<Value, ApiError> {
        json(waiting::lines(&self.0, dataset, limit).await)
    }

    async fn event(&self, id: &str, source: Option<&str>) -> Result<Option<Value>, ApiError> {
        let shown = match source {
            None => event::whole(&self.0, id).await.and_then(|whole| Ok(serde_json::to_value(whole)?)),
            Some(source) => waiting::pushed(&self.0, source, id).await.and_then(|p| Ok(serde_json::to_value(p)?)),
        };
        match shown {
            Err(CliError::UnknownEvent(_) | CliError::AmbiguousEvent(_)) => Ok(None),
            shown => json(shown).map(Some),
        }
    }

    async fn replays(&self, limit: u32) -> Result<Value, ApiError> {
        json(replays::lines(&self.0, limit).await)
    }

    async fn replay(&self, id: &RunId) -> Result<Option<Value>, ApiError> {
        match replays::whole(&self.0, id).await {
            Ok(None) => Ok(None),
            whole => json(whole).map(Some),
        }
    }

    async fn ask_replay(&self, what: &Replay, key: Option<&str>) -> Result<(AskedReplay, RunId), FlowError> {
        self.0.flow(&Unheard).ask_replay(what, key).await
    }

    async fn committed(&self) -> Result<BTreeMap<DatasetName, i64>, ApiError> {
        let names: Vec<DatasetName> = self.0.project.datasets.keys().cloned().collect();
        let news = self.0.store.news(&names, &self.0.watch()).await;
        news.map(|n| n.committed).map_err(|e| Box::new(e) as ApiError)
    }

    async fn measures(&self) -> Result<(Measures, Vec<Lane>), ApiError> {
        let measures = async { Ok((self.0.store.measures(&self.0.watch()).await?, self.0.store.lanes().await?)) };
        measures.await.map_err(|e: CliError| Box::new(e) as ApiError)
    }
}

fn json<T: Serialize>(lines: Result<T, CliError>) -> Result<Value, ApiError> {
    let value = lines.and_then(|l| Ok(serde_json::to_value(l)?));
    value.map_err(|e| Box::new(e) as ApiError)
}
