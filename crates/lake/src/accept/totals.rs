//! `totals`: whether all of a landing object arrived, by the control file that its sender put beside it.
//!
//! The file is read when the gate judges, so that one which is brought later counts when the step is done once more. It is a stranger's: nothing of it is shown but
//! names and numbers.

use super::{
    columns::unfit,
    found::{Found, Measured, percent},
    pass::{self, Pass, Unfit},
};
use crate::{commit::Staged, engine::LakeEngine, error::LakeError, files::Files};
use alluvium_flow::Job;
use alluvium_model::EventId;
use alluvium_spec::{Beyond, CONTROL_FILE, Kind, Levels};
use alluvium_store::EventRecord;
use arrow::datatypes::Schema;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::Path,
    sync::Arc,
};

/// A control file has a few lines.
const MOST_BYTES: u64 = 64 << 10;
const MOST_SUMS: usize = 100;
/// Bytes of a column's name.
const LONGEST_NAME: usize = 256;
/// Digits after the point that sums are compared by; they are exact.
const SCALE: u32 = 9;
const DECIMAL: &str = "DECIMAL(38, 9)";

/// What the sender says of one object.
#[derive(Debug, Default, PartialEq)]
struct Told {
    rows: Option<u64>,
    /// By column, times 10^9.
    sums: BTreeMap<String, i128>,
}

/// Objects that are dead letters are accounted for already.
pub(super) async fn judge(
    engine: &LakeEngine,
    job: &Job<'_>,
    staged: &Staged,
    levels: Levels,
    rows: &Arc<Files>,
    found: &mut Found,
) -> Result<(), LakeError> {
    let Kind::Bronze(bronze) = &job.dataset.kind else { return Ok(()) };
    let dead: BTreeSet<&EventId> = staged.dead.iter().map(|(event, _)| event).collect();
    let mut told = Vec::new();
    for event in job.events.iter().filter(|e| !dead.contains(&e.event)) {
        let path = format!("{}{CONTROL_FILE}", event.path);
        let told_by = if let Some(folder) = &bronze.files.remote {
            let bytes = engine.buckets.small(folder, &path, MOST_BYTES).await?;
            let name = path.rsplit('/').next().unwrap_or(&path);
            bytes.map_or_else(|| Err(absent(name)), |bytes| understood(name, bytes))
        } else {
            let path = bronze.files.folder.join(path);
            // A disk may take its time, and others have work meanwhile.
            let told_by = tokio::task::spawn_blocking(move || read(&path)).await;
            told_by.map_err(|_| LakeError::Worker("a thread ended early"))?
        };
        match told_by {
            Ok(one) => told.push((event, one)),
            Err(why) => unfit(format!("accept:totals({})", event.path), "completeness", &[levels], &why, found),
        }
    }
    let names: BTreeSet<&String> = told.iter().flat_map(|(_, t)| t.sums.keys()).collect();
    let mut pass = Pass::default();
    let (key, count) = (pass.ask("\"_event_id\"".to_owned()), pass.ask("count(*)".to_owned()));
    let mut sums = BTreeMap::new();
    for name in names {
        sums.insert(name, sum_of(&staged.schema, name).map(|sum| pass.ask(sum)));
    }
    let seen = pass.look(engine, rows, "GROUP BY 1").await?;
    let mut at = BTreeMap::new();
    for row in 0..seen.rows() {
        at.insert(seen.text(key, row)?.unwrap_or_default(), row);
    }
    for (event, Told { rows, sums: expected }) in &told {
        let row = at.get(event.event.as_str()).copied();
        if let Some(expected) = rows {
            let is = row.map_or(Ok(0), |r| seen.count(count, r))?;
            let note = format!("{}: {is} rows are loaded, and its sender tells {expected}", event.path);
            let off = off(i128::from(is), i128::from(*expected));
            say(event, "rows", levels, off, note, found);
        }
        for (name, expected) in expected {
            let place = match &sums[name] {
                Ok(place) => *place,
                Err(why) => {
                    unfit(format!("accept:totals({})", event.path), "completeness", &[levels], why, found);
                    continue;
                }
            };
            let is = match row {
                Some(row) => seen.text(place, row)?.and_then(|t| decimal(&t)).unwrap_or(0),
                None => 0,
            };
            let note = format!(
                "{}: the sum of `{name}` is {}, and its sender tells {}",
                event.path,
                shown(is),
                shown(*expected)
            );
            say(event, name, levels, off(is, *expected), note, found);
        }
    }
    Ok(())
}

/// What is no number has no sum.
pub(super) fn sum_of(schema: &Schema, column: &str) -> Result<String, Unfit> {
    pass::number(schema, column)?;
    Ok(format!("CAST(sum(TRY_CAST({} AS {DECIMAL})) AS VARCHAR)", pass::quoted(column)))
}

fn say(event: &EventRecord, what: &str, levels: Levels, off: f64, note: String, found: &mut Found) {
    let beyond = levels.beyond(off);
    let of = Measured {
        rule: format!("accept:totals({}:{what})", event.path),
        dimension: "completeness",
        checked: 1,
        violations: u64::from(beyond.is_some()),
        note,
        figure: None,
    };
    let words = |b: Beyond| match off.is_finite() {
        true => format!("{:.2} % off, {}", off * 100.0, percent(b)),
        false => "where nothing was expected".to_owned(),
    };
    found.judge(of, beyond, words);
}

