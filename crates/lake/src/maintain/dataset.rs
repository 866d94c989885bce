//! The tables of one dataset, and when each is looked at.

use super::{compact, vacuum};
use crate::{
    engine::LakeEngine,
    error::LakeError,
    silver,
    table::{CHECKPOINT_EVERY, Place},
};
use alluvium_flow::Maintained;
use alluvium_spec::Dataset;

/// `since`: the first version of its table that the run made. `needed`: versions after it are not processed by all who
/// read the table, and what they name stays.
pub(crate) async fn dataset(
    engine: &LakeEngine,
    dataset: &Dataset,
    since: i64,
    needed: i64,
) -> Result<Maintained, LakeError> {
    let keys = dataset.silver().and_then(silver::keys_of);
    let cluster_by = dataset.silver().map_or(&[][..], |s| &s.cluster_by);
    let mut done = Maintained::default();
    let own = Place::Dataset(dataset.name.clone());
    let Some(table) = engine.tables.open(&own).await? else { return Ok(done) };
    let mut head = table.version();
    if let Some(merged) = compact::compact(engine, &own, &table, keys.as_ref(), cluster_by).await? {
        head = merged.version;
        done.merged += merged.files;
        done.into += merged.into;
    }
    if !checkpointed(since, head) {
        return Ok(done);
    }
    // What is seldom worth a look is looked at when the log got a checkpoint: the tables beside, and what may go.
    for place in [Place::Quarantine(dataset.name.clone()), Place::Tombstones(dataset.name.clone())] {
        let Some(table) = engine.tables.open(&place).await? else { continue };
        let keys = keys.as_ref().filter(|_| matches!(place, Place::Tombstones(_)));
        if let Some(merged) = compact::compact(engine, &place, &table, keys, &[]).await? {
            done.merged += merged.files;
            done.into += merged.into;
        }
        vacuum::vacuum(engine, &place, i64::MAX, &mut done).await?;
    }
    vacuum::vacuum(engine, &own, needed, &mut done).await?;
    Ok(done)
}

/// Whether a checkpoint belongs to one of the versions `[since, head]`.
fn checkpointed(since: i64, head: i64) -> bool {
    (head + 1) / CHECKPOINT_EVERY > since / CHECKPOINT_EVERY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_checkpoint_is_noticed_by_the_run_that_wrote_it() {
        for (since, head, noticed) in
            [(0, 18, false), (0, 19, true), (19, 19, true), (20, 38, false), (18, 18, false), (20, 39, true)]
        {
            assert_eq!(checkpointed(since, head), noticed, "{since} to {head}");
        }
    }
}
