//! SQL in which parts were replaced, and the way back from a place in it to the place that was written.

/// Line and column from 1, in characters.
pub(super) type At = (usize, usize);

/// A part of a text and what stands in its place.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) from: At,
    /// Just behind it.
    pub(super) to: At,
    pub(super) put: String,
}

/// Where SQL that is executed stands in its file, when calls of library functions were written out in it. Empty: it is
/// as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    from: At,
    to: At,
    written_from: At,
    written_to: At,
}

impl Origins {
    /// Line, column and length as written: inside of what was put in, those of what it was put in for.
    pub fn written(&self, line: usize, column: usize, length: usize) -> (usize, usize, usize) {
        let before = self.0.partition_point(|o| o.from <= (line, column));
        let Some(o) = before.checked_sub(1).map(|i| &self.0[i]) else { return (line, column, length) };
        if (line, column) < o.to {
            let (line, column) = o.written_from;
            let length = if o.written_to.0 == line { o.written_to.1.saturating_sub(column).max(1) } else { 1 };
            return (line, column, length);
        }
        let column = if line == o.to.0 { o.written_to.1 + (column - o.to.1) } else { column };
        (o.written_to.0 + (line - o.to.0), column, length)
    }
}

/// `patches` do not overlap.
pub(super) fn patched(text: &str, mut patches: Vec<Patch>) -> (String, Origins) {
    patches.sort_by_key(|p| p.from);
    let (mut out, mut origins) = (String::with_capacity(text.len()), Vec::with_capacity(patches.len()));
    let (mut at, mut to) = ((1, 1), (1, 1));
    let mut waiting = patches.iter().peekable();
    let mut inside: Option<&Patch> = None;
    for c in text.chars() {
        inside = inside.filter(|p| at < p.to);
        if inside.is_none()
            && let Some(p) = waiting.next_if(|p| p.from == at)
        {
            let from = to;
            out.push_str(&p.put);
            to = p.put.chars().fold(to, behind);
            origins.push(Origin { from, to, written_from: p.from, written_to: p.to });
            inside = Some(p);
        }
        if inside.is_none() {
            out.push(c);
            to = behind(to, c);
        }
        at = behind(at, c);
    }
    (out, Origins(origins))
}

fn behind((line, column): At, c: char) -> At {
    if c == '\n' { (line + 1, 1) } else { (line, column + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_finds_back() {
        // The second part goes over two lines, and what replaces it over three.
        let text = "a f(x) b f(\n y) c\nd";
        let put = |from, to, put: &str| Patch { from, to, put: put.to_owned() };
        let (out, origins) = patched(text, vec![put((1, 10), (2, 4), "1\n2\n3"), put((1, 3), (1, 7), "long long")]);
        assert_eq!(out, "a long long b 1\n2\n3 c\nd");
        let found = |line, column| origins.written(line, column, 1);
        assert_eq!(found(1, 1), (1, 1, 1));
        assert_eq!([found(1, 3), found(1, 11)], [(1, 3, 4); 2]);
        assert_eq!(found(1, 13), (1, 8, 1));
        assert_eq!([found(1, 15), found(2, 1), found(3, 1)], [(1, 10, 1); 3]);
        assert_eq!([found(3, 3), found(4, 1)], [(2, 5, 1), (3, 1, 1)]);
        assert_eq!(Origins::default().written(7, 8, 9), (7, 8, 9));
    }
}