/// The difference as a share of what is expected.
fn off(is: i128, expected: i128) -> f64 {
    match (is.abs_diff(expected), expected.unsigned_abs()) {
        (0, _) => 0.0,
        (_, 0) => f64::INFINITY,
        (difference, expected) => difference as f64 / expected as f64,
    }
}

fn shown(value: i128) -> String {
    let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let one = 10_u128.pow(SCALE);
    let text = format!("{sign}{}.{:09}", value / one, value % one);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn read(path: &Path) -> Result<Told, String> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut bytes = Vec::new();
    let opened = match path.symlink_metadata() {
        Ok(m) if m.is_file() => File::open(path),
        Ok(_) => return Err(format!("`{name}` is no file")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(absent(&name));
        }
        Err(e) => Err(e),
    };
    let read = opened.and_then(|f| f.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|e| format!("`{name}` cannot be read: {e}"))?;
    understood(&name, bytes)
}

fn absent(name: &str) -> String {
    format!("`{name}` is not there; bring it, and `alluvium replay dead-letters` judges once more")
}

/// `bytes`: all of it, or the first that are too many.
fn understood(name: &str, bytes: Vec<u8>) -> Result<Told, String> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("`{name}` is longer than {MOST_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("`{name}` cannot be read: it is not UTF-8"))?;
    let told = parse(&text)
        .map_err(|line| format!("line {line} of `{name}` is neither `rows: 12` nor `sum(column): 3.50`"))?;
    if told.sums.len() > MOST_SUMS {
        return Err(format!("`{name}` has more than {MOST_SUMS} sums"));
    }
    if told.sums.keys().any(|column| column.len() > LONGEST_NAME) {
        return Err(format!("`{name}` has the name of a column with more than {LONGEST_NAME} bytes"));
    }
    Ok(told)
}

/// The number of the line that is wrong, or of the one that is missing.
fn parse(text: &str) -> Result<Told, usize> {
    let mut told = Told::default();
    let lines = text.lines().map(str::trim).enumerate();
    for (i, line) in lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
        let one = || {
            let (name, value) = line.rsplit_once(':')?;
            let (name, value) = (name.trim(), value.trim());
            match name.strip_prefix("sum(").and_then(|n| n.strip_suffix(')')) {
                Some(column) => told.sums.insert(column.trim().to_owned(), decimal(value)?).is_none(),
                None => name == "rows" && told.rows.replace(value.parse().ok()?).is_none(),
            }
            .then_some(())
        };
        let mut one = one;
        one().ok_or(i + 1)?;
    }
    if told == Told::default() { Err(1) } else { Ok(told) }
}

/// Digits, and up to nine of them after the point.
fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let part = part.trim_end_matches('0');
    if whole.is_empty() || whole.len() > 29 || part.len() > SCALE as usize || !plain(whole) || !plain(part) {
        return None;
    }
    format!("{whole}{part:0<9}").parse::<i128>().ok().map(|v| sign * v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_tells_rows_and_sums() {
        let told = parse("# of the day\nrows: 12\n\nsum(amount): -3.50\nsum(a:b) : 7\n").expect("it is right");
        let sums = [("a:b".to_owned(), 7_000_000_000), ("amount".to_owned(), -3_500_000_000)];
        assert_eq!(told, Told { rows: Some(12), sums: sums.into() });
        for (text, line) in [
            ("", 1),
            ("rows: 1\nrows: 2", 2),
            ("rows: -1", 1),
            ("rows: 1\n\ntotal: 3", 3),
            ("sum(a): 1e3", 1),
            ("sum(a): 1.0000000001", 1),
        ] {
            assert_eq!(parse(text), Err(line), "{text}");
        }
    }

    #[test]
    fn sums_are_exact() {
        assert_eq!(decimal("0.10"), Some(100_000_000));
        assert_eq!(shown(-100_000_000), "-0.1");
        assert_eq!(shown(12_000_000_000), "12");
        assert_eq!(off(99, 100), 0.01);
        assert_eq!((off(0, 0), off(1, 0)), (0.0, f64::INFINITY));
    }

    #[test]
    fn a_control_file_that_cannot_be_used_says_so() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.csv.ctl");
        let why = || read(&path).expect_err("it cannot be used");
        assert!(why().starts_with("`a.csv.ctl` is not there"));
        std::fs::create_dir(&path).expect("a folder");
        assert_eq!(why(), "`a.csv.ctl` is no file");
        std::fs::remove_dir(&path).expect("removed");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
        assert_eq!(why(), "`a.csv.ctl` is no file");
        std::fs::remove_file(&path).expect("removed");
        let sums = |most: u32| (0..most).map(|i| format!("sum(c{i}): 1\n")).collect::<String>();
        let long = |bytes: usize| format!("sum({}): 1", "c".repeat(bytes));
        for text in [sums(100), long(256)] {
            std::fs::write(&path, text).expect("written");
            read(&path).expect("it can be used");
        }
        for (text, said) in [
            (sums(101).into_bytes(), "`a.csv.ctl` has more than 100 sums"),
            (long(257).into_bytes(), "`a.csv.ctl` has the name of a column with more than 256 bytes"),
            (vec![b'#'; 70_000], "`a.csv.ctl` is longer than 65536 bytes"),
            (vec![0xff], "`a.csv.ctl` cannot be read: it is not UTF-8"),
            (b"rows: 3\nsecret".to_vec(), "line 2 of `a.csv.ctl` is neither `rows: 12` nor `sum(column): 3.50`"),
        ] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(why(), said);
        }
    }
}
