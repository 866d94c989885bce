//! `show quarantine`: what waits, counted in several ways; for one dataset also its first rows, or all of them as a file.

use crate::{
    args::{By, Format, Global, Output, Quarantine},
    commands::query::{ask, send},
    error::CliError,
    output::{Destination, print, print_json},
    render::{
        Align, Style, Table, brief_time, grouped, printable,
        results::{cell, json_rows},
    },
    wire::Wired,
};
use alluvium_model::{DatasetName, Layer};
use alluvium_spec::nearest;
use alluvium_store::{QuarantineNote, Selection};
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

const NOTHING_WAITS: &str = "nothing waits in quarantine\n";
const NO_MATCH: &str = "no row that waits matches\n";
/// How the names of rules begin that are none of a contract: what a field of a file is not.
const DRIFT: &str = "drift:";
/// Of one dataset; messages may be all different.
const MOST_GROUPS: u64 = 100;

/// The one argument of `show quarantine flights/` is the project.
pub fn target(first: Option<&str>, dir: Option<PathBuf>) -> Result<(Option<DatasetName>, Option<PathBuf>), CliError> {
    let Some(text) = first else { return Ok((None, dir)) };
    match text.parse() {
        Ok(name) => Ok((Some(name), dir)),
        // A path that leads nowhere is told as the folder that it was meant to be.
        Err(_) if dir.is_none() && (text.contains('/') || Path::new(text).is_dir()) => {
            Ok((None, Some(PathBuf::from(text))))
        }
        Err(_) => Err(CliError::UnknownDataset(printable(text))),
    }
}

pub async fn show(
    global: &Global,
    wired: &Wired,
    only: Option<&DatasetName>,
    args: &Quarantine,
) -> Result<(), CliError> {
    if let Some(name) = only
        && !wired.project.datasets.contains_key(name)
    {
        return Err(CliError::UnknownDataset(name.to_string()));
    }
    let selection = args.selected.selection();
    let waiting: Vec<_> = alluvium_lake::describe(&wired.engine, &wired.project)
        .await?
        .into_iter()
        .filter(|info| info.quarantined > 0 && only.is_none_or(|n| *n == info.name))
        .collect();
    if let (Some(name), Some(to)) = (only, &args.to) {
        return export(wired, name, &selection, to, waiting.is_empty()).await;
    }
    let most = (global.format == Format::Human).then_some(MOST_GROUPS);
    let (mut lines, mut more) = (Vec::new(), Vec::new());
    for info in &waiting {
        let counted = counts(wired, &info.name, args.by, &selection, info.quarantined, most).await?;
        lines.extend(counted.lines);
        more.extend((counted.more > 0).then_some((&info.name, counted.more)));
    }
    match (global.format, only) {
        (Format::Json, _) => return print_json(&lines),
        (Format::Human, Some(name)) if lines.is_empty() => return print(&no_match(wired, name, &selection).await?),
        (Format::Human, None) if lines.is_empty() && !waiting.is_empty() => return print(NO_MATCH),
        (Format::Human, None) if lines.is_empty() => return print(NOTHING_WAITS),
        (Format::Human, _) => {}
    }
    print(&table(args.by, &lines).text(Style::stdout()))?;
    for (name, more) in more {
        print(&format!("and {} more of {name}; all with --format json\n", grouped(more)))?;
    }
    let Some(name) = only else { return Ok(()) };
    print("\n")?;
    rows(wired, name, &selection, args.limit).await?;
    notes(&wired.store.quarantine_notes(name).await?)?;
    let all = format!("alluvium query 'SELECT * FROM {}'", place(name).replace('"', ""));
    print(&format!("\nall of them: {all}\n{}\n", way_on(name, args.by, &lines)))
}

