//! Which names bronze columns can have, and what becomes of the others. Called by the readers of every format.

use arrow::datatypes::{Field, Schema};
use hashbrown::{HashMap, HashSet};

/// Columns that the bronze step adds itself.
const OWN: [&str; 6] = ["_event_id", "_object", "_position", "_received_at", "_run_id", "_rescued"];
/// More columns than this in one object are refused.
pub(super) const COLUMNS_LIMIT: usize = 10_000;
const NAME_LIMIT_BYTES: usize = 255;

/// The fields of `discovered` to add to a table that has `existing`: those whose name, ignoring case (as Delta does), is
/// not there yet. A field left out here that `existing` does not have either is rescued by the decoder.
pub fn new_columns(existing: &Schema, discovered: &[Field]) -> Vec<Field> {
    let mut taken: HashSet<String> = existing.fields().iter().map(|f| f.name().to_lowercase()).collect();
    let fresh = |f: &&Field| holdable(f.name()) && taken.insert(f.name().to_lowercase());
    discovered.iter().filter(fresh).cloned().collect()
}

/// Whether a column may have exactly this name.
pub fn holdable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_LIMIT_BYTES
        && !name.contains(char::is_control)
        && !OWN.contains(&name.to_lowercase().as_str())
}

/// The one of `columns` that is the name but for the case of letters.
pub fn in_other_letters<'c>(name: &str, columns: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let lower = name.to_lowercase();
    let mut columns = columns;
    columns.find(|c| *c != name && c.to_lowercase() == lower)
}

/// At most 255 bytes of a name.
pub(super) fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_LIMIT_BYTES)]
}

/// A holdable name for each name of an object, all different ignoring case; and the changes, received name first.
pub(super) fn unique(received: Vec<String>) -> (Vec<String>, Vec<(String, String)>) {
    let mut taken: HashSet<String> = OWN.iter().map(|n| (*n).to_owned()).collect();
    let mut next_suffix: HashMap<String, usize> = HashMap::new();
    let mut renamed = Vec::new();
    let mut names = Vec::with_capacity(received.len());
    for (index, name) in received.into_iter().enumerate() {
        let clean = clean(&name, index);
        let mut free = clean.clone();
        if !taken.insert(clean.to_lowercase()) {
            let suffix = next_suffix.entry(clean.to_lowercase()).or_insert(2);
            free = loop {
                let candidate = format!("{clean}_{suffix}");
                *suffix += 1;
                if taken.insert(candidate.to_lowercase()) {
                    break candidate;
                }
            };
        }
        if free != name {
            renamed.push((cut(&name).to_owned(), free.clone()));
        }
        names.push(free);
    }
    (names, renamed)
}

fn clean(name: &str, index: usize) -> String {
    if name.is_empty() {
        return format!("column_{}", index + 1);
    }
    // Room for a suffix.
    let name =
        if name.len() > NAME_LIMIT_BYTES { &name[..name.floor_char_boundary(NAME_LIMIT_BYTES - 8)] } else { name };
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;

    fn names(given: &[&str]) -> Vec<String> {
        unique(given.iter().map(|s| (*s).to_owned()).collect()).0
    }

    #[test]
    fn keeps_good_names_as_they_are() {
        assert_eq!(names(&["Order ID", "größe", "a.b"]), ["Order ID", "größe", "a.b"]);
    }

    #[test]
    fn renames_what_cannot_be_held() {
        assert_eq!(
            names(&["a", "a", "", "A", "a_2", "x\ny", "_Position"]),
            ["a", "a_2", "column_3", "A_3", "a_2_2", "x_y", "_Position_2"]
        );
        let (long, renamed) = unique(vec!["ü".repeat(400), "ü".repeat(401)]);
        assert!(long.iter().all(|n| holdable(n)) && long[0] != long[1] && renamed.len() == 2);
    }

    #[test]
    fn many_equal_names_take_little_time() {
        assert_eq!(names(&vec!["a"; COLUMNS_LIMIT])[COLUMNS_LIMIT - 1], format!("a_{COLUMNS_LIMIT}"));
    }

    #[test]
    fn adds_only_columns_new_ignoring_case() {
        let field = |n: &str| Field::new(n, DataType::Utf8, true);
        let existing = Schema::new(vec![field("a"), field("_run_id")]);
        let new = new_columns(&existing, &[field("A"), field("b"), field("B"), field("_RUN_ID")]);
        assert_eq!(new, [field("b")]);
    }
}
