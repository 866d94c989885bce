//! One value against a compiled schema.

use super::{
    super::node::{Type, type_of},
    equal::{all_differ, same},
    keyword::{At, Keyword, Validator},
};
use crate::{decimal::is_multiple, diagnostic::quoted};
use serde_json::{Map, Number, Value};
use std::{cmp::Ordering, collections::BTreeSet};

/// Schemas applied to one event; alternatives of alternatives multiply.
const MOST_STEPS: usize = 1_000_000;
/// Schemas within schemas: a reference may lead back to where it stands.
const MOST_DEPTH: usize = 300;
/// Breaches that are told.
const MOST_TOLD: usize = 5;

/// What of a value breaks which keyword. It holds no values of the data, and names that are in it shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// As a JSON pointer; empty: the value as a whole.
    pub at: String,
    pub keyword: &'static str,
    pub what: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{} ", quoted(&self.at.escape_debug().to_string()))?;
        }
        write!(f, "{} (`{}`)", self.what, self.keyword)
    }
}

impl Validator {
    /// The first breaches of a value; none: it is valid.
    pub fn breaches(&self, value: &Value) -> Vec<Breach> {
        let mut check = Check { validator: self, steps: 0, told: Vec::new(), quiet: 0, path: Vec::new(), ended: false };
        let valid = check.schema(0, value).is_some();
        debug_assert_eq!(valid, check.told.is_empty(), "what is refused is told");
        check.told
    }
}

/// What of a value some keyword looked at.
#[derive(Default)]
struct Seen {
    properties: BTreeSet<String>,
    every_property: bool,
    /// The first items.
    items: usize,
    /// Others, by `contains`.
    single: BTreeSet<usize>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.properties.extend(other.properties);
        self.every_property |= other.every_property;
        self.items = self.items.max(other.items);
        self.single.extend(other.single);
    }
}

struct Check<'a, 'v> {
    validator: &'a Validator,
    steps: usize,
    told: Vec<Breach>,
    /// Within alternatives and conditions nothing is told.
    quiet: usize,
    path: Vec<Part<'v>>,
    /// It was given up.
    ended: bool,
}

#[derive(Clone, Copy)]
enum Part<'v> {
    /// Another schema of the same value.
    Same,
    Name(&'v str),
    Place(usize),
}

impl<'a, 'v> Check<'a, 'v> {
    /// `None`: it does not hold.
    fn schema(&mut self, at: At, value: &'v Value) -> Option<Seen> {
        self.steps += 1;
        // Each level of a value and each reference is one deeper.
        if self.ended || self.steps > MOST_STEPS || self.path.len() > MOST_DEPTH {
            self.give_up();
            return None;
        }
        let validator = self.validator;
        let (mut seen, mut holds) = (Seen::default(), true);
        for keyword in &validator.schemas[at] {
            holds &= self.keyword(keyword, value, &mut seen);
            if !holds && self.is_silent() {
                return None;
            }
        }
        holds.then_some(seen)
    }

    fn give_up(&mut self) {
        if !self.ended {
            self.ended = true;
            let what = "takes too many steps to decide".to_owned();
            self.told.push(Breach { at: self.pointer(), keyword: "$ref", what });
        }
    }

