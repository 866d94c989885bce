//! The type of a column, and what speaks for it.

use super::{
    FORMATS,
    facts::{ColumnFacts, Misses},
    names::tokens,
    personal,
    yaml::shown,
};
use crate::ColumnType;
use alluvium_model::grouped;

/// Words in the names of columns that hold money, whose digits behind the point are exact.
const MONEY: [&str; 14] = [
    "amount", "price", "cost", "total", "fee", "tax", "revenue", "balance", "salary", "discount", "payment", "paid",
    "refund", "net",
];
/// Stands for a value that is likely a person's, and so in no text.
const UNTOLD: &str = "another value";
const DATE_WORDS: [&str; 6] = ["date", "day", "dt", "dob", "born", "birthday"];

#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub kind: ColumnType,
    /// The form in which dates or times are written, if it is not ISO 8601.
    pub parse: Option<&'static str>,
    /// Sentences without their full stop.
    pub why: Vec<String>,
}

impl Typed {
    fn new(kind: ColumnType, why: String) -> Self {
        Self { kind, parse: None, why: vec![why] }
    }
}

pub(super) fn of(c: &ColumnFacts) -> Typed {
    if c.values == 0 {
        let kind = c.declared.unwrap_or(ColumnType::String);
        return Typed::new(kind, "no value was seen".to_owned());
    }
    if let Some(kind) = c.declared.filter(|k| *k != ColumnType::String) {
        return declared(c, kind);
    }
    if c.not_json.values == 0 {
        return Typed::new(ColumnType::Json, format!("{} are JSON", all(c)));
    }
    let as_text = c.declared.is_some() || c.quoted > 0;
    let number = if as_text { None } else { boolean(c).or_else(|| number(c)) };
    number.or_else(|| time(c)).unwrap_or_else(|| text(c))
}

fn all(c: &ColumnFacts) -> String {
    match c.values {
        1 => "the one value".to_owned(),
        n => format!("all {} values", grouped(n)),
    }
}

/// A type that the files gave is kept where every value has a place in a contract's type.
fn declared(c: &ColumnFacts, kind: ColumnType) -> Typed {
    let misses = match kind {
        ColumnType::Integer | ColumnType::Int32 => &c.numbers.not_integer,
        ColumnType::Number => &c.numbers.not_number,
        ColumnType::Decimal { .. } => &c.numbers.not_decimal,
        ColumnType::Date => &c.times.not_date,
        ColumnType::Timestamp => &c.times.not_timestamp,
        ColumnType::Json => &c.not_json,
        ColumnType::String | ColumnType::Boolean | ColumnType::Time => {
            return Typed::new(kind, "typed so in the files".to_owned());
        }
    };
    match &misses.example {
        None => Typed::new(kind, "typed so in the files".to_owned()),
        Some(example) => {
            let example = if personal::may_be_told(c) { shown(example) } else { UNTOLD.to_owned() };
            let why = format!("a {} in the files, but {example} is no value of that type", word(kind));
            Typed::new(ColumnType::String, why)
        }
    }
}

fn boolean(c: &ColumnFacts) -> Option<Typed> {
    let has = |words: [&str; 2]| words.iter().all(|w| c.texts.booleans.contains(w));
    let only = |words: [&str; 2]| c.texts.booleans.iter().all(|w| words.contains(w));
    // One letter alone can stand for anything.
    let told = only(["true", "false"]) || [["yes", "no"], ["t", "f"]].into_iter().any(|w| only(w) && has(w));
    (c.texts.not_boolean == 0 && told).then(|| {
        if !personal::may_be_told(c) {
            return Typed::new(ColumnType::Boolean, format!("{} are true or false", all(c)));
        }
        let words: Vec<String> = c.texts.booleans.iter().map(|w| shown(w)).collect();
        Typed::new(ColumnType::Boolean, format!("{} are {}", all(c), words.join(" or ")))
    })
}

fn number(c: &ColumnFacts) -> Option<Typed> {
    let n = &c.numbers;
    if n.codes.values > 0 {
        return None;
    }
    let told = span(c).map_or_else(String::new, |s| format!(", {s}"));
    if n.not_integer.values == 0 {
        let integers = || Typed::new(ColumnType::Integer, format!("{} are integers{told}", all(c)));
        return Some(compact_date(c).unwrap_or_else(integers));
    }
    if n.not_decimal.values == 0 {
        let (fewest, most) = n.fraction_digits.unwrap_or_default();
        if most == 0 {
            let kind = decimal(n.whole_digits, 0)?;
            return Some(Typed::new(kind, format!("{} are integers, some beyond 64 bits", all(c))));
        }
        let money = tokens(&c.name).iter().any(|t| MONEY.contains(&t.as_str())) && most <= 4;
        let cents = (fewest, most) == (2, 2);
        if money || cents || n.inexact > 0 {
            let digits = if most == 1 { "1 digit".to_owned() } else { format!("{most} digits") };
            let mut why = format!("{} are decimals with at most {digits} behind the point{told}", all(c));
            if n.inexact > 0 {
                why.push_str(", which 64-bit floats would round");
            }
            return Some(Typed::new(decimal(n.whole_digits, most)?, why));
        }
    }
    (n.not_number.values == 0 && n.inexact == 0)
        .then(|| Typed::new(ColumnType::Number, format!("{} are numbers{told}", all(c))))
}

