//! One column: its values are counted while they are few, and looked at once each; of more, each is looked at as it comes.

use super::{form, json::Inside, shape::Shape};
use crate::refine::{Format, is_time, parse_date, parse_decimal_parts, parse_integer, parse_number, parse_timestamp};
use alluvium_spec::{
    ColumnType,
    infer::{ColumnFacts, FORMATS, Known, Misses, NULL_WORDS},
};
use hashbrown::HashMap;
use serde_json::Value;
use std::collections::BTreeMap;

/// More different values than this are not kept.
const MOST_KNOWN: usize = 1_000;
/// Of the values kept for all columns together.
const KNOWN_BYTES: usize = 64 << 20;
const LEAST_KNOWN_BYTES: usize = 4 << 10;
/// Examples are cut.
const EXAMPLE_CHARS: usize = 60;
/// Longer texts are no dates.
const LONGEST_DATE: usize = 40;
/// More digits than a 64-bit float is sure to keep.
const EXACT_DIGITS: u32 = 15;

const BOOLEANS: [&str; 6] = ["true", "false", "t", "f", "yes", "no"];

pub(super) struct Column {
    facts: ColumnFacts,
    /// Values that are not looked at yet, and how often they came.
    kept: HashMap<String, u64>,
    kept_bytes: usize,
    most_bytes: usize,
    many: bool,
    formats: Vec<(usize, Format)>,
    shape: Shape,
    inside: Inside,
}

impl Column {
    /// One of so many columns.
    pub fn new(name: String, of: usize) -> Self {
        let formats = FORMATS.iter().enumerate();
        let formats = formats.filter_map(|(i, (text, kind))| Some((i, Format::new(text, *kind)?)));
        Self {
            facts: ColumnFacts { name, ..ColumnFacts::default() },
            kept: HashMap::new(),
            kept_bytes: 0,
            most_bytes: (KNOWN_BYTES / of.max(1)).max(LEAST_KNOWN_BYTES),
            many: false,
            formats: formats.collect(),
            shape: Shape::default(),
            inside: Inside::default(),
        }
    }

    pub fn nulls(&mut self, n: u64) {
        self.facts.nulls += n;
    }

    pub fn quoted(&mut self, n: u64) {
        self.facts.quoted += n;
    }

