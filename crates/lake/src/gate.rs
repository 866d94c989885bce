//! What has to hold over staged rows before anyone sees them.

use crate::{commit::Staged, engine::LakeEngine, error::LakeError, query, table::Place};
use alluvium_flow::Job;
use alluvium_spec::{Action, Check, Contract, Rule, Thresholds};
use alluvium_store::QualityResult;
use std::path::PathBuf;

/// # Errors
/// [`LakeError::Gate`] with every breach; [`LakeError::Unbalanced`] when a record is unaccounted for.
pub(crate) async fn pass(engine: &LakeEngine, job: &Job<'_>, staged: &mut Staged) -> Result<(), LakeError> {
    staged.balance.check()?;
    let mut breaches = Vec::new();
    invalid_share(job, staged, &mut breaches);
    let files = after_commit(engine, job, staged).await?;
    let rows: u64 = files.iter().map(|f| f.1).sum();
    row_bounds(job, rows, &mut breaches);
    if let Some(contract) = job.project.contract_of(job.dataset) {
        failed_rules(staged, &mut breaches);
        dataset_rules(engine, job, contract, staged, &files, &mut breaches).await?;
    }
    if breaches.is_empty() {
        return Ok(());
    }
    Err(LakeError::Gate { dataset: job.dataset.name.clone(), breaches })
}

/// Files, with their rows, that the table would have after the commit.
async fn after_commit(
    engine: &LakeEngine,
    job: &Job<'_>,
    staged: &Staged,
) -> Result<Vec<(PathBuf, u64)>, LakeError> {
    let place = Place::Dataset(job.dataset.name.clone());
    let dir = engine.tables.dir(&place);
    let mut files: Vec<(PathBuf, u64)> = staged.add.iter().map(|f| (dir.join(&f.path), f.rows)).collect();
    if let Some(table) = engine.tables.open(&place).await? {
        let kept = table.files()?.into_iter().filter(|f| !staged.remove.iter().any(|r| r.path == f.path));
        files.extend(kept.map(|f| (table.path_of(&f.path), f.rows)));
    }
    Ok(files)
}

fn invalid_share(job: &Job<'_>, staged: &mut Staged, breaches: &mut Vec<String>) {
    let Thresholds { warn_above, error_above } = job.dataset.accept.invalid;
    if (warn_above.is_none() && error_above.is_none()) || staged.balance.received == 0 {
        return;
    }
    let bad = staged.balance.quarantined + staged.balance.dropped;
    let share = bad as f64 / staged.balance.received as f64;
    let over = |limit: Option<f64>| limit.filter(|l| share > *l);
    let note = format!("{:.2} % of {} rows are invalid", share * 100.0, staged.balance.received);
    if let Some(limit) = over(error_above) {
        breaches.push(format!("{note}, above the {:.2} % that are accepted", limit * 100.0));
    }
    let warned = over(warn_above).is_some();
    if let Some(limit) = over(warn_above) {
        staged.notes.push(format!("{note}, above {:.2} %", limit * 100.0));
    }
    staged.quality.push(QualityResult {
        rule: "accept:invalid".into(),
        action: if error_above.is_some() { Action::Fail } else { Action::Warn }.word().into(),
        severity: "warning".into(),
        dimension: Some("conformity".into()),
        checked: staged.balance.received,
        violations: bad,
        passed: !warned,
        note: warned.then_some(note),
    });
}

fn row_bounds(job: &Job<'_>, rows: u64, breaches: &mut Vec<String>) {
    let accept = &job.dataset.accept;
    if let Some(min) = accept.min_rows.filter(|m| rows < *m) {
        breaches.push(format!("the table would have {rows} rows, fewer than {min}"));
    }
    if let Some(max) = accept.max_rows.filter(|m| rows > *m) {
        breaches.push(format!("the table would have {rows} rows, more than {max}"));
    }
}

/// Row rules that were measured while refining and whose action stops the step.
fn failed_rules(staged: &Staged, breaches: &mut Vec<String>) {
    for q in staged.quality.iter().filter(|q| !q.passed && q.action == Action::Fail.word()) {
        if q.rule != "accept:invalid" {
            breaches.push(format!("rule {} is broken by {} of {} rows", q.rule, q.violations, q.checked));
        }
    }
}

async fn dataset_rules(
    engine: &LakeEngine,
    job: &Job<'_>,
    contract: &Contract,
    staged: &mut Staged,
    files: &[(PathBuf, u64)],
    breaches: &mut Vec<String>,
) -> Result<(), LakeError> {
    for rule in &contract.rules {
        let value = match &rule.check {
            Check::RowCount => files.iter().map(|f| f.1).sum::<u64>() as f64,
            Check::Query { sql, inputs } => {
                query::measure(engine, job.project, &staged.schema, files, sql, inputs).await?
            }
            _ => continue,
        };
        judge(rule, value, staged, breaches);
    }
    Ok(())
}

fn judge(rule: &Rule, value: f64, staged: &mut Staged, breaches: &mut Vec<String>) {
    let holds = rule.threshold.is_none_or(|t| t.holds(value, value));
    let note = format!("rule {} measured {value}", rule.id);
    if !holds {
        match rule.action {
            Action::Fail | Action::Quarantine | Action::Drop => breaches.push(note.clone()),
            Action::Warn => staged.notes.push(note.clone()),
        }
    }
    staged.quality.push(QualityResult {
        rule: rule.id.clone(),
        action: rule.action.word().into(),
        severity: rule.severity.word().into(),
        dimension: rule.dimension.clone(),
        checked: 1,
        violations: u64::from(!holds),
        passed: holds,
        note: Some(note),
    });
}
