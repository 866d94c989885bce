//! What JSON values hold inside.

use super::form;
use alluvium_spec::infer::NestedFacts;
use serde_json::Value;

const MOST_FIELDS: usize = 500;
const MOST_LEVELS: usize = 6;

/// Counts the parts that are kept of one column, so that documents with ever new keys stay small.
#[derive(Debug, Default)]
pub(super) struct Inside {
    fields: usize,
}

impl Inside {
    pub fn observe(&mut self, facts: &mut NestedFacts, value: &Value, records: u64) {
        self.at(facts, value, records, 0);
    }

    fn at(&mut self, facts: &mut NestedFacts, value: &Value, n: u64, level: usize) {
        match value {
            Value::Null => {}
            Value::Bool(_) => facts.booleans += n,
            Value::Number(number) if number.is_f64() => facts.numbers += n,
            Value::Number(_) => facts.integers += n,
            Value::String(_) => facts.strings += n,
            Value::Array(items) => {
                facts.arrays += n;
                if level < MOST_LEVELS {
                    let inner = facts.item.get_or_insert_default();
                    items.iter().for_each(|i| self.at(inner, i, n, level + 1));
                }
            }
            Value::Object(fields) => {
                facts.objects += n;
                facts.keyed += if fields.keys().any(|name| form::is_value(name)) { n } else { 0 };
                let names = fields.iter().filter(|(name, _)| level < MOST_LEVELS && !form::is_value(name));
                for (name, value) in names {
                    if !facts.fields.contains_key(name) {
                        if self.fields >= MOST_FIELDS {
                            continue;
                        }
                        self.fields += 1;
                    }
                    self.at(facts.fields.entry(name.clone()).or_default(), value, n, level + 1);
                }
            }
        }
    }
}