    fn keyword(&mut self, keyword: &'a Keyword, value: &'v Value, seen: &mut Seen) -> bool {
        let what = match (keyword, value) {
            (Keyword::Never, _) => Err("is not allowed".to_owned()),
            (Keyword::Type(types), _) => says(types.contains(&type_of(value)), || format!("is no {}", words(types))),
            (Keyword::Values(all), _) => {
                says(all.iter().any(|known| same(known, value)), || "is none of the values that are allowed".to_owned())
            }
            (Keyword::Low(bound, open), Value::Number(n)) => {
                let ok = beside(n, *bound).is_none_or(|o| o.is_gt() || o.is_eq() && !open);
                says(ok, || format!("is not {} {}", if *open { "above" } else { "at least" }, digits(*bound)))
            }
            (Keyword::High(bound, open), Value::Number(n)) => {
                let ok = beside(n, *bound).is_none_or(|o| o.is_lt() || o.is_eq() && !open);
                says(ok, || format!("is not {} {}", if *open { "below" } else { "at most" }, digits(*bound)))
            }
            (Keyword::MultipleOf(step), Value::Number(n)) => {
                says(is_multiple(&n.to_string(), step), || format!("is no multiple of {step}"))
            }
            (Keyword::Length(count), Value::String(text)) => {
                says(count.holds(text.chars().count()), || format!("has not {} characters", count.words()))
            }
            (Keyword::Pattern(regex), Value::String(text)) => {
                says(regex.is_match(text), || format!("does not match {}", quoted(regex.as_str())))
            }
            (Keyword::PropertyCount(count), Value::Object(map)) => {
                says(count.holds(map.len()), || format!("has not {} properties", count.words()))
            }
            (Keyword::Required(names), Value::Object(map)) => {
                let missing: Vec<String> = names.iter().filter(|n| !map.contains_key(*n)).map(|n| quoted(n)).collect();
                says(missing.is_empty(), || format!("has no {}", missing.join(", ")))
            }
            (Keyword::Dependent(name, others), Value::Object(map)) => {
                let missing = others.iter().find(|o| map.contains_key(name) && !map.contains_key(*o));
                says(missing.is_none(), || {
                    format!("has {} and no {}", quoted(name), quoted(missing.map_or("", String::as_str)))
                })
            }
            (Keyword::ItemCount(count), Value::Array(all)) => {
                says(count.holds(all.len()), || format!("has not {} items", count.words()))
            }
            (Keyword::Unique, Value::Array(all)) => says(all_differ(all), || "has the same item twice".to_owned()),
            (Keyword::Contains(wanted, count), Value::Array(all)) => {
                let found: Vec<usize> = (0..all.len()).filter(|i| self.quietly(*wanted, &all[*i]).is_some()).collect();
                let holds = count.holds(found.len());
                seen.single.extend(found);
                says(holds, || format!("has not {} items as they are wanted", count.words()))
            }
            (Keyword::Any(all), _) => says(self.any(all, value, seen), || "fits none of the alternatives".to_owned()),
            (Keyword::One(all), _) => self.one(all, value, seen),
            (Keyword::Not(refused), _) => {
                says(self.quietly(*refused, value).is_none(), || "is what is not allowed".to_owned())
            }
            // What these apply tells its own breaches.
            _ => return self.applied(keyword, value, seen),
        };
        match what {
            Ok(()) => true,
            Err(what) => {
                self.tell(keyword.word(), what);
                false
            }
        }
    }

    fn applied(&mut self, keyword: &'a Keyword, value: &'v Value, seen: &mut Seen) -> bool {
        match (keyword, value) {
            (Keyword::Properties { .. } | Keyword::PropertyNames(_), Value::Object(map)) => {
                self.properties(keyword, map, seen)
            }
            (Keyword::DependentSchema(name, schema), Value::Object(map)) => {
                !map.contains_key(name) || self.into(*schema, value, seen)
            }
            (Keyword::Items { places, rest }, Value::Array(all)) => {
                seen.items = seen.items.max(if rest.is_some() { all.len() } else { places.len().min(all.len()) });
                let demand = |i: usize| places.get(i).copied().or(*rest);
                self.each(all.iter().enumerate().filter_map(|(i, v)| Some((Part::Place(i), demand(i)?, v))))
            }
            (Keyword::All(all), _) => all.iter().filter(|s| !self.into(**s, value, seen)).count() == 0,
            (Keyword::If { condition, then, or_else }, _) => {
                let met = self.quietly(*condition, value);
                let next = if met.is_some() { then } else { or_else };
                seen.add(met.unwrap_or_default());
                next.is_none_or(|schema| self.into(schema, value, seen))
            }
            (Keyword::UnevaluatedProperties(schema), Value::Object(map)) => {
                let left = map.iter().filter(|(name, _)| !seen.every_property && !seen.properties.contains(*name));
                let left: Vec<_> = left.map(|(name, v)| (Part::Name(name.as_str()), *schema, v)).collect();
                let holds = self.each(left.into_iter());
                seen.every_property = true;
                holds
            }
            (Keyword::UnevaluatedItems(schema), Value::Array(all)) => {
                let left = (seen.items..all.len()).filter(|i| !seen.single.contains(i));
                let left: Vec<_> = left.map(|i| (Part::Place(i), *schema, &all[i])).collect();
                let holds = self.each(left.into_iter());
                seen.items = all.len();
                holds
            }
            _ => true,
        }
    }

