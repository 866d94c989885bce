//! Uniqueness that a contract promises of a silver table, and that its write does not keep.

use super::names::Names;
use crate::{
    codes,
    contract::Check,
    dataset::{Draft, SilverDraft, WriteDraft},
    diagnostic::{Sink, quoted},
    odcs::{CheckDraft, RuleDraft},
    sql,
};

/// A step sees its own rows only, and an upsert the rows of its keys. What else is to be unique over the table, some SQL rule has to count.
pub(super) fn check(draft: &Draft, silver: &SilverDraft, names: &Names<'_>, sink: &mut Sink) {
    let contract = draft.contract.as_ref().and_then(|c| names.sources.contracts.get(&c.value));
    let Some((contract, object)) = contract.and_then(|c| Some((c, c.object()?))) else { return };
    let kept = match &silver.write {
        WriteDraft::Append => None,
        WriteDraft::Upsert { keys, .. } => Some(keys),
    };
    let promises = |r: &&RuleDraft| matches!(r.check, CheckDraft::Ready(Check::Unique)) && r.inside.is_none();
    // Where some may be equal, nothing is promised.
    for rule in object.rules.iter().filter(promises).filter(|r| r.threshold.is_none()) {
        let is_kept = kept.is_some_and(|keys| keys.iter().all(|k| rule.columns.contains(&k.value)));
        if is_kept || object.rules.iter().any(|r| counts(r, &rule.columns)) {
            continue;
        }
        let columns = rule.columns.join(", ");
        let how = if kept.is_some() { "its upsert has other keys" } else { "its rows are appended" };
        let message = format!("nothing keeps {} unique over {}: {how}", quoted(&columns), draft.name);
        let help = format!(
            "each step checks its own rows; `write: {{ keys: [{columns}] }}` keeps the table so, and a rule under the object's `quality` tells: `{}`",
            rule_over_table(&rule.columns)
        );
        sink.report(codes::NOT_KEPT_UNIQUE, &contract.file, rule.place, message, help);
    }
}

/// Whether it is a SQL rule that looks for the same values of these columns twice.
fn counts(rule: &RuleDraft, columns: &[String]) -> bool {
    let CheckDraft::Query { sql, .. } = &rule.check else { return false };
    let sql = sql.to_lowercase();
    ["distinct", "group by"].iter().any(|word| sql.contains(word))
        && columns.iter().all(|c| sql.contains(&c.to_lowercase()))
}

fn rule_over_table(columns: &[String]) -> String {
    // Others, as words of SQL, need quotes.
    let is_bare =
        |c: &String| sql::row_expression(c, None).is_ok_and(|e| matches!(e.uses.as_slice(), [one] if one.value == *c));
    let name = |c: &String| match is_bare(c) {
        true => c.clone(),
        false => format!("\\\"{}\\\"", c.replace('"', "\\\"\\\"")),
    };
    let names: Vec<String> = columns.iter().map(name).collect();
    let query = match names.as_slice() {
        [one] => format!("SELECT count({one}) - count(DISTINCT {one}) FROM ${{object}}"),
        all => {
            let set: Vec<String> = all.iter().map(|n| format!("{n} IS NOT NULL")).collect();
            let all = all.join(", ");
            let set = set.join(" AND ");
            format!(
                "SELECT count(*) FROM (SELECT {all} FROM ${{object}} WHERE {set} GROUP BY {all} HAVING count(*) > 1) AS twice"
            )
        }
    };
    format!("{{ type: sql, query: \"{query}\", mustBe: 0 }}")
}