/// What to say where no row is meant, with what is near to the names that nothing that waits has.
pub async fn no_match(wired: &Wired, name: &DatasetName, selection: &Selection) -> Result<String, CliError> {
    let all = alluvium_lake::describe(&wired.engine, &wired.project).await?;
    let Some(waiting) = all.iter().find(|i| i.name == *name).map(|i| i.quarantined).filter(|n| *n > 0) else {
        return Ok(NOTHING_WAITS.to_owned());
    };
    let mut said = NO_MATCH.to_owned();
    let Selection { rule, column, object } = selection;
    for (by, key, wanted) in [(By::Rule, "rule", rule), (By::Column, "column", column), (By::Object, "object", object)]
    {
        let Some(wanted) = wanted else { continue };
        let counted = counts(wired, name, by, &Selection::default(), waiting, Some(MOST_GROUPS)).await?;
        let known: Vec<&str> = counted.lines.iter().filter_map(|l| l[key].as_str()).collect();
        if !known.contains(&wanted.as_str())
            && let Some(near) = nearest(wanted, known.iter().copied())
        {
            said.push_str(&format!("help: did you mean `--{key} {}`?\n", printable(near)));
        }
    }
    Ok(said)
}

/// How what waits gets into the table, or out of the way.
fn way_on(name: &DatasetName, by: By, lines: &[Map<String, Value>]) -> String {
    let again = format!("once more:   alluvium replay quarantine {name}");
    let never = format!("never:       alluvium discard {name} --rule RULE --reason TEXT");
    let drifts = |l: &&Map<String, Value>| l["rule"].as_str().is_some_and(|r| r.starts_with(DRIFT));
    match name.layer() {
        Layer::Bronze if by == By::Rule => {
            let drift =
                lines.iter().any(|l| drifts(&l)).then(|| format!("{again}, under a definition that takes them"));
            let malformed = lines.iter().any(|l| !drifts(&l)).then(|| {
                "correct them: these records could not be read, so they are not replayed. Deliver them once more,\n\
                 \x20            corrected, in a file of their own: the other records of their files are loaded"
                    .to_owned()
            });
            drift.into_iter().chain(malformed).chain([never]).collect::<Vec<_>>().join("\n")
        }
        Layer::Bronze | Layer::Silver | Layer::Gold => format!("{again}\n{never}"),
    }
}

/// What the counts are by: heading, name in JSON, and SQL over one row a reason, or one row a row.
struct Group {
    keys: &'static [(&'static str, &'static str)],
    by_reason: bool,
    /// By time counts stand in its order, and otherwise the largest come first.
    is_time: bool,
}

impl By {
    fn group(self) -> Group {
        const RULE: (&str, &str) = ("rule", "reason['rule']");
        const COLUMN: (&str, &str) = ("column", "reason['column']");
        const MESSAGE: (&str, &str) = ("message", "reason['message']");
        const HOUR: (&str, &str) = ("hour", "CAST(date_trunc('hour', _received_at) AS VARCHAR)");
        const DAY: (&str, &str) = ("day", "CAST(CAST(_received_at AS DATE) AS VARCHAR)");
        let (keys, by_reason, is_time): (&[_], _, _) = match self {
            Self::Rule => (&[RULE, COLUMN], true, false),
            Self::Column => (&[COLUMN], true, false),
            Self::Reason => (&[RULE, COLUMN, MESSAGE], true, false),
            Self::Object => (&[("object", "_object")], false, false),
            Self::Hour => (&[HOUR], false, true),
            Self::Day => (&[DAY], false, true),
        };
        Group { keys, by_reason, is_time }
    }
}

fn table(by: By, lines: &[Map<String, Value>]) -> Table {
    let keys = by.group().keys;
    let ends = [("dataset", Align::Left), ("waiting", Align::Right)];
    let columns = ends.into_iter().chain(keys.iter().map(|(name, _)| (*name, Align::Left)));
    let mut table = Table::new(columns.chain([("rows", Align::Right)]).collect::<Vec<_>>());
    for line in lines {
        let number = |name: &str| grouped(line[name].as_u64().unwrap_or(0));
        let mut cells = vec![line["dataset"].as_str().unwrap_or_default().to_owned(), number("waiting")];
        cells.extend(keys.iter().map(|(name, _)| line[*name].as_str().map_or_else(|| "-".to_owned(), printable)));
        cells.push(number("rows"));
        table.row(cells);
    }
    table
}

