//! `alluvium contract infer`: a contract proposed for files, and tried on them before anybody sees it.

use crate::{
    args::{Format, Global},
    error::CliError,
    load,
    output::{Destination, print, print_json, say},
    render::{grouped, plural, printable},
    wire::Wired,
};
use alluvium_lake::{Given, Look, Looked, Trial, profile, trial};
use alluvium_model::{DatasetName, Exit, Layer};
use alluvium_source::files::{Named, named, reads};
use alluvium_spec::{
    Action, Bronze, ColumnType, Kind, Project,
    infer::{Naming, Proposal, propose},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A rule that does not hold is left out and the rest is tried again, so often.
const MOST_TRIALS: usize = 5;

/// What is asked for, beside the files.
pub struct Asked<'a> {
    pub name: Option<&'a str>,
    pub sample: Option<u64>,
    pub write: bool,
    pub force: bool,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    contract: &'a str,
    /// Where it was written.
    file: Option<PathBuf>,
    files: usize,
    /// That were looked at.
    records: u64,
    sampled: bool,
    /// Delimiters that differ, with how many files have each: no dataset reads them all. Else empty.
    delimiters: BTreeMap<String, usize>,
    malformed: &'a BTreeMap<&'static str, u64>,
    /// Whether every record that can be read fits the contract. `None`: not tried, because not every record was looked at.
    passed: Option<bool>,
    /// Rules that did not hold and were left out, with how many records broke them.
    refused: &'a BTreeMap<String, u64>,
    key: &'a [String],
    columns: Vec<Column<'a>>,
    text: &'a str,
    bronze: Option<&'a str>,
    silver: &'a str,
}

#[derive(Debug, Serialize)]
struct Column<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: ColumnType,
    required: bool,
    personal: bool,
    refers_to: Option<String>,
    evidence: &'a [String],
}

pub async fn infer(global: &Global, paths: &[PathBuf], asked: &Asked<'_>) -> Result<Exit, CliError> {
    let found = files(paths)?;
    let wired = Wired::reading(load::checked(global, None).await?).await?;
    let project = &wired.project;
    let bronze = reader(project, &found.files);
    let dataset = dataset(&found, asked.name, bronze.map(|(name, _)| name))?;
    let to = project.root.join("contracts").join(format!("{}.odcs.yaml", dataset.name()));
    if asked.write && !asked.force && to.exists() {
        return Err(CliError::ContractExists(to));
    }
    let plain = Given::plain(&found.files);
    let (format, csv) = bronze.map_or((None, plain.csv), |(_, b)| (b.files.format, b.files.csv.clone()));
    let look = Look { files: found.files.clone(), format, csv, free: bronze.is_none(), sample: asked.sample };
    let looked = profile(&wired.engine, project, &dataset, look).await?;
    if looked.facts.columns.is_empty() {
        return Err(CliError::NoColumns);
    }
    let folder = of_project(&found.folder, &project.root);
    let naming = Naming {
        project: &project.name,
        contract: dataset.name(),
        reads: bronze.map(|(name, _)| name),
        folder: found.exact.then_some(folder.as_str()),
        glob: found.glob.as_deref(),
    };
    let tried = settle(&wired, &looked, &naming, &found.files, format).await?;
    if asked.write {
        fs::create_dir_all(to.parent().unwrap_or(&project.root)).map_err(CliError::file(&to))?;
        let mut out = Destination::file(&to)?;
        out.write(tried.proposal.text.as_bytes())?;
        out.finish()?;
    }
    for refused in &found.refused {
        say(&format!("not looked at: {}: {} ({})\n", printable(&refused.path), refused.reason, refused.code));
    }
    let answer = answer(&dataset, asked.write.then_some(to), &looked, &tried);
    match global.format {
        Format::Json => print_json(&answer)?,
        Format::Human if asked.write => print(&summary(&answer))?,
        Format::Human => {
            print(answer.text)?;
            say(&summary(&answer));
        }
    }
    let exit = if answer.passed == Some(false) { Exit::FailedWork } else { Exit::Done };
    wired.close().await?;
    Ok(exit)
}

/// A proposal, and what came of trying it.
struct Tried {
    proposal: Proposal,
    refused: BTreeMap<String, u64>,
    passed: Option<bool>,
}

/// Proposes, tries it on the files as a dataset would read them, and leaves out what does not hold.
async fn settle(
    wired: &Wired,
    looked: &Looked,
    naming: &Naming<'_>,
    files: &[PathBuf],
    format: Option<alluvium_spec::Format>,
) -> Result<Tried, CliError> {
    let unique = |columns: &[usize]| looked.rows.unique(columns);
    let (mut refused, mut trials) = (BTreeMap::new(), 0);
    loop {
        let proposal = propose(&looked.facts, naming, &unique, &refused).map_err(CliError::Definitions)?;
        // No dataset reads files of several delimiters.
        if looked.facts.sampled || !looked.facts.delimiters.is_empty() || trials == MOST_TRIALS {
            let passed = if looked.facts.sampled { None } else { Some(false) };
            return Ok(Tried { proposal, refused, passed });
        }
        let given = Given { files, format, csv: looked.csv.clone(), steps: proposal.steps.clone() };
        let broken = broken(&trial(&wired.engine, &wired.project, &proposal.contract, given, None).await?);
        if broken.keys().all(|rule| refused.contains_key(rule)) {
            return Ok(Tried { proposal, refused, passed: Some(broken.is_empty()) });
        }
        refused.extend(broken);
        trials += 1;
    }
}

