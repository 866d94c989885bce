//! What has to hold over staged rows before anyone sees them.

use crate::{
    accept::{self, Found},
    commit::Staged,
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    query,
    stage::StagedFile,
    table::{DataFile, Place, Table},
};
use alluvium_flow::Job;
use alluvium_model::Fault;
use alluvium_spec::{Action, Bound, Check, Contract, Kind, Rule, VERSION_COLUMNS};
use alluvium_store::{QualityResult, StepKind, VerdictKind};
use std::sync::Arc;

/// # Errors
/// [`LakeError::Gate`] with every breach; [`LakeError::Unbalanced`] when a record is unaccounted for.
pub(crate) async fn pass(engine: &LakeEngine, job: &Job<'_>, staged: &mut Staged) -> Result<(), LakeError> {
    staged.balance.check()?;
    let mut found = Found::default();
    let accept = &job.dataset.accept;
    // A replay is made of rows that were invalid: their share says nothing about what arrives.
    if job.step.kind != StepKind::ReplayQuarantine {
        accept::invalid(accept.invalid, &staged.balance, staged.late_aside, &mut found);
    }
    let table = engine.tables.open(&Place::Dataset(job.dataset.name.clone())).await?;
    let stored = kept(table.as_ref(), staged)?;
    let live = staged.add.iter().map(StagedFile::live).chain(stored.iter().map(|f| f.rows));
    let rows = live.sum::<u64>();
    accept::bounds(accept.rows, rows, &mut found);
    if let (Kind::Gold(gold), StepKind::Curate) = (&job.dataset.kind, job.step.kind) {
        let made = || staged.made_and_moved().0.iter().map(StagedFile::live).sum();
        accept::made(rows, gold.window.is_some().then(|| (made(), staged.windows)), &mut found);
    }
    accept::measures(engine, job, (table.as_ref(), &stored), staged, &mut found).await?;
    let Found { mut breaches, notes, quality, figures } = found;
    staged.notes.extend(notes);
    staged.quality.extend(quality);
    staged.figures = figures;
    if let Some(contract) = job.project.contract_of(job.dataset) {
        failed_rules(staged, &mut breaches);
        dataset_rules(engine, job, contract, &stored, rows, staged, &mut breaches).await?;
    }
    if breaches.is_empty() {
        return Ok(());
    }
    let refused = LakeError::Gate { dataset: job.dataset.name.clone(), breaches, quality: staged.quality.clone() };
    match job.verdict {
        // As the step was held. What nobody has seen is released by nobody.
        Some(v) if v.kind == VerdictKind::Release && v.held == format!("{}: {refused}", refused.code()) => {
            staged.notes.push(format!("released by {}: {refused}", v.by));
            Ok(())
        }
        Some(_) | None => Err(refused),
    }
}

/// Stored files that stay, with the vectors they would have.
fn kept(table: Option<&Table>, staged: &Staged) -> Result<Vec<DataFile>, LakeError> {
    let mut files = table.map_or(Ok(Vec::new()), Table::files)?;
    files.retain(|f| !staged.remove.iter().any(|r| r.path == f.path));
    for (file, vector) in &staged.marked {
        if let Some(f) = files.iter_mut().find(|f| f.path == file.path) {
            f.mark(vector.clone());
        }
    }
    Ok(files)
}

/// The rows that the table would have after the commit.
fn after_commit(
    engine: &LakeEngine,
    job: &Job<'_>,
    stored: &[DataFile],
    staged: &Staged,
    opened: &mut Option<Arc<Files>>,
) -> Result<Arc<Files>, LakeError> {
    if let Some(files) = opened {
        return Ok(files.clone());
    }
    let dir = engine.tables.dir(&Place::Dataset(job.dataset.name.clone()));
    let added = staged.add.iter().map(|f| f.source(&dir));
    let sources = added.chain(stored.iter().map(|f| f.source(&dir))).collect::<Result<Vec<_>, _>>()?;
    Ok(opened.insert(Arc::new(Files::new(staged.schema.clone(), &sources)?)).clone())
}

/// Row rules that were measured while refining and whose action stops the step.
fn failed_rules(staged: &Staged, breaches: &mut Vec<String>) {
    for q in staged.quality.iter().filter(|q| !q.passed && q.action == Action::Fail.word()) {
        breaches.push(format!("rule {} is broken by {} of {} rows", q.rule, q.violations, q.checked));
    }
}

async fn dataset_rules(
    engine: &LakeEngine,
    job: &Job<'_>,
    contract: &Contract,
    stored: &[DataFile],
    rows: u64,
    staged: &mut Staged,
    breaches: &mut Vec<String>,
) -> Result<(), LakeError> {
    // Opened for the first rule that reads rows.
    let mut opened = None;
    for rule in &contract.rules {
        let value = match &rule.check {
            Check::RowCount => rows as f64,
            Check::Query { sql, inputs } => {
                let files = after_commit(engine, job, stored, staged, &mut opened)?;
                query::measure(engine, job.project, &files, sql, inputs, &job.step.lookups).await?
            }
            // Silver's rows were checked while they were refined.
            _ if job.dataset.silver().is_some() => continue,
            check => match violations(check, &rule.columns, versions(engine, job, check).await?) {
                Some(sql) => {
                    let files = after_commit(engine, job, stored, staged, &mut opened)?;
                    let inputs = match check {
                        Check::Reference { dataset, .. } => std::slice::from_ref(dataset),
                        _ => &[],
                    };
                    let value = query::measure(engine, job.project, &files, &sql, inputs, &job.step.lookups).await?;
                    judge_rows(rule, value, rows as f64, staged, breaches);
                    continue;
                }
                None => continue,
            },
        };
        judge(rule, value, staged, breaches);
    }
    Ok(())
}

