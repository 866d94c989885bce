//! One column of the proposal: its rules, and its lines in the contract.

use super::{
    facts::{ColumnFacts, Known},
    kind::{self, Typed},
    nested, personal,
    range::{self, Bounds},
    yaml::{list, scalar, shown},
};
use crate::ColumnType;
use alluvium_model::grouped;
use std::{collections::BTreeMap, fmt::Write};

/// Fewer values say nothing about those that are still to come.
const ENOUGH: u64 = 20;
/// A list of known values is short, and each of them comes often.
const MOST_KNOWN: usize = 25;
const OFTEN: u64 = 10;
const LONGEST_KNOWN: u64 = 60;
const ENOUGH_OF_A_FORM: u64 = 3;

/// What is proposed of a column, before the key is known.
pub(super) struct Plan<'a> {
    pub facts: &'a ColumnFacts,
    /// In the contract.
    pub name: String,
    pub typed: Typed,
    /// Words that stand for no value, and those that are values.
    pub null_words: Vec<&'a str>,
    pub real_words: Vec<(&'a str, u64)>,
    pub required: bool,
}

/// Rules that did not hold when they were tried, by their ids, with how many records broke them.
pub(super) type Refused = BTreeMap<String, u64>;

pub(super) struct Rules {
    classification: Option<String>,
    bounds: Option<Bounds>,
    /// Name and why.
    format: Option<(&'static str, &'static str)>,
    pattern: Option<String>,
    known: Option<Vec<String>>,
}

impl Rules {
    pub fn is_personal(&self) -> bool {
        self.classification.is_some()
    }
}

