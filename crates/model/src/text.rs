//! Texts for people: numbers as they read them, and which characters of a stranger's text they are not shown.

/// What ends a line, moves a cursor, or turns the direction in which a line is read.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `336776` as `336,776`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 336_776, 1_000_000].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "336,776", "1,000,000"]);
    }

    #[test]
    fn letters_of_every_script_are_seen() {
        assert!("aé→ü漢עב\u{301}".chars().all(|c| !is_unseen(c)));
        assert!("\n\u{1b}\u{85}\u{61c}\u{2028}\u{2029}\u{202e}\u{2067}\u{feff}".chars().all(is_unseen));
    }
}