struct Counted {
    lines: Vec<Map<String, Value>>,
    /// Groups beside these.
    more: u64,
}

/// Rows by what is asked for, at most so many groups; with a reason each row counts for all that it broke.
async fn counts(
    wired: &Wired,
    name: &DatasetName,
    by: By,
    selection: &Selection,
    waiting: u64,
    most: Option<u64>,
) -> Result<Counted, CliError> {
    let Group { keys, by_reason, is_time } = by.group();
    let selected = format!("SELECT * FROM {} AS w{}", place(name), condition(name, selection));
    let of = match by_reason {
        // A row that broke a rule in several ways is one row.
        true => format!(
            "SELECT DISTINCT _event_id, _position, {} FROM (SELECT _event_id, _position, unnest(reasons) AS reason FROM ({selected}) AS s) AS r",
            named(keys)
        ),
        false => format!("SELECT {} FROM ({selected}) AS s", named(keys)),
    };
    let names: Vec<String> = keys.iter().map(|(n, _)| format!("\"{n}\"")).collect();
    let order = if is_time { names.join(", ") } else { format!("rows DESC, {}", names.join(", ")) };
    let list = names.join(", ");
    let limit = most.map_or_else(String::new, |n| format!(" LIMIT {n}"));
    let sql = format!("SELECT {list}, count(*) AS rows FROM ({of}) AS g GROUP BY {list} ORDER BY {order}{limit}");
    let batches: Vec<RecordBatch> = ask(wired, &sql).await?.batches.try_collect().await?;
    let mut lines = Vec::new();
    for row in batches.iter().map(json_rows).collect::<Result<Vec<_>, _>>()?.concat() {
        let mut line = Map::from_iter([("dataset".to_owned(), json!(name))]);
        line.extend(keys.iter().map(|(n, _)| ((*n).to_owned(), row[*n].clone())));
        line.extend([("rows".to_owned(), row["rows"].clone()), ("waiting".to_owned(), json!(waiting))]);
        lines.push(line);
    }
    let shown = lines.len() as u64;
    let more = match most {
        Some(most) if shown == most => {
            number(wired, &format!("SELECT count(*) AS n FROM (SELECT DISTINCT {list} FROM ({of}) AS g) AS d")).await?
        }
        _ => shown,
    };
    Ok(Counted { lines, more: more.saturating_sub(shown) })
}

/// The one number that a query tells as `n`.
async fn number(wired: &Wired, sql: &str) -> Result<u64, CliError> {
    let batches: Vec<RecordBatch> = ask(wired, sql).await?.batches.try_collect().await?;
    let rows = batches.iter().map(json_rows).collect::<Result<Vec<_>, _>>()?.concat();
    Ok(rows.first().and_then(|r| r["n"].as_u64()).unwrap_or(0))
}

