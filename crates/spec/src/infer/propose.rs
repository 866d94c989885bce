//! The whole proposal: words for nulls, the key, and the texts.

use super::{
    advice,
    column::{Plan, Refused},
    facts::{ColumnFacts, Facts, Referred},
    key, kind, names,
    yaml::{scalar, shown},
};
use crate::{
    ColumnType, Contract, Diagnostics, contract_file, definition::Step, diagnostic::Sink, source_file::SourceFile,
};
use alluvium_model::{DatasetName, grouped};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

/// Words that mean "no value" wherever they stand.
const ALWAYS_NULL: [&str; 5] = ["", "NULL", "null", "\\N", "#N/A"];

/// What the proposal is called, and where its files are.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    pub project: &'a str,
    pub contract: &'a str,
    /// The bronze dataset that reads the files, if there is one.
    pub reads: Option<&'a DatasetName>,
    /// `None`: no folder with one pattern has these files and no others.
    pub folder: Option<&'a str>,
    pub glob: Option<&'a str>,
}

#[derive(Debug, Clone)]
pub struct Proposal {
    /// An ODCS document, with what speaks for it as comments.
    pub text: String,
    /// As the engine uses it, without what refers to other datasets.
    pub contract: Contract,
    /// With them a dataset reads the files so that they fit.
    pub steps: Vec<Step>,
    /// A file for such a dataset, and for the bronze dataset that it reads, unless there is one or none can read all of the files.
    pub silver: String,
    pub bronze: Option<String>,
    pub key: Vec<String>,
    pub columns: Vec<ProposedColumn>,
}

#[derive(Debug, Clone)]
pub struct ProposedColumn {
    pub name: String,
    pub kind: ColumnType,
    pub required: bool,
    pub personal: bool,
    pub refers: Option<Referred>,
    /// Sentences.
    pub evidence: Vec<String>,
}

/// `unique`: whether columns, by their places, have different values in every record that could be kept. `refused`: rules of an earlier
/// proposal that the records broke, with how many did.
///
/// # Errors
/// When the text does not read as a contract: a name of the source that none of the rules foresees.
pub fn propose(
    facts: &Facts,
    naming: &Naming<'_>,
    unique: &dyn Fn(&[usize]) -> bool,
    refused: &BTreeMap<String, u64>,
) -> Result<Proposal, Diagnostics> {
    let plans = plans(facts, refused);
    let not_unique = |columns: &[usize]| {
        let names: Vec<&str> = columns.iter().map(|c| plans[*c].name.as_str()).collect();
        refused.contains_key(&format!("unique:{}", names.join(",")))
    };
    let key = key::find(facts.records, &plans, unique, &not_unique);
    let steps = advice::steps(&plans);
    let of_key: Vec<&Plan<'_>> = key.iter().map(|k| &plans[*k]).collect();
    let silver = advice::silver(&steps, &of_key, naming);
    let bronze = advice::bronze(facts, naming);
    let mut text = header(facts, naming, &silver, bronze.as_deref(), refused);
    let (project, name) = (naming.project, naming.contract);
    let _ = write!(
        text,
        "apiVersion: v3.1.0\nkind: DataContract\nid: {}\nname: {name}\nversion: 0.1.0\nstatus: draft\nschema:\n  - name: {name}\n    physicalType: table\n",
        scalar(&format!("{project}.{name}"))
    );
    if key.len() > 1 {
        let names: Vec<String> = of_key.iter().map(|p| shown(&p.name)).collect();
        let _ = writeln!(text, "    # No two records agree in {}: together they are the key.", names.join(", "));
    }
    text.push_str("    properties:\n");
    let mut columns = Vec::new();
    for (place, p) in plans.iter().enumerate() {
        let rules = p.rules(key == [place], refused);
        p.write(&rules, &key, place, &mut text);
        columns.push(ProposedColumn {
            name: p.name.clone(),
            kind: p.typed.kind,
            required: p.required,
            personal: rules.is_personal(),
            refers: p.facts.refers.clone(),
            evidence: p.evidence(&rules, &key, place),
        });
    }
    let file = SourceFile::new(format!("{name}.odcs.yaml"), text.as_str());
    let read = contract_file::contract_of(Some(Arc::new(file)), Sink::default())?;
    let contract = *read.contract.expect("it has one object");
    let key = of_key.iter().map(|p| p.name.clone()).collect();
    Ok(Proposal { text, contract, steps, silver, bronze, key, columns })
}