/// A row rule over a table made by a query: rows are not set aside there, so what breaks a rule is counted.
fn judge_rows(rule: &Rule, value: f64, rows: f64, staged: &mut Staged, breaches: &mut Vec<String>) {
    let holds = rule.threshold.map_or(value == 0.0, |t| t.holds(value, rows));
    let note = format!("rule {} is broken by {value} of {rows} rows", rule.id);
    if !holds && rule.action != Action::Warn {
        breaches.push(note.clone());
    }
    staged.quality.push(QualityResult {
        rule: rule.id.clone(),
        action: rule.action.word().into(),
        severity: rule.severity.word().into(),
        dimension: rule.dimension.clone(),
        checked: rows as u64,
        violations: value as u64,
        passed: holds,
        note: (!holds).then_some(note),
        figure: None,
    });
}

/// Whether the check refers to a history: then only to what holds now.
async fn versions(engine: &LakeEngine, job: &Job<'_>, check: &Check) -> Result<bool, LakeError> {
    let Check::Reference { dataset, .. } = check else { return Ok(false) };
    if !job.project.is_history(dataset) {
        return Ok(false);
    }
    let version = job.step.lookups.get(dataset).copied();
    if version.is_some_and(|v| v < 0) {
        return Ok(true);
    }
    let table = engine.tables.open_at(&Place::Dataset(dataset.clone()), version).await?;
    // One that was written under another definition has no versions until it is rebuilt.
    let has = |t: Table| Ok::<_, LakeError>(t.schema()?.field_with_name(VERSION_COLUMNS[1]).is_ok());
    table.map_or(Ok(true), has)
}

/// A query that counts the rows of `${object}` that break the check; `None` for one that needs no rows. `versions`: it
/// refers to a history.
fn violations(check: &Check, columns: &[String], versions: bool) -> Option<String> {
    let name = |c: &String| format!("\"{}\"", c.replace('"', "\"\""));
    let text = |t: &String| format!("'{}'", t.replace('\'', "''"));
    let names: Vec<String> = columns.iter().map(name).collect();
    let first = names.first().cloned().unwrap_or_default();
    let broken = match check {
        Check::Required => format!("{first} IS NULL"),
        Check::Missing { values } => {
            let listed: Vec<String> = values.iter().flatten().map(text).collect();
            let null = format!("{first} IS NULL");
            if listed.is_empty() {
                null
            } else {
                format!("{null} OR CAST({first} AS VARCHAR) IN ({})", listed.join(", "))
            }
        }
        Check::OneOf { values } => {
            let listed: Vec<String> = values.iter().map(text).collect();
            format!("CAST({first} AS VARCHAR) NOT IN ({})", listed.join(", "))
        }
        Check::Range { min, max } => {
            let side = |bound: &Option<Bound>, out: &str| {
                let b = bound.as_ref()?;
                Some(format!("{first} {out}{} {}", if b.inclusive { "" } else { "=" }, text(&b.value)))
            };
            [side(min, "<"), side(max, ">")].into_iter().flatten().collect::<Vec<_>>().join(" OR ")
        }
        Check::Length { min, max } => {
            let low = min.map(|m| format!("character_length({first}) < {m}"));
            let high = max.map(|m| format!("character_length({first}) > {m}"));
            [low, high].into_iter().flatten().collect::<Vec<_>>().join(" OR ")
        }
        Check::Pattern { regex } => format!("NOT regexp_like({first}, {})", text(&format!("^(?:{regex})$"))),
        Check::MultipleOf { divisor } => format!("{first} % {divisor} <> 0"),
        Check::Expression { sql } => format!("NOT ({sql})"),
        Check::Reference { dataset, to } => {
            let on = names.iter().zip(to).map(|(c, t)| format!("object.{c} = referenced.{}", name(t)));
            let set = names.iter().map(|c| format!("object.{c} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
            let on = on.collect::<Vec<_>>().join(" AND ");
            let there = if versions {
                format!("(SELECT * FROM {dataset} WHERE {} IS NULL)", VERSION_COLUMNS[1])
            } else {
                dataset.to_string()
            };
            return Some(format!(
                "SELECT count(*) FROM ${{object}} AS object LEFT ANTI JOIN {there} AS referenced ON {on} WHERE {set}"
            ));
        }
        Check::Unique => {
            let list = names.join(", ");
            let set = names.iter().map(|c| format!("{c} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
            return Some(format!(
                "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM ${{object}} WHERE {set} GROUP BY {list})"
            ));
        }
        // The commit casts, and a value that does not cast stops the step. SQL sees no rows inside of JSON.
        Check::Type
        | Check::Items { .. }
        | Check::UniqueItems
        | Check::Properties { .. }
        | Check::Inside { .. }
        | Check::RowCount
        | Check::Query { .. } => return None,
    };
    (!broken.is_empty()).then(|| format!("SELECT count(*) FROM ${{object}} WHERE {broken}"))
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
        figure: None,
    });
}
