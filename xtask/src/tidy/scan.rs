//! Reads Rust just well enough to tell code from comments and literals, and tests from the rest.

/// The text with comments, strings and character literals blanked; same length, same lines.
pub fn mask(text: &str) -> String {
    let mut out: Vec<u8> = text.bytes().collect();
    let b = text.as_bytes();
    let mut i = 0;
    while i < b.len() {
        let end = match b[i] {
            b'/' if b.get(i + 1) == Some(&b'/') => line_end(b, i),
            b'/' if b.get(i + 1) == Some(&b'*') => block_comment_end(b, i),
            b'"' => string_end(b, i),
            b'r' if !continues_word(b, i) => raw_string_end(b, i).unwrap_or(i),
            b'b' if !continues_word(b, i) && b.get(i + 1) == Some(&b'r') => raw_string_end(b, i + 1).unwrap_or(i),
            b'\'' => char_end(b, i).unwrap_or(i),
            _ => i,
        };
        for c in &mut out[i..end] {
            if *c != b'\n' {
                *c = b' ';
            }
        }
        i = end.max(i + 1);
    }
    String::from_utf8(out).expect("whole literals were replaced by spaces")
}

fn continues_word(b: &[u8], i: usize) -> bool {
    i > 0 && (b[i - 1].is_ascii_alphanumeric() || b[i - 1] == b'_')
}

fn line_end(b: &[u8], i: usize) -> usize {
    b[i..].iter().position(|c| *c == b'\n').map_or(b.len(), |n| i + n)
}

fn block_comment_end(b: &[u8], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0_usize);
    while i < b.len() {
        match b.get(i..i + 2) {
            Some(b"/*") => (depth, i) = (depth + 1, i + 2),
            Some(b"*/") => {
                (depth, i) = (depth - 1, i + 2);
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    b.len()
}

fn string_end(b: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < b.len() {
        match b[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    b.len()
}

/// The strings of a text as they mean, without raw ones and without comments; escapes of what is printed only.
pub fn strings(text: &str) -> Vec<String> {
    let b = text.as_bytes();
    let (mut found, mut i) = (Vec::new(), 0);
    while i < b.len() {
        let end = match b[i] {
            b'/' if b.get(i + 1) == Some(&b'/') => line_end(b, i),
            b'/' if b.get(i + 1) == Some(&b'*') => block_comment_end(b, i),
            b'r' if !continues_word(b, i) => raw_string_end(b, i).unwrap_or(i),
            b'\'' => char_end(b, i).unwrap_or(i),
            b'"' => {
                let end = string_end(b, i);
                found.push(unescaped(&text[i + 1..end.saturating_sub(1).max(i + 1)]));
                end
            }
            _ => i,
        };
        i = end.max(i + 1);
    }
    found
}

fn unescaped(literal: &str) -> String {
    let mut out = String::new();
    let mut rest = literal;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = match after.strip_prefix('\n') {
            Some(next_line) => next_line.trim_start(),
            None => {
                let n = after.chars().next().map_or(0, char::len_utf8);
                out.push_str(&after[..n]);
                &after[n..]
            }
        };
    }
    out + rest
}

/// `None` if no raw string starts at this `r`.
fn raw_string_end(b: &[u8], r: usize) -> Option<usize> {
    let hashes = b[r + 1..].iter().take_while(|c| **c == b'#').count();
    let open = r + 1 + hashes;
    if b.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let found = b[open + 1..].windows(close.len()).position(|w| w == close);
    Some(found.map_or(b.len(), |n| open + 1 + n + close.len()))
}

/// `None` for a lifetime.
fn char_end(b: &[u8], quote: usize) -> Option<usize> {
    if b.get(quote + 1) == Some(&b'\\') {
        return b[quote + 3..].iter().position(|c| *c == b'\'').map(|n| quote + 3 + n + 1);
    }
    let rest = std::str::from_utf8(&b[quote + 1..]).ok()?;
    let width = rest.chars().next()?.len_utf8();
    (b.get(quote + 1 + width) == Some(&b'\'')).then_some(quote + 2 + width)
}

/// For each line of masked code (0 is the first): whether it belongs to an item under `#[cfg(test)]`.
pub fn test_lines(masked: &str) -> Vec<bool> {
    let mut lines = vec![false; masked.lines().count() + 1];
    for (at, attribute) in masked.match_indices("#[cfg(test)]") {
        let end = item_end(masked, at + attribute.len());
        for line in &mut lines[line_of(masked, at)..=line_of(masked, end)] {
            *line = true;
        }
    }
    lines
}

/// The end of the item that starts at `from`: after its `;`, or after its block.
pub fn item_end(masked: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (i, c) in masked[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return from + i + 1;
                }
            }
            ';' if depth == 0 => return from + i + 1,
            _ => {}
        }
    }
    masked.len()
}

/// 0 is the first.
pub fn line_of(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|c| **c == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_remains() {
        let text = "a // x\n/* y /* z */ w */ b \"c\\\" //\" d 'e' '\\'' f<'g> r#\"h\" i\"# j br\"k\" l";
        let masked = mask(text);
        assert_eq!(masked.len(), text.len());
        let left: Vec<&str> = masked.split_whitespace().collect();
        assert_eq!(left, ["a", "b", "d", "f<'g>", "j", "l"]);
        assert_eq!(mask("let s = \"unterminated"), format!("let s = {}", " ".repeat(13)));
        assert_eq!(mask("'é' é").trim(), "é");
    }

    #[test]
    fn strings_are_what_they_mean() {
        let text = "// \"no\"\nf(\"a \\\"b\\\" \\\n      c\", 'x', \"\", r\"raw\", \"é\")";
        assert_eq!(strings(text), ["a \"b\" c", "", "é"]);
    }

    #[test]
    fn a_test_module_ends_with_its_brace() {
        let code = mask("fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { '}'; }\n}\nfn c() {}\n");
        assert_eq!(test_lines(&code)[..6], [false, true, true, true, true, false]);
        let code = mask("#[cfg(test)]\nmod tests;\nfn c() {}\n");
        assert_eq!(test_lines(&code)[..3], [true, true, false]);
    }
}