impl Plan<'_> {
    pub fn rules(&self, alone_in_key: bool, refused: &Refused) -> Rules {
        let holds = |rule: &str| !refused.contains_key(&format!("{rule}:{}", self.name));
        let (c, text) = (self.facts, self.typed.kind == ColumnType::String);
        let classification = personal::evidence(c);
        let grows = alone_in_key || named_as_number(&c.name);
        // Of persons, a bound would tell of the first or the last.
        let told = personal::may_be_told(c);
        let bounds = range::of(c, &self.typed, grows).filter(|_| told && holds("range"));
        let plain = text && self.real_words.is_empty();
        let format = if plain { format(c).filter(|_| holds("format")) } else { None };
        let free = text && told && format.is_none();
        let known = if free && !alone_in_key && c.refers.is_none() { self.known() } else { None };
        let many = c.different().is_none_or(|n| n >= ENOUGH);
        let shape = c.texts.shape.clone().filter(|_| plain && many && format.is_none() && known.is_none());
        Rules { classification, bounds, format, pattern: shape.filter(|_| holds("pattern")), known }
    }

    fn known(&self) -> Option<Vec<String>> {
        let Known::All(values) = &self.facts.known else { return None };
        let mut all: Vec<String> = values.keys().cloned().collect();
        all.extend(self.real_words.iter().map(|(w, _)| (*w).to_owned()));
        all.sort();
        let total = self.facts.values + self.real_words.iter().map(|(_, n)| n).sum::<u64>();
        let often = total >= ENOUGH && total >= OFTEN * all.len() as u64;
        let short = self.facts.longest <= LONGEST_KNOWN;
        (often && short && (2..=MOST_KNOWN).contains(&all.len())).then_some(all)
    }

    /// The lines of the property, with what speaks for it above.
    pub fn write(&self, rules: &Rules, key: &[usize], place: usize, out: &mut String) {
        for sentence in self.evidence(rules, key, place) {
            let mut letters = sentence.chars();
            let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            let _ = writeln!(out, "      # {first}{}.", letters.as_str());
        }
        let kind = self.typed.kind;
        let logical = if kind == ColumnType::Json { nested::logical(&self.facts.nested) } else { kind::word(kind) };
        let _ = writeln!(out, "      - name: {}", scalar(&self.name));
        let mut line = |text: String| {
            let _ = writeln!(out, "        {text}");
        };
        line(format!("logicalType: {logical}"));
        line(format!("physicalType: {}", kind::physical(kind)));
        if self.required {
            line("required: true".to_owned());
        }
        if let Some(at) = key.iter().position(|k| *k == place) {
            line(format!("primaryKey: true\n        primaryKeyPosition: {}", at + 1));
        }
        if rules.classification.is_some() {
            line("classification: personal".to_owned());
        }
        if let Some(options) = options(rules, kind) {
            line(format!("logicalTypeOptions: {{ {options} }}"));
        }
        if let Some(to) = &self.facts.refers {
            line(format!("relationships:\n          - to: {}.{}", to.dataset, to.column));
            line("    customProperties: [{ property: alluvium.action, value: warn }]".to_owned());
        }
        if let Some(known) = &rules.known {
            line(format!("quality:\n          - id: {}", scalar(&format!("{}_known", self.name))));
            line("    metric: invalidValues".to_owned());
            line(format!("    arguments: {{ validValues: {} }}", list(known.iter().map(String::as_str))));
            line("    mustBe: 0\n            severity: warning".to_owned());
        }
        if kind == ColumnType::Json {
            nested::write(&self.facts.nested, 8, out);
        }
    }

    pub fn evidence(&self, rules: &Rules, key: &[usize], place: usize) -> Vec<String> {
        let c = self.facts;
        let mut out = self.typed.why.clone();
        let absent = c.nulls + self.null_words.iter().filter_map(|w| c.words.get(*w)).sum::<u64>();
        if absent > 0 && c.values > 0 {
            let (words, nulls) = (self.null_words.iter().filter(|w| !w.is_empty()), c.nulls > 0);
            let words: Vec<String> = words.map(|w| shown(w)).collect();
            let written = match (words.is_empty(), nulls) {
                (true, _) => String::new(),
                (false, true) => format!(", some of them written {}", words.join(" or ")),
                (false, false) => format!(", written {}", words.join(" or ")),
            };
            let have = if absent == 1 { "has" } else { "have" };
            out.push(format!("{} {have} none{written}", records(absent)));
        }
        if !c.spellings.is_empty() {
            let other: Vec<String> = c.spellings.iter().map(|s| shown(s)).collect();
            let other = other.join(", ");
            out.push(format!(
                "some files call it {other}: bronze puts that aside, unless it says `drift: {{ recased: evolve }}`"
            ));
        }
        if let [one] = key
            && *one == place
        {
            out.push("no two records have the same".to_owned());
        }
        out.extend(rules.classification.clone());
        if let Some((_, why)) = rules.format {
            out.push(format!("all are {why}"));
        }
        out.extend(rules.pattern.as_ref().map(|_| "all are built alike".to_owned()));
        out.extend(rules.bounds.as_ref().map(|b| b.why.clone()));
        if let Some(to) = &c.refers {
            let (found, keys) = (grouped(to.found), grouped(to.keys));
            out.push(format!(
                "likely a reference: its {found} different values are among the {keys} of {}.{}",
                to.dataset, to.column
            ));
        }
        out.extend(
            rules.known.as_ref().map(|_| "few values that come often; another one is told and goes on".to_owned()),
        );
        if !self.real_words.is_empty() {
            let words: Vec<String> =
                self.real_words.iter().map(|(w, n)| format!("{} in {}", shown(w), records(*n))).collect();
            out.push(format!("{} could mean that there is no value; it is kept as text", words.join(" and ")));
        }
        out
    }
}

fn records(n: u64) -> String {
    if n == 1 { "1 record".to_owned() } else { format!("{} records", grouped(n)) }
}

fn options(rules: &Rules, kind: ColumnType) -> Option<String> {
    if let Some(b) = &rules.bounds {
        let written = |text: &String| match kind {
            ColumnType::Date | ColumnType::Timestamp => scalar(text),
            _ => text.clone(),
        };
        let least = b.least.as_ref().map(|l| format!("minimum: {}", written(l)));
        let most = b.most.as_ref().map(|m| format!("maximum: {}", written(m)));
        return Some(least.into_iter().chain(most).collect::<Vec<_>>().join(", "));
    }
    let format = rules.format.map(|(name, _)| format!("format: {name}"));
    format.or_else(|| rules.pattern.as_ref().map(|p| format!("pattern: {}", scalar(p))))
}

fn format(c: &ColumnFacts) -> Option<(&'static str, &'static str)> {
    let t = &c.texts;
    let forms = [
        (t.emails, "email", "e-mail addresses"),
        (t.uuids, "uuid", "UUIDs"),
        (t.addresses, "ipv4", "IP addresses"),
        (t.urls, "uri", "URLs"),
    ];
    let found = forms.into_iter().find(|(n, ..)| *n == c.values && *n >= ENOUGH_OF_A_FORM);
    found.map(|(_, name, why)| (name, why))
}

fn named_as_number(name: &str) -> bool {
    super::names::tokens(name).last().is_some_and(|t| matches!(t.as_str(), "id" | "key" | "number" | "no" | "nr"))
}