/// Rules that keep records out. What is no record is nobody's fault.
fn broken(trial: &Trial) -> BTreeMap<String, u64> {
    let rules = trial.rules.iter().filter(|r| !r.passed && r.action != Action::Warn.word());
    let rules = rules.filter(|r| !r.rule.starts_with("malformed:"));
    rules.map(|r| (r.rule.clone(), r.violations)).collect()
}

/// All files that the paths mean, each once.
fn files(paths: &[PathBuf]) -> Result<Named, CliError> {
    let mut all = Vec::new();
    for path in paths {
        let found = named(path).map_err(|source| CliError::NoFiles { named: path.clone(), source: Some(source) })?;
        if found.files.is_empty() {
            return Err(CliError::NoFiles { named: path.clone(), source: None });
        }
        all.push(found);
    }
    Ok(Named::together(all).expect("the command line takes one path at least"))
}

/// The silver dataset that could have the contract: called as it is asked for, or like the bronze dataset that reads the files, or like
/// the only file or the folder that is named.
fn dataset(found: &Named, name: Option<&str>, reads: Option<&DatasetName>) -> Result<DatasetName, CliError> {
    let made = || {
        if let Some(reads) = reads {
            return reads.name().to_owned();
        }
        let folder = found.folder.canonicalize().ok();
        let last = folder.as_deref().and_then(Path::file_name);
        let text = match found.files.as_slice() {
            [one] if found.is_file => one.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next()),
            _ => last.and_then(|n| n.to_str()),
        };
        let text = text.unwrap_or_default().to_lowercase();
        let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        // A name starts with a letter.
        plain.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('_').to_owned()
    };
    let name = name.map_or_else(made, str::to_owned);
    DatasetName::new(Layer::Silver, &name).map_err(|_| CliError::ContractName(printable(&name)))
}

/// The bronze dataset that reads all of the files.
fn reader<'a>(project: &'a Project, files: &[PathBuf]) -> Option<(&'a DatasetName, &'a Bronze)> {
    let bronze = project.datasets.iter().filter_map(|(name, d)| match &d.kind {
        Kind::Bronze(b) if b.push.is_none() && b.webhook.is_none() => Some((name, b)),
        _ => None,
    });
    let mut reading = bronze.filter(|(_, b)| reads(&b.files, files));
    let first = reading.next()?;
    // Of several that share a folder nobody knows which one is meant.
    reading.next().is_none().then_some(first)
}

/// As a dataset's file names it: from the project's root, where it lies there.
fn of_project(folder: &Path, root: &Path) -> String {
    let (Ok(folder), Ok(root)) = (folder.canonicalize(), root.canonicalize()) else {
        return folder.display().to_string();
    };
    match folder.strip_prefix(&root) {
        Ok(inside) if inside.as_os_str().is_empty() => "./".to_owned(),
        Ok(inside) => format!("{}/", inside.display()),
        Err(_) => folder.display().to_string(),
    }
}

fn answer<'a>(dataset: &'a DatasetName, file: Option<PathBuf>, looked: &'a Looked, tried: &'a Tried) -> Answer<'a> {
    let Tried { proposal, refused, passed } = tried;
    let columns = proposal.columns.iter().map(|c| Column {
        name: &c.name,
        kind: c.kind,
        required: c.required,
        personal: c.personal,
        refers_to: c.refers.as_ref().map(|r| format!("{}.{}", r.dataset, r.column)),
        evidence: &c.evidence,
    });
    Answer {
        contract: dataset.name(),
        file,
        files: looked.facts.files,
        records: looked.facts.records,
        sampled: looked.facts.sampled,
        delimiters: looked.facts.delimiters.iter().map(|(d, n)| (char::from(*d).to_string(), *n)).collect(),
        malformed: &looked.facts.malformed,
        passed: *passed,
        refused,
        key: &proposal.key,
        columns: columns.collect(),
        text: &proposal.text,
        bronze: proposal.bronze.as_deref(),
        silver: &proposal.silver,
    }
}

fn summary(a: &Answer<'_>) -> String {
    let mut out = a.file.as_ref().map_or_else(String::new, |f| format!("wrote {}\n", f.display()));
    let key = if a.key.is_empty() { "no key".to_owned() } else { format!("key {}", a.key.join(", ")) };
    out.push_str(&format!("{}, {}\n", plural(a.columns.len() as u64, "column"), printable(&key)));
    let personal: Vec<&str> = a.columns.iter().filter(|c| c.personal).map(|c| c.name).collect();
    if !personal.is_empty() {
        out.push_str(&format!("likely personal: {}\n", printable(&personal.join(", "))));
    }
    for (rule, n) in a.refused {
        out.push_str(&format!("left out: {}, which {} records broke\n", printable(rule), grouped(*n)));
    }
    for (why, n) in a.malformed {
        out.push_str(&format!("{} more could not be read: {why}\n", grouped(*n)));
    }
    let (records, files) = (grouped(a.records), plural(a.files as u64, "file"));
    out.push_str(&match a.passed {
        Some(true) => format!("passed: it holds on all {records} records in {files}\n"),
        Some(false) if !a.delimiters.is_empty() => {
            "failed: the files have several delimiters, and a dataset reads with one; name those of one delimiter\n"
                .to_owned()
        }
        Some(false) => format!("failed: it does not hold on the {records} records in {files}; correct it by hand\n"),
        None => format!(
            "not tried: it is from the first {records} records in {files}; `alluvium contract test` tells of all\n"
        ),
    });
    out
}