/// Eight digits that are a day of our times, in a column that is named as one.
fn compact_date(c: &ColumnFacts) -> Option<Typed> {
    let n = &c.numbers;
    let place = FORMATS.iter().position(|(f, _)| *f == "%Y%m%d")?;
    let ours = n.least.is_some_and(|l| l >= 19_000_101.0) && n.most.is_some_and(|m| m <= 21_001_231.0);
    let named = tokens(&c.name).iter().any(|t| DATE_WORDS.contains(&t.as_str()));
    (ours && named && c.times.formats.contains(&place)).then(|| parsed(c, place))
}

fn parsed(c: &ColumnFacts, place: usize) -> Typed {
    let (format, kind) = FORMATS[place];
    let what = match kind {
        ColumnType::Date => "dates",
        ColumnType::Time => "times of day",
        _ => "times",
    };
    let why = format!("{} are {what} written {}", all(c), shown(format));
    Typed { kind, parse: Some(format), why: vec![why] }
}

fn time(c: &ColumnFacts) -> Option<Typed> {
    let t = &c.times;
    let told = match (&t.first, &t.last) {
        _ if !personal::may_be_told(c) => String::new(),
        (Some(first), Some(last)) if first != last => format!(", {first} to {last}"),
        (Some(first), _) => format!(", on {first}"),
        _ => String::new(),
    };
    if t.not_date.values == 0 {
        return Some(Typed::new(ColumnType::Date, format!("{} are dates{told}", all(c))));
    }
    if t.not_timestamp.values == 0 {
        return Some(Typed::new(ColumnType::Timestamp, format!("{} are times{told}", all(c))));
    }
    if t.not_time.values == 0 {
        return Some(Typed::new(ColumnType::Time, format!("{} are times of day", all(c))));
    }
    let number = FORMATS.iter().position(|(f, _)| *f == "%Y%m%d");
    let mut formats = t.formats.iter().filter(|f| Some(**f) != number);
    match (formats.next(), formats.next()) {
        (Some(one), None) => Some(parsed(c, *one)),
        (Some(one), Some(two)) => {
            let why = format!(
                "{} are dates, written {} or {}: files do not tell which, so `parse` in the dataset has to",
                all(c),
                shown(FORMATS[*one].0),
                shown(FORMATS[*two].0)
            );
            Some(Typed::new(ColumnType::String, why))
        }
        _ => None,
    }
}

/// Text, and what it nearly is.
fn text(c: &ColumnFacts) -> Typed {
    let mut why = match c.different() {
        Some(1) if !personal::may_be_told(c) => format!("{} are the same", all(c)),
        Some(1) => format!("{} are {}", all(c), first(c)),
        Some(n) => format!("{} different values in {}", grouped(n), grouped(c.values)),
        None => format!("text, up to {} characters", grouped(c.longest)),
    };
    if c.quoted > 0 {
        why.push_str("; the source writes as text what could be numbers");
    }
    let mut out = Typed::new(ColumnType::String, why);
    if let Some(example) = c.numbers.codes.example.as_deref().filter(|_| c.numbers.not_number.values == 0) {
        let told = if personal::may_be_told(c) { format!("as in {}, ", shown(example)) } else { String::new() };
        out.why.push(format!("{told}it is a code and no number"));
    }
    out.why.extend(nearly(c));
    out
}

fn first(c: &ColumnFacts) -> String {
    match &c.known {
        super::Known::All(values) => values.keys().next().map(|v| shown(v)).unwrap_or_default(),
        super::Known::Many => String::new(),
    }
}

/// A type that most values have, and a value that does not.
fn nearly(c: &ColumnFacts) -> Option<String> {
    if c.declared.is_some() || c.numbers.codes.values > 0 {
        return None;
    }
    let few = |m: &Misses| m.values > 0 && m.values <= c.values / 10;
    let types = [
        ("integers", &c.numbers.not_integer),
        ("numbers", &c.numbers.not_number),
        ("dates", &c.times.not_date),
        ("times", &c.times.not_timestamp),
    ];
    let (what, misses) = types.into_iter().find(|(_, m)| few(m))?;
    let example = misses.example.as_deref()?;
    let example = if personal::may_be_told(c) { shown(example) } else { UNTOLD.to_owned() };
    Some(format!("{} of {} are {what}, but not {example}", grouped(c.values - misses.values), grouped(c.values)))
}

fn span(c: &ColumnFacts) -> Option<String> {
    if !personal::may_be_told(c) {
        return None;
    }
    let (least, most) = c.numbers.least.zip(c.numbers.most)?;
    let short = |x: f64| if x.abs() < 1e16 { x.to_string() } else { format!("{x:e}") };
    Some(if least == most {
        format!("always {}", short(least))
    } else {
        format!("{} to {}", short(least), short(most))
    })
}

/// Room for numbers a thousand times as large, in a width that databases store well.
fn decimal(whole_digits: u32, scale: u32) -> Option<ColumnType> {
    let needed = whole_digits + scale;
    let precision = if needed + 3 <= 18 { 18 } else { 38 };
    let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
    (needed <= 38).then_some(ColumnType::Decimal { precision, scale })
}

pub(super) fn word(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::String => "string",
        ColumnType::Integer | ColumnType::Int32 => "integer",
        ColumnType::Number | ColumnType::Decimal { .. } => "number",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Time => "time",
        ColumnType::Json => "object",
    }
}

pub(super) fn physical(kind: ColumnType) -> String {
    match kind {
        ColumnType::String => "string".to_owned(),
        ColumnType::Integer => "bigint".to_owned(),
        ColumnType::Int32 => "int".to_owned(),
        ColumnType::Number => "double".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Time => "time".to_owned(),
        ColumnType::Json => "json".to_owned(),
    }
}