fn named(keys: &[(&str, &str)]) -> String {
    keys.iter().map(|(name, sql)| format!("{sql} AS \"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// A `WHERE` for the rows that are meant, of the quarantine as `w`.
fn condition(name: &DatasetName, selection: &Selection) -> String {
    let text = |t: &str| format!("'{}'", t.replace('\'', "''"));
    let Selection { rule, column, object } = selection;
    let mut all: Vec<String> = object.iter().map(|o| format!("w._object = {}", text(o))).collect();
    let mut reasons: Vec<String> = rule.iter().map(|r| format!("u.reason['rule'] = {}", text(r))).collect();
    // A rule over several columns names all of them: `a, b`. A field that drifted is one, and may be called so.
    let names = |c: &String| {
        format!(
            "(u.reason['column'] = {} OR NOT starts_with(u.reason['rule'], '{DRIFT}')
              AND strpos(', ' || u.reason['column'] || ', ', {}) > 0)",
            text(c),
            text(&format!(", {c}, "))
        )
    };
    reasons.extend(column.iter().map(names));
    if !reasons.is_empty() {
        all.push(format!(
            "EXISTS (SELECT 1 FROM (SELECT _event_id, _position, unnest(reasons) AS reason FROM {}) AS u
              WHERE u._event_id = w._event_id AND u._position = w._position AND {})",
            place(name),
            reasons.join(" AND ")
        ));
    }
    if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
}

/// The first rows, each with what it broke and the record as received.
async fn rows(wired: &Wired, name: &DatasetName, selection: &Selection, limit: usize) -> Result<(), CliError> {
    let sql = format!(
        "SELECT _object AS object, _position AS position, reasons, record
         FROM {} AS w{} ORDER BY _object, _position LIMIT {limit}",
        place(name),
        condition(name, selection)
    );
    let batches: Vec<RecordBatch> = ask(wired, &sql).await?.batches.try_collect().await?;
    let columns = [("object", Align::Left), ("row", Align::Right), ("broken", Align::Left), ("record", Align::Left)];
    let mut table = Table::new(columns);
    for row in batches.iter().map(json_rows).collect::<Result<Vec<_>, _>>()?.concat() {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let reasons = row["reasons"].as_array().into_iter().flatten().map(reason).collect::<Vec<_>>().join("; ");
        table.row(vec![
            cell(&text(&row["object"])),
            text(&row["position"]),
            cell(&reasons),
            cell(&text(&row["record"])),
        ]);
    }
    print(&table.text(Style::stdout()))
}

/// All of the rows that are meant, whole, in a file that appears when it is complete.
async fn export(
    wired: &Wired,
    name: &DatasetName,
    selection: &Selection,
    to: &Path,
    is_empty: bool,
) -> Result<(), CliError> {
    if is_empty {
        return print(NOTHING_WAITS);
    }
    let of = format!("{} AS w{}", place(name), condition(name, selection));
    let sql = format!("SELECT * FROM {of} ORDER BY _object, _position");
    let output = Output::of(to).unwrap_or(Output::Ndjson);
    send(ask(wired, &sql).await?, output, Destination::file(to)?, None).await?;
    if !selection.is_all() && number(wired, &format!("SELECT count(*) AS n FROM {of}")).await? == 0 {
        return print(&no_match(wired, name, selection).await?);
    }
    Ok(())
}

/// What people wrote down.
fn notes(notes: &[QuarantineNote]) -> Result<(), CliError> {
    for (n, note) in notes.iter().enumerate() {
        let Selection { rule, column, object } = &note.selection;
        let of: Vec<&str> = [rule, column, object].into_iter().flatten().map(String::as_str).collect();
        let of = if of.is_empty() { String::new() } else { format!(" [{}]", of.join(", ")) };
        let head = if n == 0 { "\n" } else { "" };
        let (at, by) = (brief_time(note.noted_at), printable(&note.by));
        print(&format!("{head}note{}: {} ({by}, {at})\n", printable(&of), printable(&note.text)))?;
    }
    Ok(())
}

/// `required:amount`, `status_known: status = lost`.
fn reason(reason: &Value) -> String {
    let text = |field: &str| reason[field].as_str();
    let rule = text("rule").unwrap_or_default();
    match (text("column"), text("value")) {
        (Some(column), Some(value)) => format!("{rule}: {column} = {value}"),
        _ => text("message").map_or_else(|| rule.to_owned(), |m| format!("{rule}: {m}")),
    }
}

/// The quarantine's table in SQL.
pub fn place(name: &DatasetName) -> String {
    format!("quarantine.\"{}_{}\"", name.layer(), name.name())
}
