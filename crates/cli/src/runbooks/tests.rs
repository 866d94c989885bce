//! What runbooks tell people to type is what the command line takes, and what they say of mistakes is what `check` says.

use super::*;
use crate::args::Cli;
use alluvium_spec::CODES;
use clap::Parser;
use std::collections::BTreeSet;

/// What stands for a name in a command, and one that the command line can read.
const PLACEHOLDERS: [(&str, &str); 10] = [
    ("DATASET", "silver.orders"),
    ("BRONZE", "bronze.orders"),
    ("SILVER", "silver.orders"),
    ("GOLD", "gold.days"),
    ("CONTRACT", "orders"),
    ("FILE", "orders.csv"),
    ("SINK", "partner"),
    ("RUN", "latest"),
    ("CODE", "L0001"),
    ("ID", "6f0e1d6d3c56"),
];
/// Programs of the system that a runbook may call. Others are a slip of the pen.
const OF_THE_SYSTEM: [&str; 30] = [
    "aws",
    "cat",
    "chmod",
    "chown",
    "cp",
    "curl",
    "df",
    "echo",
    "env",
    "file",
    "findmnt",
    "free",
    "getent",
    "head",
    "iconv",
    "journalctl",
    "ls",
    "mkdir",
    "mv",
    "namei",
    "openssl",
    "ps",
    "psql",
    "rm",
    "sqlite3",
    "ss",
    "systemctl",
    "sysctl",
    "timedatectl",
    "ulimit",
];

/// The lines of all blocks of shell, and what is told to be typed within a sentence.
fn commands() -> Vec<(&'static str, Vec<String>)> {
    let mut found = Vec::new();
    for page in PAGES {
        let mut block = None;
        for line in page.lines().filter(|l| !l.starts_with('|')) {
            if let Some(language) = line.strip_prefix("```") {
                block = block.is_none().then_some(language);
            } else if block == Some("sh") && !line.trim().is_empty() {
                found.push((line, words(line)));
            } else if block.is_none() {
                let named =
                    line.split('`').skip(1).step_by(2).filter(|c| c.starts_with("alluvium ") && !c.contains('…'));
                found.extend(named.map(|c| (c, words(c))));
            }
        }
    }
    found
}

/// The words of the first command of a line, without variables before it, a comment, and where it writes.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'' | '(') => {
                quote = Some(if c == '(' { ')' } else { c });
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | '&' | ';') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let is_variable = |w: &String| {
        w.split_once('=').is_some_and(|(n, _)| !n.is_empty() && n.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    words.into_iter().skip_while(is_variable).collect()
}

#[test]
fn every_command_is_one_that_the_command_line_takes() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (line, words) in commands() {
        let program = words.first().map_or("", String::as_str);
        if program != "alluvium" {
            if !OF_THE_SYSTEM.contains(&program) && !["export", "sudo"].contains(&program) {
                wrong.push(format!("`{program}` is not known: {line}"));
            }
            continue;
        }
        let filled = words.iter().map(|w| {
            PLACEHOLDERS.iter().find(|(name, _)| name == w).map_or_else(|| w.clone(), |(_, value)| (*value).to_owned())
        });
        tried += 1;
        match Cli::try_parse_from(filled) {
            // Help and version come as errors, too.
            Err(e) if e.exit_code() != 0 => wrong.push(format!("{line}\n{e}")),
            Ok(_) | Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 100, "{tried} commands");
}

#[test]
fn mistakes_in_definitions_are_told_in_the_same_words_everywhere() {
    let plain = |text: &str| text.replace("\\|", "|");
    for doc in CODES {
        let r = find(doc.code).unwrap_or_else(|| panic!("{} has no runbook", doc.code));
        assert_eq!(r.title, Some(doc.title), "{}", doc.code);
        assert_eq!(
            (plain(r.meaning).as_str(), plain(r.remedy).as_str()),
            (doc.explanation, doc.remedy),
            "{}",
            doc.code
        );
    }
}

#[test]
fn every_page_says_something_under_each_heading() {
    let mut codes = BTreeSet::new();
    for r in all() {
        assert!(codes.insert(r.code), "{} twice", r.code);
        assert!(r.together.contains(&r.code) && !r.meaning.is_empty() && !r.remedy.is_empty(), "{}", r.code);
        let headings: Vec<&str> = r.sections().map(|(heading, _)| heading).collect();
        assert_eq!(headings, ["What it means", "How to see it", "What to do", "How to prevent it"], "{}", r.code);
    }
    assert!(codes.len() > 200, "{} codes", codes.len());
}

#[test]
fn every_kind_of_alert_has_its_page() {
    for code in alluvium_flow::ALERT_CODES {
        let page = find(code).unwrap_or_else(|| panic!("{code} has no runbook"));
        assert!(page.meaning.starts_with("Alert: "), "{code}");
    }
    // Held steps and dead letters are told with the code of what stopped them.
    assert!(find(alluvium_flow::HELD).is_some());
}

#[test]
fn a_command_is_read_as_a_shell_reads_it() {
    let read = |line| words(line).join("|");
    assert_eq!(read("A_B=c alluvium query \"SELECT 'x' # y\" shop # all | none"), "alluvium|query|SELECT 'x' # y|shop");
    assert_eq!(read("alluvium show runs --limit 5 | head"), "alluvium|show|runs|--limit|5");
}