    /// Gives the value, without the white space around it; `None`: it is a word for no value. `typed`: no text of the source is
    /// behind it, so that no word is one.
    pub fn add<'t>(&mut self, text: &'t str, typed: bool) -> Option<&'t str> {
        let value = text.trim();
        self.facts.padded += u64::from(value.len() != text.len());
        if !typed && NULL_WORDS.contains(&value) {
            match self.facts.words.get_mut(value) {
                Some(n) => *n += 1,
                None => _ = self.facts.words.insert(value.to_owned(), 1),
            }
            return None;
        }
        self.facts.values += 1;
        if self.many {
            self.observe(value, 1);
            return Some(value);
        }
        if let Some(n) = self.kept.get_mut(value) {
            *n += 1;
            return Some(value);
        }
        self.kept_bytes += value.len();
        self.kept.insert(value.to_owned(), 1);
        if self.kept.len() > MOST_KNOWN || self.kept_bytes > self.most_bytes {
            self.many = true;
            let kept = std::mem::take(&mut self.kept);
            kept.into_iter().for_each(|(value, n)| self.observe(&value, n));
        }
        Some(value)
    }

    pub fn finish(mut self, declared: Option<ColumnType>) -> ColumnFacts {
        let kept = std::mem::take(&mut self.kept);
        kept.iter().for_each(|(value, n)| self.observe(value, *n));
        self.facts.declared = declared;
        self.facts.known = match self.many {
            true => Known::Many,
            false => Known::All(kept.into_iter().collect::<BTreeMap<_, _>>()),
        };
        self.facts.times.formats = self.formats.iter().map(|(i, _)| *i).collect();
        self.facts.texts.shape = self.shape.pattern();
        self.facts
    }

    /// A value that came `n` times. The order in which values come makes no difference.
    fn observe(&mut self, value: &str, n: u64) {
        self.facts.longest = self.facts.longest.max(value.chars().count() as u64);
        self.numbers(value, n);
        self.times(value, n);
        self.texts(value, n);
        self.json(value, n);
    }

    fn numbers(&mut self, value: &str, n: u64) {
        let (of, bytes) = (&mut self.facts.numbers, value.as_bytes());
        // Most texts are no numbers, and that is told by how they begin.
        if !matches!(bytes.first(), Some(b'0'..=b'9' | b'+' | b'-' | b'.')) {
            [&mut of.not_integer, &mut of.not_decimal, &mut of.not_number].into_iter().for_each(|m| miss(m, value, n));
            return;
        }
        let (integer, decimal, number) = (parse_integer(bytes), parse_decimal_parts(bytes), parse_number(bytes));
        for (misses, reads) in [
            (&mut of.not_integer, integer.is_some()),
            (&mut of.not_decimal, decimal.is_some()),
            (&mut of.not_number, number.is_some()),
        ] {
            if !reads {
                miss(misses, value, n);
            }
        }
        let digits = value.strip_prefix('-').unwrap_or(value);
        let led = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        if led || digits.starts_with('+') {
            miss(&mut of.codes, value, n);
        }
        if let Some((_, fraction)) = decimal {
            let point = value.find('.').unwrap_or(value.len());
            let whole = value[..point].bytes().filter(u8::is_ascii_digit).count();
            of.whole_digits = of.whole_digits.max(u32::try_from(whole).unwrap_or(u32::MAX));
            let (least, most) = of.fraction_digits.unwrap_or((fraction, fraction));
            of.fraction_digits = Some((least.min(fraction), most.max(fraction)));
        }
        if let Some(x) = number {
            of.least = Some(of.least.map_or(x, |l| l.min(x)));
            of.most = Some(of.most.map_or(x, |m| m.max(x)));
            of.inexact += if exact(value, x) { 0 } else { n };
        }
    }

    fn times(&mut self, value: &str, n: u64) {
        let (of, bytes) = (&mut self.facts.times, value.as_bytes());
        let dated = bytes.len() <= LONGEST_DATE && bytes.iter().any(u8::is_ascii_digit);
        let (date, timestamp) = if dated { (parse_date(bytes), parse_timestamp(bytes)) } else { (None, None) };
        let time = dated && is_time(bytes);
        for (misses, reads) in
            [(&mut of.not_date, date.is_some()), (&mut of.not_timestamp, timestamp.is_some()), (&mut of.not_time, time)]
        {
            if !reads {
                miss(misses, value, n);
            }
        }
        if timestamp.is_some() {
            // It starts with its day, as text of fixed length.
            let day = &value[..10];
            if of.first.as_deref().is_none_or(|f| day < f) {
                of.first = Some(day.to_owned());
            }
            if of.last.as_deref().is_none_or(|l| day > l) {
                of.last = Some(day.to_owned());
            }
        }
        self.formats.retain(|(i, format)| dated && format.reads(bytes, FORMATS[*i].1));
    }

    fn texts(&mut self, value: &str, n: u64) {
        let of = &mut self.facts.texts;
        match BOOLEANS.iter().find(|w| w.eq_ignore_ascii_case(value)) {
            Some(word) => _ = of.booleans.insert(word),
            None => of.not_boolean += n,
        }
        for (hits, is) in [
            (&mut of.emails, form::is_email as fn(&str) -> bool),
            (&mut of.uuids, form::is_uuid),
            (&mut of.addresses, form::is_address),
            (&mut of.urls, form::is_url),
            (&mut of.phones, form::is_phone),
            (&mut of.ibans, form::is_iban),
            (&mut of.cards, form::is_card),
        ] {
            *hits += if is(value) { n } else { 0 };
        }
        self.shape.observe(value);
    }

    fn json(&mut self, value: &str, n: u64) {
        let container = value.starts_with(['{', '[']);
        match container.then(|| serde_json::from_str::<Value>(value)) {
            Some(Ok(json)) if self.facts.not_json.values == 0 => {
                self.inside.observe(&mut self.facts.nested, &json, n);
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => miss(&mut self.facts.not_json, value, n),
        }
    }
}

/// The least value that misses is the example, whatever the order.
fn miss(of: &mut Misses, value: &str, n: u64) {
    of.values += n;
    if of.example.as_deref().is_none_or(|e| value < e) {
        of.example = Some(value.chars().take(EXAMPLE_CHARS).collect());
    }
}

/// Whether the number has the digits of the text.
fn exact(text: &str, x: f64) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits <= EXACT_DIGITS as usize || text.contains(['e', 'E']) {
        return true;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    let plain = if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.') } else { plain };
    format!("{x}") == plain
}
