//! One window of a backfill: computed, staged and committed to the table beside the live one.
//!
//! Called by the engine. Windows are made at once, each in a folder of its own below the table, so that a window that is made
//! anew replaces exactly its own files, and commits that cross each other only have to be made again.

use super::ranges::{gold_of, touching};
use crate::{
    commit::{self, Attempt, Staged},
    curate,
    engine::{LakeEngine, contract_schema},
    error::LakeError,
    session, stage,
    table::{Place, TableKind},
    windows,
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::crash_point;
use deltalake::{
    kernel::{Action, Remove},
    protocol::SaveMode,
};

/// How often a commit may lose to those of other windows.
const COMMIT_ATTEMPTS: u32 = 64;

pub(crate) async fn window(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    report: &dyn Report,
) -> Result<Outcome, LakeError> {
    let gold = gold_of(job)?;
    let Some([window]) = job.step.windows.as_deref() else {
        return Err(LakeError::Worker("a window of a backfill is one"));
    };
    let session = session::bare(engine)?;
    session::register_inputs(engine, &session, &job.step.lookups).await?;
    let query = session.sql_with_options(&gold.sql, crate::query::read_only()).await?;
    let result = windows::within(query, gold, &touching(&[*window]))?;
    let schema = match job.project.contract_of(job.dataset) {
        Some(contract) => contract_schema(contract),
        None => curate::storable_schema(result.schema().as_arrow()),
    };
    crate::table::storable(&schema)?;
    let place = Place::Beside(job.dataset.name.clone(), job.step.run.clone());
    let folder = format!("{}/", window.from);
    let prefix = format!("{folder}{}-{:016x}", &job.step.key.as_str()[..16], attempt.nonce);
    let stager = engine.tables.stager(&place, prefix, schema.clone());
    let step = job.step.key.clone();
    let progress = |done| report.signal(Signal::Progress { step: step.clone(), stage: "gold", done, total: 0 });
    let mut staged = Staged::new(schema);
    staged.windows = 1;
    staged.add = curate::stage(result, &stager, progress).await?;
    commit(engine, attempt, &place, &folder, &staged).await
}

async fn commit(
    engine: &LakeEngine,
    attempt: &Attempt<'_>,
    place: &Place,
    folder: &str,
    staged: &Staged,
) -> Result<Outcome, LakeError> {
    stage::upload(&engine.tables.disk, &engine.tables.dir(place), &staged.add).await?;
    let info = attempt.memory(staged);
    let at = attempt.at.as_millisecond();
    let mut lost = 0;
    loop {
        let table = engine.tables.ensure(place, &staged.schema, TableKind::Plain).await?;
        // Another worker may have committed this very step since it was looked for.
        if table.committed(&info.step).await? {
            stage::discard(&table.dir, &staged.add);
            return Err(LakeError::Conflict { path: table.dir });
        }
        let before = table.files_below(folder)?.into_iter();
        let gone = before.map(|f| Action::Remove(Remove { deletion_timestamp: Some(at), ..f.remove }));
        let actions = gone.chain(staged.add.iter().map(|f| f.add(at))).collect();
        crash_point("commit.before_main");
        match table.commit(&info.step, actions, Some(&info), SaveMode::Append).await {
            Ok(version) => {
                crash_point("commit.after_main");
                let mut outcome = commit::outcome_of(&info, version);
                outcome.usage.rows_out = staged.add.iter().map(|f| f.rows).sum();
                outcome.usage.rows_in = outcome.usage.rows_out;
                return Ok(outcome);
            }
            Err(LakeError::Conflict { path }) => {
                lost += 1;
                if lost == COMMIT_ATTEMPTS {
                    stage::discard(&table.dir, &staged.add);
                    return Err(LakeError::Conflict { path });
                }
            }
            // The commit may stand all the same, and then its files are the table's.
            Err(error) => return Err(error),
        }
    }
}
