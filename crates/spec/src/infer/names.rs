//! What a name says, and which name a column of a contract can have.

use std::collections::BTreeSet;

const RESERVED: [&str; 6] = ["_event_id", "_object", "_position", "_received_at", "_run_id", "_rescued"];
const NO_NAME: &str = " ,;{}()=\"`";

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
    let mut out = Vec::new();
    for (at, name) in names.enumerate() {
        let wanted = if fits(name) { name.to_owned() } else { made(name, at) };
        let mut free = wanted.clone();
        let mut number = 2;
        while !taken.insert(free.to_lowercase()) {
            free = format!("{wanted}_{number}");
            number += 1;
        }
        out.push(free);
    }
    out
}

fn fits(name: &str) -> bool {
    !name.trim().is_empty()
        && name.len() <= 255
        && !name.contains(|c: char| c.is_control() || NO_NAME.contains(c))
        && !RESERVED.contains(&name.to_lowercase().as_str())
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
}
