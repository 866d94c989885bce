//! `by`: each part of what a step adds by itself, so that one that is wrong is not hidden by the others, and is named.

use super::{
    before::Figures,
    columns::{self, Answer, Plan, judged, unfit},
    found::{Found, Measured, plainly, ratio},
    pass::{self, Pass, Seen, Unfit},
};
use crate::{engine::LakeEngine, error::LakeError, files::Files};
use alluvium_spec::{Beyond, Levels, Parts};
use arrow::{datatypes::Schema, error::ArrowError};
use std::sync::Arc;

/// More parts than people look at.
const MOST: usize = 1_000;
/// Parts that a sentence names.
const NAMED: usize = 3;
/// Figures of parts that a commit remembers, so that its entry in the log stays small; and the longest name of such a part.
const REMEMBERED: usize = 2_000;
const LONGEST_NAME: usize = 200;

/// By which the keys of their figures begin.
const BY: &str = "by(";

/// One figure of all parts.
#[derive(Default)]
struct Told {
    /// Parts that have the figure.
    checked: u64,
    /// Of those that passed a level, which one, and the sentence.
    broken: Vec<(Beyond, String)>,
}

impl Told {
    fn add(&mut self, beyond: Option<Beyond>, sentence: impl FnOnce(Beyond) -> String) {
        self.checked += 1;
        self.broken.extend(beyond.map(|b| (b, sentence(b))));
    }
}

pub(super) async fn judge(
    engine: &LakeEngine,
    parts: &Parts,
    schema: &Schema,
    rows: &Arc<Files>,
    before: &[Figures],
    found: &mut Found,
) -> Result<(), LakeError> {
    let name = &parts.column;
    let rule = format!("accept:by({name})");
    let mut pass = Pass::default();
    let key = match key(parts, schema) {
        Ok(key) => pass.ask(key),
        Err(why) => {
            let levels: Vec<Levels> = parts.columns.iter().map(|c| c.levels).chain([parts.rows]).collect();
            unfit(rule, "coverage", &levels, &why, found);
            return Ok(());
        }
    };
    let plan = columns::plan(&parts.columns, schema, &mut pass);
    // Keys alone first: what is kept for each part is much more than its key.
    let keys = pass.only(key).look(engine, rows, &format!("GROUP BY 1 LIMIT {}", MOST + 1)).await?;
    if keys.rows() > MOST {
        let note = format!("what the step adds has more than {MOST} different `{name}`: too many to judge each");
        let of = Measured { rule, dimension: "coverage", checked: 0, violations: 1, note: note.clone(), figure: None };
        found.say(of, Some((true, note)));
        return Ok(());
    }
    let seen = pass.look(engine, rows, "GROUP BY 1 ORDER BY 1").await?;
    Ok(figures(parts, key, &plan, &seen, before, found)?)
}

/// The part that a row belongs to, as a text.
fn key(parts: &Parts, schema: &Schema) -> Result<String, Unfit> {
    let key = match parts.size {
        None => pass::single(schema, &parts.column)?,
        Some(size) => pass::span(&pass::moment(schema, &parts.column)?, size.micros()),
    };
    Ok(format!("CAST({key} AS VARCHAR)"))
}

/// What a commit remembers of a part, if that is compared with: its figure by this key.
fn remember(key: &str, value: f64, found: &mut Found) {
    if value.is_finite() && key.len() <= LONGEST_NAME && found.figures.len() < REMEMBERED {
        found.figures.insert(key.to_owned(), value);
    }
}

fn figures(
    parts: &Parts,
    key: usize,
    plan: &Plan<'_>,
    seen: &Seen,
    before: &[Figures],
    found: &mut Found,
) -> Result<(), ArrowError> {
    let name = &parts.column;
    let texts = (0..seen.rows()).map(|row| seen.text(key, row)).collect::<Result<Vec<_>, _>>()?;
    let part =
        |row: usize| texts[row].as_ref().map_or_else(|| format!("without `{name}`"), |k| format!("in `{name}` {k}"));
    // Apart from a part that has this name: those have an equals sign.
    let known = |what: &str, row: usize| match &texts[row] {
        Some(text) => format!("{BY}{name}):{what}={text}"),
        None => format!("{BY}{name}):{what}"),
    };
    if !parts.rows.is_none() {
        let (mut told, of) = (Told::default(), (parts.rows_of_last, &parts.rows));
        let words = |b: Beyond| if parts.rows_of_last.is_some() { ratio(b) } else { plainly(b) };
        for row in 0..seen.rows() {
            let rows = seen.count(plan.rows, row)?;
            let key = known("rows", row);
            let (note, beyond) = judged(format!("{rows} rows"), rows as f64, of, before, &key);
            told.add(beyond, |b| format!("{}: {note}, {}", part(row), words(b)));
            if parts.rows_of_last.is_some() {
                remember(&key, rows as f64, found);
            }
        }
        say(name, "rows", "completeness", &told, found);
    }
    for asked in &plan.asked {
        let place = match &asked.place {
            Ok(place) => *place,
            Err(why) => {
                let rule = format!("accept:by({name}):{}", asked.rule());
                unfit(rule, asked.dimension(), &[asked.measure.levels], why, found);
                continue;
            }
        };
        let mut told = Told::default();
        for row in 0..seen.rows() {
            let rows = seen.count(plan.rows, row)?;
            let Some(Answer { value, .. }) = asked.answer(place, rows, seen, row)? else { continue };
            let key = known(&asked.rule(), row);
            let (note, beyond) = asked.verdict(value, rows, before, &key);
            told.add(beyond, |b| format!("{}: {note}, {}", part(row), asked.words(b)));
            if asked.measure.of_last.is_some() {
                remember(&key, value, found);
            }
        }
        say(name, &asked.rule(), asked.dimension(), &told, found);
    }
    Ok(())
}

/// One result for all parts; those that are beyond the gravest level are named.
fn say(name: &str, what: &str, dimension: &'static str, told: &Told, found: &mut Found) {
    let Told { checked, broken } = told;
    let is_error = broken.iter().any(|(b, _)| b.is_error);
    let gravest: Vec<&str> = broken.iter().filter(|(b, _)| b.is_error == is_error).map(|(_, s)| s.as_str()).collect();
    let mut sentence = gravest.iter().take(NAMED).copied().collect::<Vec<_>>().join("; ");
    if gravest.len() > NAMED {
        sentence.push_str(&format!("; and {} more parts by `{name}`", gravest.len() - NAMED));
    }
    let of = Measured {
        rule: format!("accept:by({name}):{what}"),
        dimension,
        checked: *checked,
        violations: broken.len() as u64,
        note: format!("{checked} parts by `{name}`"),
        figure: None,
    };
    found.say(of, (!broken.is_empty()).then_some((is_error, sentence)));
}
