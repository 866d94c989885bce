//! The right name nearest to a wrong one, for the help of a diagnostic.

/// Longer texts are no misspelt names, and comparing them would take time.
const MOST_CHARS: usize = 80;

/// The known name that `wrong` most probably means, if one is near.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.is_empty() || wrong.chars().nth(MOST_CHARS).is_some() {
        return None;
    }
    let lower = wrong.to_lowercase();
    let allowed = (wrong.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|k| k.len() <= 2 * MOST_CHARS)
        .filter_map(|k| distance(&lower, k, allowed).map(|d| (d, k)))
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)))
        .map(|(_, k)| k)
}

/// Editing steps; a name that only lacks its layer or a prefix (`flights` for `silver.flights`) counts as near.
fn distance(lower: &str, known: &str, allowed: usize) -> Option<usize> {
    let k = known.to_lowercase();
    let bare = k.rsplit('.').next().unwrap_or(&k);
    let whole = strsim::damerau_levenshtein(lower, &k);
    let part = if bare.len() == k.len() { whole } else { strsim::damerau_levenshtein(lower, bare) + 1 };
    let steps = whole.min(part);
    (steps <= allowed).then_some(steps)
}

/// `did you mean …?`, or the whole list when it is short, or nothing.
pub(crate) fn help<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(k) = nearest(wrong, known.clone()) {
        return Some(format!("did you mean `{k}`?"));
    }
    let all: Vec<&str> = known.into_iter().take(31).collect();
    (!all.is_empty() && all.len() <= 30).then(|| format!("known here: {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_find_the_right_one() {
        assert_eq!(nearest("trmi", ["upper", "trim", "lower"]), Some("trim"));
        assert_eq!(nearest("flights", ["silver.flights", "silver.planes"]), Some("silver.flights"));
        assert_eq!(nearest("Required", ["required"]), Some("required"));
        assert_eq!(nearest("wholly_different", ["trim"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), ["trim"]), None);
    }
}
