//! What a name says, and which name a column of a contract can have.

use crate::odcs::{NO_NAME, RESERVED, can_name};
use std::collections::{BTreeMap, BTreeSet};

/// The words of a name in lower case: `customerId` and `customer_id` are both `customer`, `id`.
pub(super) fn tokens(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower) {
            out.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
    }
    out.extend((!word.is_empty()).then_some(word));
    out
}

/// Names for a contract's columns, all different but for the case of letters: those of the source wherever a table can have them.
pub(super) fn columns<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    // The last number that was put behind each: thousands of names may all become one.
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for (at, name) in names.enumerate() {
        let wanted = if fits(name) { name.to_owned() } else { made(name, at) };
        let mut free = wanted.clone();
        while !taken.insert(free.to_lowercase()) {
            let number = numbers.entry(wanted.to_lowercase()).or_insert(1);
            *number += 1;
            free = format!("{wanted}_{number}");
        }
        out.push(free);
    }
    out
}

fn fits(name: &str) -> bool {
    !name.trim().is_empty() && can_name(name) && !RESERVED.contains(&name.to_lowercase().as_str())
}

fn made(name: &str, at: usize) -> String {
    let mut out = String::new();
    for c in name.chars().take(200).filter(|c| !c.is_control()) {
        match NO_NAME.contains(c) {
            true if out.is_empty() || out.ends_with('_') => {}
            true => out.push('_'),
            false => out.push(c),
        }
    }
    let mut end = out.trim_matches('_').to_lowercase();
    end.truncate(end.floor_char_boundary(200));
    if end.is_empty() || !fits(&end) { format!("column_{}", at + 1) } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_its_words() {
        assert_eq!(tokens("customerId"), ["customer", "id"]);
        assert_eq!(tokens("Customer ID"), ["customer", "id"]);
        assert_eq!(tokens("e-mail"), ["e", "mail"]);
        assert_eq!(tokens("__"), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_no_table_can_have_is_made_anew() {
        let names = ["id", "First Name", "first_name", " ", "_object", "a=b;c", "Ünï"];
        let made = columns(names.into_iter());
        assert_eq!(made, ["id", "first_name", "first_name_2", "column_4", "object", "a_b_c", "Ünï"]);
    }

    /// As many as a file can have columns. This took minutes when each tried all numbers from the beginning.
    #[test]
    fn very_many_names_that_become_one_are_numbered() {
        let made = columns(std::iter::repeat_n("a b", 10_000));
        assert_eq!((made[0].as_str(), made[9_999].as_str()), ("a_b", "a_b_10000"));
        assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), made.len());
        assert_eq!(columns(["a b", "a;b", "a_b_2", "A_b"].into_iter()), ["a_b", "a_b_2", "a_b_2_2", "A_b_3"]);
    }
}