fn plans<'a>(facts: &'a Facts, refused: &Refused) -> Vec<Plan<'a>> {
    let names = names::columns(facts.columns.iter().map(|c| c.name.as_str()));
    let typed: Vec<_> = facts
        .columns
        .iter()
        .zip(&names)
        .map(|(c, name)| {
            let mut typed = kind::of(c);
            if let Some(n) = refused.get(&format!("type:{name}")) {
                let why = format!("{} records were no {}", grouped(*n), kind::word(typed.kind));
                typed = kind::Typed { kind: ColumnType::String, parse: None, why: vec![why] };
            }
            typed
        })
        .collect();
    // What stands between numbers or dates is no value; the same word among texts is then taken for none, too.
    let among = facts.columns.iter().zip(&typed).filter(|(c, t)| t.kind != ColumnType::String && c.declared.is_none());
    let seen: BTreeSet<&str> = among.flat_map(|(c, _)| c.words.keys().map(String::as_str)).collect();
    let null = |c: &ColumnFacts, t: &kind::Typed, word: &str| {
        t.kind != ColumnType::String || c.values == 0 || seen.contains(word) || ALWAYS_NULL.contains(&word)
    };
    let all = facts.columns.iter().zip(names).zip(typed);
    all.map(|((c, name), typed)| {
        let (nulls, real): (Vec<_>, Vec<_>) = c.words.iter().partition(|(w, _)| null(c, &typed, w));
        let null_words: Vec<&str> = nulls.into_iter().map(|(w, _)| w.as_str()).collect();
        let real_words: Vec<(&str, u64)> = real.into_iter().map(|(w, n)| (w.as_str(), *n)).collect();
        let there = c.values > 0 && c.nulls == 0 && null_words.is_empty();
        let required = there && !refused.contains_key(&format!("required:{name}"));
        Plan { facts: c, name, typed, null_words, real_words, required }
    })
    .collect()
}

fn delimiter(d: u8) -> String {
    if d == b'\t' { "a tab".to_owned() } else { shown(&char::from(d).to_string()) }
}

fn header(facts: &Facts, naming: &Naming<'_>, silver: &str, bronze: Option<&str>, refused: &Refused) -> String {
    let files = if facts.files == 1 { "1 file".to_owned() } else { format!("{} files", grouped(facts.files as u64)) };
    let looked = if facts.sampled { "the first ones of each file" } else { "all that are there" };
    let mut out = format!("# Proposed from {files}, {} records: {looked}.\n", grouped(facts.records));
    out.push_str("# Look it over: files show what came so far, and not what is right.\n");
    for (why, n) in &facts.malformed {
        let _ = writeln!(out, "# {} more could not be read ({why}), and are no part of it.", grouped(*n));
    }
    if facts.mixed {
        out.push_str("# One bronze dataset takes text files or Parquet, and these are both.\n");
    }
    if !facts.delimiters.is_empty() {
        let each = facts.delimiters.iter().map(|(d, n)| format!("{} in {}", delimiter(*d), grouped(*n as u64)));
        let each = each.collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "# One bronze dataset has one delimiter, and these files have several: {each}.");
    }
    if let (Some(d), Some(reads)) = (facts.unread_delimiter, naming.reads) {
        let d = scalar(&char::from(d).to_string());
        let _ = writeln!(
            out,
            "# The fields seem to be divided otherwise than {reads} reads them: it may need `delimiter: {d}`."
        );
    }
    if naming.reads.is_none() && naming.folder.is_none() {
        out.push_str("# The paths have no folder and pattern in common, so each takes a bronze dataset of its own.\n");
    }
    for (name, why) in &facts.left_out {
        let _ = writeln!(out, "# The column {} is left out: {why}.", shown(name));
    }
    for (rule, n) in refused {
        let _ = writeln!(out, "# The rule {} is left out: {} records broke it.", shown(rule), grouped(*n));
    }
    out.push_str("#\n# A dataset reads these files so that they fit:\n#\n");
    let name = naming.contract;
    if let Some(bronze) = bronze {
        let _ = writeln!(out, "#   # datasets/bronze/{name}.yaml");
        bronze.lines().for_each(|l| out.push_str(&format!("#   {l}\n")));
        out.push_str("#\n");
    }
    let _ = writeln!(out, "#   # datasets/silver/{name}.yaml");
    silver.lines().for_each(|l| out.push_str(&format!("#   {l}\n")));
    out.push_str("#\n");
    out
}