    fn properties(&mut self, keyword: &'a Keyword, map: &'v Map<String, Value>, seen: &mut Seen) -> bool {
        let mut holds = true;
        for (name, value) in map {
            let (mut schemas, tracks) = (Vec::new(), self.validator.tracks);
            match keyword {
                Keyword::Properties { named, patterns, others } => {
                    schemas.extend(named.get(name).copied());
                    schemas.extend(patterns.iter().filter(|(p, _)| p.is_match(name)).map(|(_, schema)| *schema));
                    if schemas.is_empty() {
                        schemas.extend(*others);
                    }
                    if tracks && !schemas.is_empty() {
                        seen.properties.insert(name.clone());
                    }
                }
                // The name is a value that lies nowhere else.
                Keyword::PropertyNames(schema) if !self.validator.is_valid_text(*schema, name, self.steps) => {
                    self.tell(keyword.word(), format!("has a property named {}", shown(name)));
                    holds = false;
                }
                _ => {}
            }
            holds &= self.each(schemas.into_iter().map(|schema| (Part::Name(name.as_str()), schema, value)));
            if !holds && self.is_silent() {
                return false;
            }
        }
        holds
    }

    /// Each of them under its schema.
    fn each(&mut self, all: impl Iterator<Item = (Part<'v>, At, &'v Value)>) -> bool {
        let mut holds = true;
        for (part, schema, value) in all {
            self.path.push(part);
            holds &= self.schema(schema, value).is_some();
            self.path.pop();
            if !holds && self.is_silent() {
                return false;
            }
        }
        holds
    }

    /// A schema of the same value; what it looked at counts.
    fn into(&mut self, at: At, value: &'v Value, seen: &mut Seen) -> bool {
        self.path.push(Part::Same);
        let found = self.schema(at, value);
        self.path.pop();
        found.map(|more| seen.add(more)).is_some()
    }

    fn quietly(&mut self, at: At, value: &'v Value) -> Option<Seen> {
        self.quiet += 1;
        self.path.push(Part::Same);
        let found = self.schema(at, value);
        self.path.pop();
        self.quiet -= 1;
        found
    }

    fn any(&mut self, all: &[At], value: &'v Value, seen: &mut Seen) -> bool {
        let mut holds = false;
        for schema in all {
            if let Some(more) = self.quietly(*schema, value) {
                holds = true;
                seen.add(more);
                if !self.validator.tracks {
                    break;
                }
            }
        }
        holds
    }

    fn one(&mut self, all: &[At], value: &'v Value, seen: &mut Seen) -> Result<(), String> {
        let mut fitting = all.iter().filter_map(|schema| self.quietly(*schema, value));
        match (fitting.next(), fitting.next().is_some()) {
            (Some(more), false) => {
                seen.add(more);
                Ok(())
            }
            (None, _) => Err("fits none of the alternatives".to_owned()),
            (Some(_), true) => Err("fits more than one of the alternatives".to_owned()),
        }
    }

    /// Whether nobody would be told of another breach.
    fn is_silent(&self) -> bool {
        self.quiet > 0 || self.told.len() >= MOST_TOLD
    }

    fn tell(&mut self, keyword: &'static str, what: String) {
        if !self.is_silent() && !self.ended {
            self.told.push(Breach { at: self.pointer(), keyword, what });
        }
    }

    fn pointer(&self) -> String {
        let part = |p: &Part<'_>| match p {
            Part::Same => String::new(),
            Part::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Part::Place(i) => format!("/{i}"),
        };
        self.path.iter().map(part).collect()
    }
}

impl Validator {
    /// `steps` that were taken count for this as well.
    fn is_valid_text(&self, at: At, text: &str, steps: usize) -> bool {
        let value = Value::from(text);
        let mut check = Check { validator: self, steps, told: Vec::new(), quiet: 1, path: Vec::new(), ended: false };
        check.schema(at, &value).is_some()
    }
}

/// Where a number lies beside a bound. Whole numbers are compared in all their digits.
fn beside(number: &Number, bound: f64) -> Option<Ordering> {
    match number.as_i128() {
        Some(whole) if is_whole(bound) => Some(whole.cmp(&(bound as i128))),
        _ => number.as_f64()?.partial_cmp(&bound),
    }
}

fn is_whole(bound: f64) -> bool {
    bound.fract() == 0.0 && bound.abs() < 1e36
}

fn digits(bound: f64) -> String {
    if is_whole(bound) { format!("{bound:.0}") } else { bound.to_string() }
}

fn says(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn shown(name: &str) -> String {
    quoted(&name.escape_debug().to_string())
}

fn words(types: &BTreeSet<Type>) -> String {
    let word = |t: &Type| match t {
        Type::Null => "null",
        Type::Boolean => "boolean",
        Type::Object => "object",
        Type::Array => "array",
        Type::String => "string",
        Type::Integer => "integer",
        Type::Fraction => "number",
    };
    let number = types.contains(&Type::Fraction);
    let named = types.iter().filter(|t| !(number && **t == Type::Integer)).map(word);
    named.collect::<Vec<_>>().join(" or ")
}
