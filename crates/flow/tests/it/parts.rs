//! A landing zone that is looked at part by part.

use crate::{bronze, stub::World};
use alluvium_flow::{Arrival, Flow, Landing, Look, Options, Refused, StepError};
use alluvium_model::ContentHash;
use alluvium_spec::Dataset;
use async_trait::async_trait;
use std::{collections::BTreeMap, future::pending};

/// A part has one object. Nobody can read those in `archive`.
struct Parts(Vec<String>);

#[async_trait]
impl Landing for Parts {
    async fn lay_down(&self, _: &Dataset, _: &[String]) -> Result<Arrival, StepError> {
        unreachable!("nothing is pushed")
    }

    async fn find(&self, _: &Dataset, _: &str) -> Result<Option<Arrival>, StepError> {
        Ok(None)
    }

    async fn lacks(&self, _: &Dataset, _: Vec<String>) -> Result<Option<String>, StepError> {
        Ok(None)
    }

    async fn look(
        &self,
        _: &Dataset,
        known: &BTreeMap<String, (u64, i64)>,
        after: Option<&str>,
    ) -> Result<Look, StepError> {
        let is_left = |path: &&String| !known.contains_key(*path) && after.is_none_or(|after| path.as_str() > after);
        let rest: Vec<&String> = self.0.iter().filter(is_left).collect();
        let mut look = Look::default();
        if let Some(path) = rest.first().map(|path| (*path).clone()) {
            look.upto = (rest.len() > 1).then(|| path.clone());
            if path.starts_with("archive/") {
                look.refused.push(Refused { path, code: "T0002", reason: "told to".to_owned() });
            } else {
                let content = ContentHash::from_stored(path.as_str());
                look.arrivals.push(Arrival { path, bytes: 1, modified_nanos: 1, content });
            }
        }
        Ok(look)
    }
}

/// Paths that a look tells of that records nothing.
async fn seen(all: &[&str]) -> Vec<String> {
    let (world, parts) = (World::new().await, Parts(all.iter().map(|path| (*path).to_owned()).collect()));
    let flow = Flow { landing: &parts, ..world.flow() };
    let look = flow.look(&flow.project.datasets[&bronze()]).await.expect("it can be looked at");
    look.arrivals.into_iter().map(|a| a.path).collect()
}

#[tokio::test]
async fn what_arrived_is_seen_behind_parts_that_nobody_can_read() {
    assert_eq!(seen(&["archive/a", "archive/b", "new", "other"]).await, ["new"]);
    assert_eq!(seen(&["new", "other"]).await, ["new"], "the first part is enough");
    assert!(seen(&["archive/a", "archive/b"]).await.is_empty());
    assert!(seen(&[]).await.is_empty());
}

#[tokio::test]
async fn a_look_of_many_parts_tells_of_some_that_nobody_can_read_and_takes_what_is_behind() {
    let archived = (0..300).map(|i| format!("archive/{i:03}"));
    let parts = Parts(archived.chain(["new".to_owned()]).collect());
    let world = World::new().await;
    let flow = Flow { landing: &parts, ..world.flow() };
    let run = flow.run(&Options::default(), pending()).await.expect("it works");
    assert_eq!((run.objects_new, run.objects_refused()), (1, 200));
}
